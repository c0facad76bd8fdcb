//! Runs a test program, shows what it prints, and reads the counts from it.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus};

use crate::Failure;

/// How many tests there were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) left_out: usize,
}

/// What became of a test program.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) tests: Tests,
}

impl Tests {
    pub(crate) fn add(&mut self, more: &Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.left_out += more.left_out;
    }

    /// The counts of the line that a test program ends with, such as
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
    fn read(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        let count = |what: &str| {
            let words = counts.split("; ").find_map(|part| part.trim().strip_suffix(what));
            words.and_then(|number| number.trim().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, left_out: count("ignored")? })
    }
}

/// Runs a command whose standard output is piped.
pub(super) fn run(command: &mut Command) -> Result<Ran, Failure> {
    let mut child = command.spawn().map_err(|e| format!("`{command:?}` does not start: {e}"))?;
    let mut tests = Tests::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if let Some(more) = Tests::read(&line) {
                tests.add(&more);
            }
        }
    }
    Ok(Ran { status: child.wait()?, tests })
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn the_last_line_of_a_test_program_is_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s";
        assert_eq!(Tests::read(line), Some(Tests { passed: 12, failed: 3, left_out: 1 }));
        assert_eq!(Tests::read("test result: ok."), None);
        assert_eq!(Tests::read("test a ... ok"), None);
    }

    #[test]
    fn what_several_programs_count_is_added() {
        let line = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        let mut echo = Command::new("echo");
        let ran = run(echo.arg(format!("{line}\n{line}")).stdout(Stdio::piped())).unwrap();
        assert!(ran.status.success());
        assert_eq!(ran.tests, Tests { passed: 4, failed: 0, left_out: 2 });
    }
}
