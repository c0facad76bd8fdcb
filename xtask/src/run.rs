//! The tasks that only call cargo, with the same features each time so that they share what is built.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::workspace::{Member, Workspace};
use crate::{Failure, cargo};

/// The package of the examples.
const EXAMPLES: &str = "mellea-examples";

/// The binary that measures the demonstration model.
const PICO_EVAL: &str = "pico-eval";

/// The binary that measures repair on a real model.
const REPAIR_EVAL: &str = "repair-eval";

/// The most time that one example may take.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn clippy(workspace: &Workspace) -> Result<(), Failure> {
    cargo::need("clippy", "clippy")?;
    cargo::run(words(["clippy", "--all-targets"], workspace).chain(strings(["--", "--deny", "warnings"])))
}

pub(crate) fn docs(workspace: &Workspace) -> Result<(), Failure> {
    let mut command = cargo::command(words(["doc", "--no-deps"], workspace));
    cargo::finish(command.env("RUSTDOCFLAGS", "--deny warnings"), None)
}

/// Unit, integration and doc tests.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Failure> {
    cargo::run(words(["test", "--no-fail-fast"], workspace))
}

/// Builds the examples and runs them, except those that `[package.metadata.services]` of their
/// manifest says need a service.
pub(crate) fn examples(workspace: &Workspace) -> Result<(), Failure> {
    let examples = workspace.member(EXAMPLES)?;
    let known: BTreeSet<&String> = examples.binaries.iter().collect();
    if let Some(unknown) = examples.services.keys().find(|name| !known.contains(name)) {
        return Err(format!("`{unknown}` under [package.metadata.services] of {EXAMPLES} is not a binary").into());
    }
    // Tests bring features of their own; to leave them out would build half of the tree once more.
    let named = examples.binaries.iter().flat_map(|name| ["--bin".into(), name.clone()]);
    cargo::run(words(["build", "--tests"], workspace).chain(named))?;
    let mut failed = Vec::new();
    for name in examples.binaries.iter().filter(|name| *name != PICO_EVAL) {
        if let Some(service) = examples.services.get(name) {
            println!("{name} needs {service} and was only built");
            continue;
        }
        let program = workspace.target.join("debug").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(program);
        command.current_dir(cargo::root()).stdin(Stdio::null());
        if let Err(failure) = cargo::finish(&mut command, Some(EXAMPLE_LIMIT)) {
            failed.push(failure.to_string());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

/// The parity suite. It reads the directory from `MELLEA_FIXTURES`, and never runs by itself.
pub(crate) fn fixtures(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let directory = match arguments {
        [option, directory] if option == "--dir" => Path::new(directory),
        _ => return Err("usage: cargo xtask fixtures --dir <directory of the reference data>".into()),
    };
    let directory = directory.canonicalize().map_err(|e| format!("no reference data at {}: {e}", directory.display()))?;
    if !directory.is_dir() {
        return Err(format!("{} is not a directory", directory.display()).into());
    }
    let mut command = cargo::command(words(["test", "--test", "fixtures"], workspace));
    cargo::finish(command.env("MELLEA_FIXTURES", directory), None)
}

pub(crate) fn bench(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let benches: Vec<String> =
        workspace.members.iter().flat_map(|m| &m.benches).flat_map(|name| ["--bench".into(), name.clone()]).collect();
    if benches.is_empty() {
        return Err("the workspace has no benchmarks".into());
    }
    cargo::run(words(["bench"], workspace).chain(benches).chain(strings(["--"])).chain(arguments.iter().cloned()))
}

pub(crate) fn pico_eval(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    binary(workspace, PICO_EVAL, arguments)
}

pub(crate) fn repair_eval(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    if !arguments.iter().any(|argument| argument == "--model") {
        return Err("say `--model` and the name of a model of an Ollama server".into());
    }
    binary(workspace, REPAIR_EVAL, arguments)
}

/// Runs a binary of the workspace, built for release.
fn binary(workspace: &Workspace, name: &str, arguments: &[String]) -> Result<(), Failure> {
    let has_it = |member: &&Member| member.binaries.iter().any(|binary| binary == name);
    let package = workspace.members.iter().find(has_it).ok_or_else(|| format!("no package has a binary `{name}`"))?;
    let run = ["run", "--release", "--package", &package.name, "--bin", name, "--"];
    cargo::run(strings(run).chain(arguments.iter().cloned()))
}

fn words<const N: usize>(first: [&str; N], workspace: &Workspace) -> impl Iterator<Item = String> {
    strings(first).chain(workspace.everything())
}

fn strings<const N: usize>(texts: [&str; N]) -> impl Iterator<Item = String> {
    texts.map(str::to_owned).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Workspace {
        Workspace { target: "t".into(), members: Vec::new() }
    }

    #[test]
    fn the_parity_suite_needs_its_directory() {
        let missing = fixtures(&empty(), &["--dir".into(), "no/such/directory".into()]).unwrap_err();
        assert!(missing.to_string().contains("no/such/directory"), "{missing}");
        assert!(fixtures(&empty(), &[]).unwrap_err().to_string().contains("--dir"));
    }

    #[test]
    fn a_service_must_belong_to_an_example() {
        let services = [("chat".to_owned(), "ollama".to_owned())].into();
        let member = Member { name: EXAMPLES.into(), binaries: vec!["quickstart".into()], services, ..Member::default() };
        let error = examples(&Workspace { members: vec![member], ..empty() }).unwrap_err();
        assert!(error.to_string().contains("`chat`"), "{error}");
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        assert!(bench(&empty(), &[]).is_err());
        assert!(pico_eval(&empty(), &[]).unwrap_err().to_string().contains(PICO_EVAL));
        let model = ["--model".to_owned(), "somewhere".to_owned()];
        assert!(repair_eval(&empty(), &model).unwrap_err().to_string().contains(REPAIR_EVAL));
        assert!(repair_eval(&empty(), &[]).unwrap_err().to_string().contains("--model"));
    }
}
