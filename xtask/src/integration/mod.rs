//! Test suites that need more than the tree: a real server beside them, or somebody's account.

mod litellm;
mod live;
mod llama_cpp;
mod ollama;
mod python;
mod results;
mod serve;

use std::process::Stdio;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Failure, cargo};

pub(crate) use results::Tests;

/// The package of the suites.
const PACKAGE: &str = "mellea-wire-tests";

const USAGE: &str = "\
usage: cargo xtask integration <suite>...

  wire           every backend against scripted servers
  faults         what a network and a server do wrong
  soak           many calls, and what they leave behind
  llama-cpp      a llama.cpp server over the model pico; built on first use under target/integration
  ollama         an Ollama server over the model pico; built on first use where there is Go, or OLLAMA_BIN names it
  litellm-proxy  the LiteLLM proxy in front of a scripted server; installed on first use
  live           services on the internet; needs a variable for each, see below";

/// How a suite is run.
type Run = fn(&Workspace, &mut Steps);

const SUITES: [(&str, Run); 7] = [
    ("wire", |_, steps| step(steps, "wire", |tests| cargo_test("wire", &[], &[], tests))),
    ("faults", |_, steps| step(steps, "faults", |tests| cargo_test("faults", &[], &[], tests))),
    ("soak", |_, steps| step(steps, "soak", |tests| cargo_test("soak", &[], &[], tests))),
    ("llama-cpp", |workspace, steps| step(steps, "llama-cpp", |tests| llama_cpp::run(workspace, tests))),
    ("ollama", ollama::run),
    ("litellm-proxy", |workspace, steps| step(steps, "litellm-proxy", |tests| litellm::run(workspace, tests))),
    ("live", |_, steps| live::run(steps)),
];

/// Runs the named suites, whatever becomes of each.
pub(crate) fn run(workspace: &Workspace, arguments: &[String], steps: &mut Steps) {
    match chosen(arguments) {
        Ok(suites) => suites.into_iter().for_each(|suite| suite(workspace, steps)),
        Err(failure) => steps.run("integration", || Err(failure)),
    }
}

fn chosen(arguments: &[String]) -> Result<Vec<Run>, Failure> {
    if arguments.is_empty() {
        return Err(usage().into());
    }
    let find = |name: &String| SUITES.iter().find(|(known, _)| known == name).map(|(_, run)| *run);
    arguments.iter().map(|name| find(name).ok_or_else(|| format!("no suite `{name}`\n{}", usage()).into())).collect()
}

fn usage() -> String {
    format!("{USAGE}\n\n{}", live::usage())
}

/// A suite as one step, its tests counted.
fn step(steps: &mut Steps, name: &'static str, suite: impl FnOnce(&mut Tests) -> Result<(), Failure>) {
    let mut tests = Tests::default();
    steps.run(name, || suite(&mut tests));
    steps.count(&tests);
}

/// Compiles a test target, so that no server waits for it.
fn compile(target: &str) -> Result<(), Failure> {
    cargo::run(["test", "--package", PACKAGE, "--test", target, "--no-run"])
}

/// Runs a test target of the package. A target in which no test ran has failed.
fn cargo_test(target: &str, arguments: &[&str], environment: &[(&str, &str)], tests: &mut Tests) -> Result<(), Failure> {
    let mut command = cargo::command(["test", "--package", PACKAGE, "--test", target, "--"]);
    command.args(arguments).envs(environment.iter().copied()).stdout(Stdio::piped());
    let ran = results::run(&mut command)?;
    tests.add(&ran.tests);
    if !ran.status.success() {
        return Err(format!("the tests of `{target}` failed with {}", ran.status).into());
    }
    if ran.tests.passed == 0 { Err(format!("no test of `{target}` ran").into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_names_every_suite() {
        for (name, _) in SUITES {
            assert!(USAGE.contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn a_suite_must_be_named_and_known() {
        assert_eq!(chosen(&["wire".into(), "soak".into()]).unwrap().len(), 2);
        assert!(chosen(&[]).unwrap_err().to_string().starts_with("usage"));
        let error = chosen(&["wire".into(), "llama".into()]).unwrap_err().to_string();
        assert!(error.contains("`llama`"), "{error}");
    }
}
