//! How many crates a user of a package has to compile.

use std::collections::BTreeSet;

use super::Findings;
use crate::{Failure, cargo};

/// The most crates in a package's normal tree on Linux with default features, itself and macros
/// included, counted by name and version. An HTTP client with TLS is 75 of those of `mellea`, the
/// tables for international host names in it 21. Patterns in schemas need the whole of `regex`, another 3.
const BUDGETS: [(&str, usize); 2] = [("mellea-core", 45), ("mellea", 129)];

/// What must not be in a tree, whatever its features: package, features, crate.
const FORBIDDEN: [(&str, &[&str], &str); 3] = [
    ("mellea", &["--no-default-features"], "reqwest"),
    ("mellea-core", &["--all-features"], "reqwest"),
    ("mellea-core", &["--all-features"], "candle-core"),
];

/// Compares each tree with its budget; a line on each.
pub(super) fn check(findings: &mut Findings) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for (package, budget) in BUDGETS {
        let count = count(&tree(package, &[])?);
        lines.push(format!("{package}: {count} crates of at most {budget}"));
        findings.errors.extend(over(package, count, budget));
    }
    for (package, features, unwanted) in FORBIDDEN {
        findings.errors.extend(has(package, &tree(package, features)?, unwanted));
    }
    Ok(lines)
}

fn over(package: &str, count: usize, budget: usize) -> Option<String> {
    (count > budget).then(|| format!("{package} has {count} crates in its tree, more than {budget}"))
}

fn has(package: &str, tree: &str, unwanted: &str) -> Option<String> {
    let found = tree.lines().any(|line| line.split_whitespace().next() == Some(unwanted));
    found.then(|| format!("{package} must not have {unwanted} in its tree"))
}

fn tree(package: &str, features: &[&str]) -> Result<String, Failure> {
    let arguments = ["tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    cargo::capture(&mut cargo::command(
        arguments.into_iter().chain(["--target", "x86_64-unknown-linux-gnu"]).chain(features.iter().copied()),
    ))
}

/// The crates of a tree, each once. A line holds a name, a version, and perhaps remarks.
fn count(tree: &str) -> usize {
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    crates.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_and_version_counts_once() {
        let tree =
            "mellea v0.1.0 (a/path)\nsyn v2.0.1\nsyn v3.0.0\nserde v1.0.0\nserde_derive v1.0.0 (proc-macro)\nsyn v3.0.0 (*)\n";
        assert_eq!(count(tree), 5);
    }

    #[test]
    fn what_must_not_be_in_a_tree_is_found() {
        let tree = "mellea v0.1.0 (a/path)\nreqwest v0.13.0\n";
        assert!(has("mellea", tree, "reqwest").is_some_and(|e| e.contains("reqwest")));
        assert!(has("mellea", tree, "reqw").is_none());
    }

    #[test]
    fn a_tree_over_its_budget_is_found() {
        assert!(over("mellea", 111, 110).is_some_and(|e| e.contains("111")));
        assert!(over("mellea", 110, 110).is_none());
    }
}
