//! Steps of a task: each runs, whatever became of those before it, and is counted and timed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::integration::Tests;

/// The steps so far.
pub(crate) struct Steps {
    done: Vec<Step>,
    skipped: Vec<String>,
    tests: Option<Tests>,
}

struct Step {
    name: &'static str,
    time: Duration,
    failure: Option<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { done: Vec::new(), skipped: Vec::new(), tests: None }
    }

    /// Runs a step.
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<(), Failure>) {
        println!("\n== {name}");
        let start = Instant::now();
        let failure = work().err().map(|e| e.to_string());
        if let Some(failure) = &failure {
            eprintln!("error: {failure}");
        }
        self.done.push(Step { name, time: start.elapsed(), failure });
    }

    /// Leaves a step out, and says why.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("\n== {name}\nskipped: {reason}");
        self.skipped.push(format!("{name:<14} skipped: {reason}"));
    }

    /// Adds the tests of a step to those that the last line counts.
    pub(crate) fn count(&mut self, tests: &Tests) {
        self.tests.get_or_insert_default().add(tests);
    }

    /// Prints how long each step took and, as the last line, how many passed and failed.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for line in self.summary() {
            println!("{line}");
        }
        if self.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(crate) fn failed(&self) -> usize {
        self.done.iter().filter(|step| step.failure.is_some()).count()
    }

    fn summary(&self) -> Vec<String> {
        let line = |step: &Step| {
            let word = if step.failure.is_none() { "passed" } else { "failed" };
            let first_line = step.failure.as_deref().and_then(|f| f.lines().next()).map(|f| format!("  {f}"));
            format!("{:<14} {word} {:>8.1} s{}", step.name, step.time.as_secs_f64(), first_line.unwrap_or_default())
        };
        let mut counts = format!("{} passed, {} failed", self.done.len() - self.failed(), self.failed());
        if !self.skipped.is_empty() {
            counts += &format!(", {} skipped", self.skipped.len());
        }
        if let Some(Tests { passed, failed, left_out }) = &self.tests {
            counts += &format!("; tests: {passed} passed, {failed} failed, {left_out} skipped");
        }
        self.done.iter().map(line).chain(self.skipped.iter().cloned()).chain([counts]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_counted_and_the_next_step_runs() {
        let mut steps = Steps::new();
        steps.run("one", || Err("a reason\nand more".into()));
        steps.run("two", || Ok(()));
        let summary = steps.summary();
        assert!(summary[0].starts_with("one            failed") && summary[0].ends_with("a reason"), "{summary:?}");
        assert_eq!(summary.last().unwrap(), "1 passed, 1 failed");
    }

    #[test]
    fn what_was_left_out_and_the_tests_are_counted() {
        let mut steps = Steps::new();
        steps.run("one", || Ok(()));
        steps.count(&Tests { passed: 3, failed: 0, left_out: 1 });
        steps.count(&Tests { passed: 2, failed: 1, left_out: 0 });
        steps.skip("two", "X is not set");
        let summary = steps.summary();
        assert_eq!(summary[1], "two            skipped: X is not set");
        assert_eq!(summary[2], "1 passed, 0 failed, 1 skipped; tests: 5 passed, 1 failed, 1 skipped");
    }
}
