//! Your own strategy: ask several times at once, and take the answer that most attempts gave.

use mellea::prelude::*;
use mellea::sampling::{Budget, Next, Progress};
use mellea::testing::ScriptedBackend;
use mellea::{Attempt, SamplingStrategy};

#[derive(Debug)]
struct Majority {
    of: usize,
}

impl Majority {
    fn votes(attempts: &[Attempt], text: &str) -> usize {
        attempts.iter().filter(|attempt| attempt.succeeded() && attempt.text() == text).count()
    }
}

impl SamplingStrategy for Majority {
    fn budget(&self) -> Budget {
        Budget::attempts(self.of).concurrency(self.of)
    }

    fn next(&self, _so_far: &Progress<'_>) -> Next {
        Next::again()
    }

    /// More than half agree: those under way are cancelled.
    fn enough(&self, attempts: &[Attempt]) -> bool {
        attempts.iter().any(|attempt| Self::votes(attempts, attempt.text()) > self.of / 2)
    }

    fn choose(&self, attempts: &[Attempt]) -> usize {
        (0..attempts.len()).max_by_key(|&i| Self::votes(attempts, attempts[i].text())).unwrap_or(0)
    }
}

#[tokio::main]
async fn main() -> mellea::Result<()> {
    let m = Session::new(ScriptedBackend::new(["41", "42", "forty-two", "42", "42"]));
    let result = m
        .instruct("What is 6 times 7?")
        .require(req("Write digits only.").validate(|s| s.parse::<u32>().is_ok()))
        .strategy(Majority { of: 5 })
        .sample()
        .await?;
    for attempt in result.attempts() {
        println!("{attempt}");
    }
    assert_eq!(result.value().map(String::as_str), Some("42"));
    Ok(())
}
