//! Tidy: rules on the tree itself, each with a test on a small bad example.

mod budget;
mod layers;
mod manifest;
mod modules;
mod msrv;
mod packages;
mod readme;
mod surface;
mod text;

use std::path::Path;
use std::process::{Command, Stdio};

use crate::workspace::Workspace;
use crate::{Failure, cargo};

/// The largest file that may be in the repository, in bytes.
const MAX_FILE: u64 = 8_500_000;

/// What is wrong with the tree.
#[derive(Default)]
pub(crate) struct Findings {
    /// Rules that are broken.
    pub(crate) errors: Vec<String>,
    /// What should be looked at.
    pub(crate) warnings: Vec<String>,
}

/// Checks all rules and prints what is found.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let root = cargo::root();
    let files = files(root)?;
    for file in &files {
        let path = root.join(file);
        let size = path.metadata().map(|m| m.len()).unwrap_or_default();
        findings.errors.extend(too_large(file, size));
        if let Some(content) = std::fs::read(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
            text::check(file, &content, &mut findings);
            findings.errors.extend(readme::check(file, &content, |target| root.join(target).exists()));
        }
    }
    for member in &workspace.members {
        findings.errors.extend(layers::check(member, &workspace.members));
        let path = member.manifest.strip_prefix(root).unwrap_or(&member.manifest).display().to_string();
        findings.errors.extend(manifest::check(&path, &std::fs::read_to_string(&member.manifest)?));
    }
    for (krate, floors) in modules::FLOORS {
        println!("{}", modules::check(krate, floors, &sources(root, &files, krate), &mut findings));
    }
    for member in workspace.members.iter().filter(|m| m.published) {
        println!("{}", packages::check(member, root, &mut findings)?);
        let krate = member.manifest.parent().and_then(|p| p.strip_prefix(root).ok()).unwrap_or(root).display().to_string();
        let ours = |name: &str| workspace.members.iter().any(|m| m.name == name);
        let external: Vec<String> =
            member.dependencies.iter().filter(|d| !d.dev && !ours(&d.name)).map(|d| d.name.clone()).collect();
        let (errors, warnings) = surface::check(&member.name, &external, &sources(root, &files, &krate.replace('\\', "/")));
        findings.errors.extend(errors);
        findings.warnings.extend(warnings);
    }
    findings.errors.extend(msrv::check(&std::fs::read_to_string(root.join("Cargo.toml"))?)?);
    for line in budget::check(&mut findings)? {
        println!("{line}");
    }
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    println!("{} files, {} packages", files.len(), workspace.members.len());
    if findings.errors.is_empty() {
        return Ok(());
    }
    for error in &findings.errors {
        println!("broken: {error}");
    }
    Err(format!("{} rules are broken", findings.errors.len()).into())
}

fn too_large(file: &str, size: u64) -> Option<String> {
    (size > MAX_FILE).then(|| format!("{file}: {size} bytes, more than {MAX_FILE}"))
}

/// The Rust files of a package's library, with their paths below `src`.
fn sources(root: &Path, files: &[String], krate: &str) -> Vec<modules::Source> {
    let inside =
        |file: &String| file.strip_prefix(krate)?.strip_prefix("/src/").filter(|path| path.ends_with(".rs")).map(str::to_owned);
    let texts = files.iter().filter_map(|file| Some((inside(file)?, std::fs::read_to_string(root.join(file)).ok()?)));
    texts.collect()
}

/// The files of the repository and those that could be added to it, relative to the root.
fn files(root: &Path) -> Result<Vec<String>, Failure> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root).stdin(Stdio::null());
    let listed = git.stderr(Stdio::null()).output().ok().filter(|output| output.status.success());
    let mut files = match listed {
        Some(output) => String::from_utf8(output.stdout)?.split_terminator('\0').map(str::to_owned).collect(),
        // A copy without history has no list of its own.
        None => walk(root)?,
    };
    files.retain(|file: &String| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path) -> Result<Vec<String>, Failure> {
    const LEFT_OUT: [&str; 4] = ["target", ".git", ".venv", "__pycache__"];
    let (mut found, mut left) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            match entry.file_type()? {
                kind if kind.is_dir() => left.push(entry.path()),
                _ => found.extend(entry.path().strip_prefix(root)?.to_str().map(|path| path.replace('\\', "/"))),
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_found() {
        assert!(too_large("model.bin", MAX_FILE + 1).is_some_and(|e| e.contains("model.bin")));
        assert!(too_large("model.bin", MAX_FILE).is_none());
    }

    #[test]
    fn the_tree_can_be_listed_without_git() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(walk(package).unwrap().contains(&"src/tidy/mod.rs".to_owned()));
    }
}
