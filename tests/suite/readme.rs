//! What the README says of the facade is so.

use std::collections::BTreeMap;

use mellea::ErrorKind;

const README: &str = include_str!("../../README.md");
const MANIFEST: &str = include_str!("../../crates/mellea/Cargo.toml");

/// The rows of the table below a heading, each by its cells.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = README.split(&format!("\n## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands between back ticks.
fn words(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_of_features_is_that_of_the_manifest() {
    let section = MANIFEST.split("[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let features: BTreeMap<&str, &str> =
        section.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = ")).collect();
    let defaults = features["default"];
    let mut told = Vec::new();
    for row in table("Features") {
        for feature in words(row[0]) {
            assert_eq!(row[2] == "yes", defaults.contains(&format!("\"{feature}\"")), "the default of `{feature}`");
            told.push(feature);
        }
    }
    for feature in features.keys().filter(|name| **name != "default") {
        assert!(told.contains(feature), "the README does not name the feature `{feature}`");
    }
    assert!(features["pico"].contains("\"hf\""), "`pico` brings the backend that it is for");
    assert!(!["native-tls", "testing"].iter().any(|left_out| features["full"].contains(left_out)));
}

#[tokio::test]
async fn every_backend_that_the_readme_names_can_be_asked_for() {
    let error = mellea::start_session().backend("no such backend").await.map(drop).unwrap_err();
    let hint = error.hint().unwrap().to_owned();
    let mut named = 0;
    for row in table("Backends") {
        for name in words(row[0]) {
            assert!(hint.contains(name), "{name}: {hint}");
            named += 1;
            // Without its feature, the name gives an error that names the feature.
            if let Err(error) = mellea::start_session().backend(name).model("m").base_url("http://127.0.0.1:9").await
                && matches!(error.kind(), ErrorKind::UnknownBackend { .. })
            {
                assert!(error.hint().unwrap().contains(name), "{error}");
            }
        }
    }
    assert_eq!(hint.matches(", ").count() + 1, named, "{hint}");
}

#[test]
fn pico_is_as_small_as_the_readme_says() {
    let weights = include_bytes!("../../crates/mellea-pico/model/model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(weights).unwrap();
    let parameters: usize = tensors.iter().map(|(_, tensor)| tensor.shape().iter().product::<usize>()).sum();
    assert!(README.contains("about 1.5 million parameters") && (1_450_000..1_550_000).contains(&parameters), "{parameters}");
}
