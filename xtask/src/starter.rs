//! The README's first program, in an empty package with the README's dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::workspace::Workspace;
use crate::{Failure, cargo};

/// The path in the README's dependency block: a checkout beside the reader's package.
const CHECKOUT: &str = "mellea-rs/crates/mellea";

/// Makes the package, builds it and runs the program.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let readme = std::fs::read_to_string(cargo::root().join("README.md"))?;
    let (dependencies, program) = from_readme(&readme)?;
    let package = workspace.target.join("starter");
    write(&package.join("Cargo.toml"), &manifest(&dependencies, &cargo::root().join("crates/mellea"), &[])?)?;
    write(&package.join("src/main.rs"), &program)?;
    write(&package.join("features/src/lib.rs"), "//! Empty: its manifest is what counts.\n")?;
    std::fs::copy(cargo::root().join("Cargo.lock"), package.join("Cargo.lock"))?;

    // Dependencies are compiled again for every other set of features. A neighbour that asks for the features
    // of the workspace lets the package use what the tests have built.
    let needed: BTreeSet<(String, String)> = tree(&package, &["--package".into(), "starter".into()])?.into_keys().collect();
    let mut built = tree(cargo::root(), &workspace.everything())?;
    built.retain(|crate_, _| needed.contains(crate_));
    write(&package.join("features/Cargo.toml"), &same_features(&built))?;
    write(&package.join("Cargo.toml"), &manifest(&dependencies, &cargo::root().join("crates/mellea"), &["features"])?)?;
    // To list the tree has dropped from the lock file what the package alone does not need.
    std::fs::copy(cargo::root().join("Cargo.lock"), package.join("Cargo.lock"))?;
    let profiles = profiles(&std::fs::read_to_string(cargo::root().join("Cargo.toml"))?);
    write(&package.join(".cargo/config.toml"), &profiles)?;

    let mut build = cargo::command(["build", "--offline", "--workspace", "--target-dir"]);
    cargo::finish(build.arg(&workspace.target).current_dir(&package), None)?;
    let program = workspace.target.join("debug").join(format!("starter{}", std::env::consts::EXE_SUFFIX));
    let output = cargo::capture(Command::new(program).stdin(Stdio::null()).current_dir(&package))?;
    print!("{output}");
    if output.contains("Alice") { Ok(()) } else { Err("the first program does not print the name that it read".into()) }
}

/// The dependency block and the first program.
fn from_readme(readme: &str) -> Result<(String, String), Failure> {
    let fences = fences(readme);
    let find = |language: &str, what: &str| {
        let fits = |(info, text): &&(&str, String)| info.split(',').next() == Some(language) && text.contains(what);
        let found = fences.iter().find(fits).map(|(_, text)| text.clone());
        found.ok_or_else(|| format!("README.md has no `{language}` block with `{what}`"))
    };
    Ok((find("toml", "[dependencies]")?, find("rust", "fn main()")?))
}

/// Each fenced block: what stands behind the fence, and the text.
fn fences(markdown: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut open = false;
    for line in markdown.lines() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                open = true;
                found.push((info.trim(), String::new()));
            }
            None if open => {
                if let Some((_, text)) = found.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            None => {}
        }
    }
    found
}

fn manifest(dependencies: &str, checkout: &Path, members: &[&str]) -> Result<String, Failure> {
    if !dependencies.contains(&format!("path = \"{CHECKOUT}\"")) {
        return Err(format!("the README's dependency block does not name `{CHECKOUT}`").into());
    }
    let dependencies = dependencies.replace(CHECKOUT, &checkout.display().to_string().replace('\\', "/"));
    let package = "[package]\nname = \"starter\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    Ok(format!("{package}\n{dependencies}\n[workspace]\nmembers = {members:?}\n"))
}

