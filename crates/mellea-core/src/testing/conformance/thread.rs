//! Whether a call leaves its thread to others while it waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::Fixture;
use super::cases::{Fault, request};
use crate::backend::{Backend, ChatRequest};

/// The longest that one step of a call may hold its thread.
const MOST: Duration = Duration::from_millis(100);

/// How often it is tried: on a busy machine a thread may be stopped at any place.
const TRIES: usize = 5;

/// Runs the call alone on a thread: what serves it runs elsewhere and cannot be held up, and a call
/// that never lets go of its thread does not hold up the check.
pub(super) async fn yields(fixture: &Fixture) -> Result<(), Fault> {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        let (tell, told) = oneshot::channel();
        let backend = Arc::clone(&fixture.backend);
        let mut request = request(&fixture.prompt);
        request.options.stream = true;
        let spawned = std::thread::Builder::new().name("conformance".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
                let result = runtime.block_on(longest_step(&*backend, request));
                runtime.shutdown_background();
                result
            });
            // Who asked may have given up.
            let _ = tell.send(result);
        });
        spawned.map_err(|error| format!("no thread for the call: {error}"))?;
        match tokio::time::timeout(fixture.limit / 2, told).await {
            Ok(Ok(longest)) => shortest = shortest.min(longest?),
            Ok(Err(_)) => return Err("it panicked".to_owned()),
            Err(_) => return Err("alone on its thread, the call does not end".to_owned()),
        }
        if shortest <= MOST {
            return Ok(());
        }
    }
    Err(format!("it holds its thread for {shortest:?} at a time, in which no other call on it runs"))
}

/// How long the longest step of a call takes, from its start to its last event.
async fn longest_step(backend: &dyn Backend, request: ChatRequest) -> Result<Duration, Fault> {
    let mut longest = Duration::ZERO;
    let call = backend.chat(request);
    let mut call = std::pin::pin!(call);
    let events = std::future::poll_fn(|cx| timed(&mut longest, || call.as_mut().poll(cx))).await;
    let mut events = events.map_err(|error| format!("the call failed: {error}"))?;
    while let Some(event) = std::future::poll_fn(|cx| timed(&mut longest, || events.poll_next_unpin(cx))).await {
        event.map_err(|error| format!("the call failed: {error}"))?;
    }
    Ok(longest)
}

fn timed<T>(longest: &mut Duration, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let output = step();
    *longest = start.elapsed().max(*longest);
    output
}
