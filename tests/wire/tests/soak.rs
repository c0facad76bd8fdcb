//! Many calls at once with faults among them: none may be lost, none may hang, and nothing may be
//! left over.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use mellea_core::{Error, ModelOption, Session};
use mellea_http::testing::{Gate, Reply, Server, Step};
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::{PEERS, Peer, settings};

/// Calls, and streams at the same time.
const CALLS: usize = 20_000;
const STREAMS: usize = 2_000;
/// One request in this many fails.
const ONE_IN: usize = 20;
/// Memory that may be held after the warm-up.
const GROWTH: usize = 20 << 20;

/// Open files of this process.
fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Memory of this process that is in use.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Each fault in turn.
fn fail(peer: &Peer, number: usize, streamed: bool) -> Reply {
    let stopped = |step: Step| {
        let mut steps: Vec<Step> = peer.hello().into_iter().take(3).map(Step::Send).collect();
        steps.push(step);
        Reply::stream(peer.stream_type, steps)
    };
    match number % 6 {
        0 => Reply::status(500),
        1 => Reply::json(400, &(peer.error)("invalid_request_error", "no")),
        2 if peer.streams(streamed) => stopped(Step::Cut),
        3 if peer.streams(streamed) => stopped(Step::Reset),
        4 if peer.streams(streamed) => stopped(Step::Send((peer.error_piece)())),
        5 if !streamed => Reply::status(200).hang(),
        _ => Reply::text(200, "{", "application/json"),
    }
}

/// A server that fails one request in twenty; answers to streams wait at the gate.
async fn server(peer: Peer, streamed: bool, gate: Option<Gate>) -> Server {
    let server = Server::start().await.unwrap();
    server.record(false);
    let answer = match gate {
        None => peer.answer(streamed),
        Some(gate) => {
            let mut steps: Vec<Step> = peer.hello().into_iter().map(Step::Send).collect();
            steps.insert(2, Step::Gate(gate));
            Reply::stream(peer.stream_type, steps)
        }
    };
    let count = AtomicUsize::new(0);
    server.handle(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        if number % ONE_IN == ONE_IN - 1 { fail(&peer, number / ONE_IN, streamed) } else { answer.clone() }
    });
    server
}

fn session(peer: &Peer, server: &Server, silence: f64) -> Session {
    let timeouts = Timeouts::new().first_byte(Duration::from_secs(60));
    let retry = Retry::new().attempts(2).waits(Duration::ZERO, Duration::ZERO).budget(1_000_000);
    let backend = (peer.make)(&server.url(), settings(timeouts, retry));
    Session::builder(backend).option(ModelOption::StreamTimeout, silence).build()
}

/// How calls ended: as they should, or with an error that says what happened.
#[derive(Default)]
struct Ends {
    fine: AtomicUsize,
    failed: AtomicUsize,
}

impl Ends {
    fn count(&self, result: Result<String, Error>) {
        match result {
            Ok(text) => {
                assert_eq!(text, "Hello world");
                self.fine.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                assert!(error.provider().is_some(), "{error:?}");
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn all(&self) -> usize {
        self.fine.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed)
    }
}

/// Calls one after the other in 64 lanes.
async fn calls(peer: Peer, number: usize) -> Ends {
    let server = server(peer, false, None).await;
    let (m, ends) = (session(&peer, &server, 2.0), Ends::default());
    let all = futures_util::stream::iter(0..number)
        .map(|_| async { ends.count(m.chat("Say hello.").await.map(|answer| answer.output().text.clone())) });
    all.buffer_unordered(64).for_each(|()| async {}).await;
    ends
}

/// Streams that are all open before the first of them goes on.
async fn streams(peer: Peer, number: usize) -> Ends {
    let gate = Gate::new();
    let server = server(peer, true, Some(gate.clone())).await;
    // Time enough for all of them to be open.
    let (m, ends) = (session(&peer, &server, 120.0), Arc::new(Ends::default()));
    let all: Vec<_> = (0..number)
        .map(|_| {
            let (m, ends) = (m.clone(), Arc::clone(&ends));
            tokio::spawn(async move {
                let text = match m.chat("Say hello.").stream().await {
                    Ok(stream) => stream.finish().await.map(|answer| answer.output().text.clone()),
                    Err(error) => Err(error),
                };
                ends.count(text);
            })
        })
        .collect();
    // Nineteen in twenty wait at the gate.
    assert!(
        server.wait_until(|s| s.max_in_flight() >= number * 9 / 10, Duration::from_secs(60)).await,
        "{}",
        server.max_in_flight()
    );
    gate.open();
    for task in all {
        task.await.unwrap();
    }
    drop((m, server));
    Arc::into_inner(ends).unwrap()
}

async fn settled(files_before: usize) -> usize {
    for _ in 0..200 {
        if files() <= files_before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    files()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_left_over() {
    let peers: Vec<Peer> = PEERS.into_iter().filter(|peer| ["openai", "ollama"].contains(&peer.name)).collect();
    assert_eq!(peers.len(), 2);
    let run = async |calls_each: usize, streams_each: usize| {
        for peer in &peers {
            let (called, streamed) = (calls(*peer, calls_each).await, streams(*peer, streams_each).await);
            for (what, ends, number) in [("calls", called, calls_each), ("streams", streamed, streams_each)] {
                assert_eq!(ends.all(), number, "{what} of {} were lost", peer.name);
                let failed = ends.failed.load(Ordering::Relaxed);
                assert!(failed > 0 && failed < number / 10, "{failed} of {number} {what} of {} failed", peer.name);
                println!("{} {what} of {}: {failed} failed, each with its error", number, peer.name);
            }
        }
    };
    let files_before = files();
    run(CALLS / 10, STREAMS).await;
    let warm = (settled(files_before).await, memory());
    run(CALLS / 2, STREAMS).await;
    let after = (settled(files_before).await, memory());
    let growth = after.1.saturating_sub(warm.1);
    println!(
        "memory: {} KiB after the warm-up, {} KiB more at the end; files: {files_before}, then {}",
        warm.1 >> 10,
        growth >> 10,
        after.0
    );
    assert!(growth < GROWTH, "memory grew by {growth} bytes");
    assert!(after.0 <= files_before, "{} files were left open", after.0 - files_before);
}