/// Every crate that a selection builds, with its features. Where the tools of the build and the program need
/// different ones, the larger set counts.
fn tree(directory: &Path, selection: &[String]) -> Result<BTreeMap<(String, String), Vec<String>>, Failure> {
    let mut command = cargo::command(["tree", "--offline", "--prefix", "none", "--edges", "normal,build,dev"]);
    command.args(["--format", "{p}|{f}"]).args(selection).current_dir(directory);
    Ok(read_tree(&cargo::capture(&mut command)?))
}

fn read_tree(tree: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut crates: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (package, features) in tree.lines().filter_map(|line| line.split_once('|')) {
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        // Packages by path are compiled for each workspace anew in any case.
        if words.any(|word| word.starts_with('(') && word.contains(['/', '\\'])) {
            continue;
        }
        let features = features.trim_end_matches(" (*)").split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect();
        let known = crates.entry((name.to_owned(), version.trim_start_matches('v').to_owned())).or_default();
        if Vec::len(&features) > known.len() {
            *known = features;
        }
    }
    crates
}

/// A manifest whose dependencies are these crates, with exactly these features.
fn same_features(crates: &BTreeMap<(String, String), Vec<String>>) -> String {
    let mut manifest = "[package]\nname = \"features\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n".to_owned();
    for (i, ((name, version), features)) in crates.iter().enumerate() {
        let version = version.split('+').next().unwrap_or(version);
        let _ = writeln!(
            manifest,
            "d{i} = {{ package = {name:?}, version = \"={version}\", default-features = false, features = {features:?} }}"
        );
    }
    manifest
}

/// The profiles of the workspace, without those of its own packages.
fn profiles(manifest: &str) -> String {
    let mut keep = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = line.starts_with("[profile.") && !line.contains(".mellea");
        }
        if keep {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_what_a_newcomer_copies() {
        let readme = std::fs::read_to_string(cargo::root().join("README.md")).unwrap();
        let (dependencies, program) = from_readme(&readme).unwrap();
        let manifest = manifest(&dependencies, Path::new("there"), &[]).unwrap();
        assert!(manifest.contains("path = \"there\"") && manifest.contains("edition = \"2024\""), "{manifest}");
        assert!(program.contains("use mellea::prelude::*;"), "{program}");
    }

    #[test]
    fn a_readme_without_its_blocks_is_found() {
        let one = "```toml\n[dependencies]\nmellea = \"1\"\n```\n";
        assert!(from_readme(one).unwrap_err().to_string().contains("`rust`"));
        let both = format!("{one}```sh\nfn main()\n```\n```rust,no_run\nfn main() {{}}\n```\n");
        let (dependencies, program) = from_readme(&both).unwrap();
        assert_eq!(program, "fn main() {}\n");
        assert!(manifest(&dependencies, Path::new("there"), &[]).unwrap_err().to_string().contains(CHECKOUT));
    }

    #[test]
    fn the_features_of_a_tree_are_asked_for() {
        let tree =
            "starter v0.1.0 (/there)|\nsyn v2.0.1 (proc-macro)|full\nsyn v2.0.1 (proc-macro)|full,visit (*)\ntoml v1.1.0+spec|\n";
        let crates = read_tree(tree);
        assert_eq!(crates.len(), 2, "{crates:?}");
        let manifest = same_features(&crates);
        assert!(
            manifest.contains(
                r#"d0 = { package = "syn", version = "=2.0.1", default-features = false, features = ["full", "visit"] }"#
            ),
            "{manifest}"
        );
        assert!(manifest.contains(r#"version = "=1.1.0""#), "{manifest}");
    }

    #[test]
    fn profiles_are_taken_over_but_those_of_our_own_packages() {
        let text =
            "[a]\nb = 1\n[profile.dev]\ndebug = 1\n[profile.dev.package.mellea-hf]\nopt-level = 2\n[profile.release]\nc = 3\n";
        assert_eq!(profiles(text), "[profile.dev]\ndebug = 1\n[profile.release]\nc = 3\n");
    }
}
