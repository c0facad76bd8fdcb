//! The oldest toolchain, without having it: what the manifests say, and clippy's lint on newer parts of the
//! standard library, which goes by `rust-version`.

use serde_json::Value;

use crate::{Failure, cargo};

/// The lint, as `[workspace.lints.clippy]` must have it.
const LINT: &str = "incompatible_msrv = \"warn\"";

/// Checks that the lint is on and that no dependency wants a newer toolchain.
pub(super) fn check(manifest: &str) -> Result<Vec<String>, Failure> {
    let arguments = ["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata = serde_json::from_str(&cargo::capture(&mut cargo::command(arguments))?)?;
    Ok(rules(manifest, &metadata))
}

fn rules(manifest: &str, metadata: &Value) -> Vec<String> {
    let ours = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let Some(ours) = ours.and_then(|version| number(version.trim_matches('"'))) else {
        return vec!["Cargo.toml: `rust-version` is missing under [workspace.package]".into()];
    };
    let mut errors = Vec::new();
    if !manifest.lines().any(|line| line == LINT) {
        errors.push(format!("Cargo.toml: `{LINT}` is missing under [workspace.lints.clippy]"));
    }
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let wanted = package["rust_version"].as_str().and_then(number);
        if wanted.is_some_and(|wanted| wanted > ours) {
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            let (name, version, needs) = (text("name"), text("version"), text("rust_version"));
            errors.push(format!("{name} {version} needs Rust {needs}, more than our `rust-version`"));
        }
    }
    errors
}

/// A version of the toolchain: `1.88` or `1.88.0`.
fn number(version: &str) -> Option<[u32; 3]> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_wants_a_newer_toolchain_is_found() {
        let manifest = format!("[workspace.package]\nrust-version = \"1.88\"\n[workspace.lints.clippy]\n{LINT}\n");
        let metadata =
            |version: &str| serde_json::json!({"packages": [{"name": "a", "version": "1.0.0", "rust_version": version}]});
        for (version, right) in
            [("1.88", true), ("1.88.0", true), ("1.9.1", true), ("1.88.1", false), ("1.100", false), ("2.0", false)]
        {
            let found = rules(&manifest, &metadata(version));
            assert_eq!(found.is_empty(), right, "{version}: {found:?}");
        }
        assert_eq!(rules(&manifest, &serde_json::json!({"packages": [{"name": "a", "rust_version": null}]})), [""; 0]);
        assert!(rules(&manifest.replace("warn", "allow"), &metadata("1.60"))[0].contains("incompatible_msrv"));
        assert!(rules("", &metadata("1.60"))[0].contains("`rust-version`"));
    }
}
