//! Calls of cargo and of other programs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// Cargo, in the root of the workspace and without an input.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The root of the workspace: the directory above this package.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Runs cargo; its output goes to the user.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<(), Failure> {
    finish(&mut command(arguments), None)
}

/// Runs a command to its end, or until the time is over.
pub(crate) fn finish(command: &mut Command, limit: Option<Duration>) -> Result<(), Failure> {
    let shown = show(command);
    println!("$ {shown}");
    let mut child = command.spawn().map_err(|e| format!("`{shown}` does not start: {e}"))?;
    let status = match limit {
        None => child.wait()?,
        Some(limit) => {
            let start = Instant::now();
            loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if start.elapsed() > limit {
                    child.kill()?;
                    child.wait()?;
                    return Err(format!("`{shown}` was stopped after {} s", limit.as_secs()).into());
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    };
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed with {status}").into()) }
}

/// Runs a command and gives what it prints.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let shown = show(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| format!("`{shown}` does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` failed with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether cargo has this subcommand.
pub(crate) fn has(subcommand: &str) -> bool {
    command([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Fails with the remedy if a component of the toolchain is missing.
pub(crate) fn need(component: &str, subcommand: &str) -> Result<(), Failure> {
    if has(subcommand) {
        return Ok(());
    }
    Err(format!("the toolchain has no {component}; `rustup component add {component}` installs it").into())
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_named() {
        let error = finish(&mut command(["no-such-command-here"]), None).unwrap_err().to_string();
        assert!(error.contains("cargo no-such-command-here"), "{error}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_stopped() {
        let mut sleep = Command::new("sleep");
        let error = finish(sleep.arg("60"), Some(Duration::from_millis(50))).unwrap_err().to_string();
        assert!(error.contains("stopped"), "{error}");
    }
}
