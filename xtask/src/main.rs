//! The tasks of the workspace; `cargo xtask --help` lists them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its user")]

mod cargo;
mod features;
mod integration;
mod run;
mod starter;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use steps::Steps;
use workspace::Workspace;

/// Why a task failed, in words for whoever runs it.
pub(crate) type Failure = Box<dyn std::error::Error>;

const HELP: &str = "\
Tasks of the Mellea workspace.

Usage: cargo xtask <task> [arguments]

The whole:
  ci                    everything below that needs no argument; the last line counts steps
The parts of it:
  check                 formatting, clippy with warnings denied, and tidy
  features              each crate without features, with each feature alone, and with all
  native-tls            the remote backends with the system's TLS, where the machine has OpenSSL
  docs                  the API pages, warnings denied
  test                  unit, integration and doc tests, then the examples that need no service
  starter               the README's first program, built and run in an empty package
  tidy                  the rules on the tree itself: files, words, modules, packages, dependencies
On demand:
  fixtures --dir <dir>  the parity suite on reference data; fails if the directory is missing
  integration <suite>   suites beside a real server, or against live services; alone it lists them
  bench [arguments]     the benchmarks; arguments go to them, such as a name to filter by
  pico-eval [arguments] the figures of the demonstration model, in a release build
  repair-eval --model <name>
                        how many first failures each strategy rescues on a real model of an Ollama server, such
                        as SmolLM2-135M-Instruct, which is not told the schemas; further options are in its source
  help                  this page

All tasks build the same things with the same features, so what one has compiled the next finds ready.";

/// A task's work.
type Task = fn(&Workspace, &[String], &mut Steps);

const TASKS: [(&str, Task); 13] = [
    ("ci", ci),
    ("check", |workspace, _, steps| check(workspace, steps)),
    ("features", |workspace, _, steps| steps.run("features", || features::check(workspace))),
    ("native-tls", |_, _, steps| native_tls(steps)),
    ("docs", |workspace, _, steps| steps.run("docs", || run::docs(workspace))),
    ("test", |workspace, _, steps| test(workspace, steps)),
    ("starter", |workspace, _, steps| steps.run("starter", || starter::check(workspace))),
    ("tidy", |workspace, _, steps| steps.run("tidy", || tidy::check(workspace))),
    ("fixtures", |workspace, arguments, steps| steps.run("fixtures", || run::fixtures(workspace, arguments))),
    ("integration", integration::run),
    ("bench", |workspace, arguments, steps| steps.run("bench", || run::bench(workspace, arguments))),
    ("pico-eval", |workspace, arguments, steps| steps.run("pico-eval", || run::pico_eval(workspace, arguments))),
    ("repair-eval", |workspace, arguments, steps| steps.run("repair-eval", || run::repair_eval(workspace, arguments))),
];

/// What tasks take arguments; for the others one is a mistake.
const WITH_ARGUMENTS: [&str; 5] = ["fixtures", "integration", "bench", "pico-eval", "repair-eval"];

/// The cheap steps first, then those that only check, then those that compile to the end. Checks share
/// their artefacts with each other, and tests with examples.
fn ci(workspace: &Workspace, _: &[String], steps: &mut Steps) {
    check(workspace, steps);
    steps.run("features", || features::check(workspace));
    native_tls(steps);
    steps.run("docs", || run::docs(workspace));
    test(workspace, steps);
    steps.run("starter", || starter::check(workspace));
}

/// The system's TLS is a library that a machine may lack; where it has none, that is said.
fn native_tls(steps: &mut Steps) {
    if cfg!(target_os = "linux") && cargo::capture(std::process::Command::new("pkg-config").arg("--libs").arg("openssl")).is_err()
    {
        return steps.skip("native-tls", "pkg-config finds no OpenSSL on this machine");
    }
    let arguments =
        ["check", "--package", "mellea", "--no-default-features", "--features", "ollama,openai,litellm,watsonx,native-tls"];
    steps.run("native-tls", || cargo::run(arguments));
}

fn check(workspace: &Workspace, steps: &mut Steps) {
    steps.run("format", || cargo::need("rustfmt", "fmt").and_then(|()| cargo::run(["fmt", "--all", "--check"])));
    steps.run("tidy", || tidy::check(workspace));
    steps.run("clippy", || run::clippy(workspace));
    if cargo::has("deny") {
        steps.run("deny", || cargo::run(["deny", "check", "bans", "licenses", "sources"]));
    }
}

fn test(workspace: &Workspace, steps: &mut Steps) {
    steps.run("test", || run::test(workspace));
    steps.run("examples", || run::examples(workspace));
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match start(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (name, rest) = match arguments {
        [] => ("help", Default::default()),
        [name, rest @ ..] => (name.as_str(), rest),
    };
    let has_own_help = WITH_ARGUMENTS.contains(&name);
    if ["help", "--help", "-h"].contains(&name) || !has_own_help && rest.first().is_some_and(|a| a == "--help") {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let (_, task) = TASKS.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("no task `{name}`\n\n{HELP}"))?;
    if let Some(extra) = rest.first().filter(|_| !has_own_help) {
        return Err(format!("`{name}` takes no argument, but was given `{extra}`").into());
    }
    let workspace = Workspace::read()?;
    let mut steps = Steps::new();
    task(&workspace, rest, &mut steps);
    Ok(steps.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_task() {
        for (name, _) in TASKS {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn an_unknown_task_and_a_needless_argument_are_errors() {
        assert!(start(&["chekc".into()]).unwrap_err().to_string().contains("`chekc`"));
        assert!(start(&["tidy".into(), "now".into()]).unwrap_err().to_string().contains("`now`"));
    }
}
