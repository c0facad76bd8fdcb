//! Steps of a task: each runs, whatever became of those before it, and is counted and timed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Failure;

/// The steps so far.
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    time: Duration,
    failure: Option<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { done: Vec::new() }
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

    /// Prints how long each step took and, as the last line, how many passed and failed.
    pub(crate) fn finish(self) -> ExitCode {
        println!();
        for line in self.summary() {
            println!("{line}");
        }
        if self.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn failed(&self) -> usize {
        self.done.iter().filter(|step| step.failure.is_some()).count()
    }

    fn summary(&self) -> Vec<String> {
        let line = |step: &Step| {
            let word = if step.failure.is_none() { "passed" } else { "failed" };
            let first_line = step.failure.as_deref().and_then(|f| f.lines().next()).map(|f| format!("  {f}"));
            format!("{:<10} {word} {:>8.1} s{}", step.name, step.time.as_secs_f64(), first_line.unwrap_or_default())
        };
        let counts = format!("{} passed, {} failed", self.done.len() - self.failed(), self.failed());
        self.done.iter().map(line).chain([counts]).collect()
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
        assert!(summary[0].starts_with("one        failed") && summary[0].ends_with("a reason"), "{summary:?}");
        assert_eq!(summary.last().unwrap(), "1 passed, 1 failed");
    }
}
