//! What is in a package that is published: licences, words by which it is found, and no test data.

use std::path::Path;

use super::Findings;
use crate::workspace::Member;
use crate::{Failure, cargo};

/// The licence texts that each package carries.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// The categories of crates.io that are of use here.
const CATEGORIES: [&str; 10] = [
    "api-bindings",
    "asynchronous",
    "concurrency",
    "data-structures",
    "development-tools::procedural-macro-helpers",
    "development-tools::testing",
    "parser-implementations",
    "science",
    "text-processing",
    "web-programming::http-client",
];

/// The most bytes in a package before compression. A model is larger.
const MAX_BYTES: u64 = 1_500_000;
const MAX_BYTES_OF_A_MODEL: (&str, u64) = ("mellea-pico", 8_500_000);

/// Directories whose files are for tests only.
const FOR_TESTS: [&str; 6] = ["benches", "corpus", "fixtures", "proptest-regressions", "snapshots", "tests"];

/// Checks a published package; gives a line on its size.
pub(super) fn check(member: &Member, root: &Path, findings: &mut Findings) -> Result<String, Failure> {
    let directory = member.manifest.parent().unwrap_or(root);
    for licence in LICENCES {
        let copy = std::fs::read(directory.join(licence)).ok();
        if copy != std::fs::read(root.join(licence)).ok() {
            findings.errors.push(format!("{}: `{licence}` is not the one of the root", member.name));
        }
    }
    findings.errors.extend(words(member));
    let list = ["package", "--list", "--allow-dirty", "--offline", "--quiet", "--package", &member.name];
    let list = cargo::capture(&mut cargo::command(list))?;
    let files: Vec<(&str, u64)> =
        list.lines().map(|file| (file, directory.join(file).metadata().map(|m| m.len()).unwrap_or_default())).collect();
    findings.errors.extend(contents(&member.name, &files));
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    Ok(format!("{}: {} files, {} kB in its package", member.name, files.len(), bytes / 1000))
}

/// What the manifest says of the package.
fn words(member: &Member) -> Vec<String> {
    let name = &member.name;
    let mut errors = Vec::new();
    let fits = |word: &String| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && word.len() <= 20
            && letters.all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
    };
    if member.keywords.is_empty() || member.keywords.len() > 5 || !member.keywords.iter().all(fits) {
        errors.push(format!("{name}: one to five keywords, each of at most 20 letters, not {:?}", member.keywords));
    }
    let known = |category: &String| CATEGORIES.contains(&category.as_str());
    if member.categories.is_empty() || member.categories.len() > 5 || !member.categories.iter().all(known) {
        errors.push(format!("{name}: one to five categories of crates.io, not {:?}", member.categories));
    }
    if !member.docs_with_features {
        errors.push(format!("{name}: `[package.metadata.docs.rs]` does not set `rustdoc-args = [\"--cfg\", \"docsrs\"]`"));
    }
    if member.readme.as_deref() != Some("README.md") {
        errors.push(format!("{name}: `readme = \"README.md\"` is missing"));
    }
    errors
}

/// What `cargo package` would pack.
fn contents(name: &str, files: &[(&str, u64)]) -> Vec<String> {
    let mut errors: Vec<String> = Vec::new();
    for needed in LICENCES.into_iter().chain(["README.md"]) {
        if !files.iter().any(|(file, _)| *file == needed) {
            errors.push(format!("{name}: `{needed}` is not in its package"));
        }
    }
    for (file, _) in files {
        let mut directories: Vec<&str> = file.split('/').collect();
        directories.pop();
        // Unit tests stand in `src`; their data does not belong to the package.
        let is_code = file.starts_with("src/") && file.ends_with(".rs");
        if !is_code && directories.iter().any(|directory| FOR_TESTS.contains(directory)) {
            errors.push(format!("{name}: `{file}` is only for tests, but is in its package"));
        }
    }
    let limit = if name == MAX_BYTES_OF_A_MODEL.0 { MAX_BYTES_OF_A_MODEL.1 } else { MAX_BYTES };
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    if bytes > limit {
        errors.push(format!("{name}: {bytes} bytes in its package, more than {limit}"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Member {
        Member {
            name: "a".into(),
            keywords: vec!["llm".into()],
            categories: vec!["science".into()],
            readme: Some("README.md".into()),
            docs_with_features: true,
            ..Member::default()
        }
    }

    #[test]
    fn a_package_that_nobody_would_find_is_found() {
        assert_eq!(words(&good()), [""; 0]);
        let owned = |texts: &[&str]| texts.iter().map(|&t| t.to_owned()).collect::<Vec<String>>();
        for (member, word) in [
            (Member { keywords: owned(&[]), ..good() }, "keywords"),
            (Member { keywords: owned(&["a", "b", "c", "d", "e", "f"]), ..good() }, "keywords"),
            (Member { keywords: owned(&["two words"]), ..good() }, "keywords"),
            (Member { categories: owned(&["llm"]), ..good() }, "categories"),
            (Member { docs_with_features: false, ..good() }, "docs.rs"),
            (Member { readme: None, ..good() }, "readme"),
        ] {
            let found = words(&member);
            assert!(matches!(&found[..], [only] if only.contains(word)), "{found:?}");
        }
    }

    #[test]
    fn data_for_tests_and_large_packages_are_found() {
        let with = |file, size| {
            let mut files = vec![("LICENSE-APACHE", 1), ("LICENSE-MIT", 1), ("README.md", 1), ("src/a/tests.rs", 1)];
            files.push((file, size));
            contents("a", &files)
        };
        assert_eq!(with("src/tests/mod.rs", 1), [""; 0]);
        for file in ["tests/a.rs", "tests/fixtures/a.json", "src/snapshots/a.snap", "benches/a.rs"] {
            assert!(matches!(&with(file, 1)[..], [only] if only.contains(file)), "{file}");
        }
        assert!(matches!(&with("src/data", MAX_BYTES)[..], [only] if only.contains("bytes")));
        assert!(contents("a", &[])[0].contains("LICENSE-APACHE"));
    }
}
