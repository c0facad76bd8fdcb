//! Each published library with no features, with each feature alone, and with all of them.

use std::collections::BTreeSet;

use crate::workspace::{Member, Workspace};
use crate::{Failure, cargo};

/// Checks every combination, with warnings denied: a feature that leaves an import unused is a fault.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    cargo::need("clippy", "clippy")?;
    let mut failed = Vec::new();
    for member in workspace.members.iter().filter(|m| m.has_library && m.published) {
        for features in combinations(member) {
            let arguments =
                ["clippy", "--quiet", "--package", &member.name, "--lib", "--no-default-features", "--features", &features];
            if cargo::run(arguments.into_iter().chain(["--", "--deny", "warnings"])).is_err() {
                failed.push(format!("{} with features [{features}]", member.name));
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// The lists of features to check: none, each alone, all; those that come to the same thing only once.
fn combinations(member: &Member) -> Vec<String> {
    let all: Vec<&str> = member.features.keys().map(String::as_str).collect();
    let candidates = std::iter::once(vec![]).chain(all.iter().map(|feature| vec![*feature])).chain([all.clone()]);
    let mut seen = BTreeSet::new();
    candidates.filter(|features| seen.insert(turned_on(member, features))).map(|features| features.join(",")).collect()
}

/// All that a list of features turns on in the end. Names of other features that are only groups count
/// for what is in them, so that `full` and the list of its parts are the same.
fn turned_on<'a>(member: &'a Member, features: &[&'a str]) -> BTreeSet<&'a str> {
    let (mut on, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut next: Vec<&str> = features.to_vec();
    while let Some(feature) = next.pop() {
        if !seen.insert(feature) {
            continue;
        }
        match member.features.get(feature) {
            Some(parts) if !parts.is_empty() && parts.iter().all(|part| member.features.contains_key(part)) => {
                next.extend(parts.iter().map(String::as_str));
            }
            // `default` can be empty, and is then nothing.
            Some(parts) if parts.is_empty() && feature == "default" => {}
            Some(parts) => {
                on.insert(feature);
                next.extend(parts.iter().map(String::as_str));
            }
            None => {
                on.insert(feature);
            }
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(features: &[(&str, &[&str])]) -> Member {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        Member {
            features: features.iter().map(|(name, parts)| ((*name).to_owned(), owned(parts))).collect(),
            ..Member::default()
        }
    }

    #[test]
    fn each_alone_and_all_without_repetition() {
        let facade = member(&[("default", &[]), ("hf", &["dep:h"]), ("pico", &["dep:h", "h/pico"]), ("full", &["hf", "pico"])]);
        assert_eq!(combinations(&facade), ["", "full", "hf", "pico"]);
        let core = member(&[("default", &["testing"]), ("testing", &[])]);
        assert_eq!(combinations(&core), ["", "default"]);
        assert_eq!(combinations(&member(&[])), [""]);
        let two = member(&[("a", &[]), ("b", &[])]);
        assert_eq!(combinations(&two), ["", "a", "b", "a,b"]);
    }
}
