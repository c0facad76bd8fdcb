//! Many calls leave nothing behind. A binary of its own: other tests would share its memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "all of this is tests")]

use async_trait::async_trait;
use mellea_core::{Backend, ChatRequest, Event, EventStream, FinishReason, Result, Session, req};

/// Answers at once and remembers nothing.
#[derive(Debug)]
struct Forgetful;

#[async_trait]
impl Backend for Forgetful {
    fn provider(&self) -> &str {
        "forgetful"
    }

    fn model(&self) -> &str {
        "forgetful"
    }

    async fn chat(&self, _: ChatRequest) -> Result<EventStream> {
        Ok(EventStream::ready([Event::Text("An answer of some length. ".repeat(40)), Event::Finish(FinishReason::Stop)]))
    }
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * PAGE
}

#[tokio::test]
async fn two_thousand_calls_do_not_fill_the_memory() {
    let m = Session::new(Forgetful);
    let call = || m.instruct("Write {{what}}.").var("what", "something").require(req("long").validate(|t| t.len() > 10));
    for _ in 0..200 {
        call().await.unwrap();
    }
    let before = resident();
    for _ in 0..2000 {
        call().await.unwrap();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 5 << 20, "2,000 calls grew the process by {grown} bytes");
}
