//! Every fault on every remote backend, streamed and not: each must come to its documented error.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use mellea_core::{ChatContext, Error, ErrorKind, RejectionSampling, Session};
use mellea_http::testing::{Server, unused_address};
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::{CANARY, FAULTS, Fault, PEERS, Peer, Sent, settings};

/// What a fault came to.
#[derive(Debug)]
struct Met {
    what: String,
    partial: String,
    requests: usize,
}

fn kind(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Timeout { phase, .. } => format!("Timeout {phase:?}"),
        ErrorKind::Provider(said) => said.status.map_or_else(|| "Provider".to_owned(), |status| format!("Provider {status}")),
        other => format!("{other:?}").chars().take_while(char::is_ascii_alphanumeric).collect(),
    }
}

async fn meet(fault: &Fault, peer: &Peer, streamed: bool) -> Met {
    let server = Server::start().await.unwrap();
    let unused = unused_address().unwrap();
    let url = match (fault.send)(peer, streamed) {
        Sent::Nobody => unused.url(),
        Sent::NoHost => "http://no-such-host.internal".to_owned(),
        Sent::NoTls => server.url().replace("http:", "https:"),
        Sent::Replies(replies) => {
            let next = std::sync::Mutex::new(replies.into_iter().collect::<std::collections::VecDeque<_>>());
            server.handle(move |_| {
                let mut replies = next.lock().unwrap();
                if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() }
            });
            server.url()
        }
    };
    let timeouts = Timeouts::new().first_byte(fault.silence).idle(fault.silence);
    let retry = Retry::new().attempts(2).waits(Duration::ZERO, Duration::ZERO);
    let m = Session::builder((peer.make)(&url, settings(timeouts, retry))).context(ChatContext::new()).build();
    let before = format!("{:?}", m.context());
    let start = Instant::now();
    let result = if streamed {
        match m.chat("Say hello.").stream().await {
            Ok(stream) => stream.finish().await,
            Err(error) => Err(error),
        }
    } else {
        m.chat("Say hello.").strategy(RejectionSampling::new(1)).await
    };
    let place = format!("{} on {}, streamed: {streamed}", fault.name, peer.name);
    assert!(start.elapsed() < Duration::from_secs(20), "{place}: it took {:?}", start.elapsed());
    let requests = server.requests().iter().filter(|r| r.method == "POST").count();
    let (what, partial) = match &result {
        Ok(output) if output.output().text != "Hello world" && output.warnings().is_empty() => {
            (format!("ok with {:?}", output.output().text), String::new())
        }
        Ok(output) if output.warnings().is_empty() => ("ok".to_owned(), String::new()),
        Ok(_) => ("ok with a warning".to_owned(), String::new()),
        Err(error) => {
            assert_eq!(format!("{:?}", m.context()), before, "{place}: the context changed");
            assert!(error.provider().is_some() && error.model().is_some(), "{place}: {error:?}");
            let shown = format!("{error} {error:?} {error:#?}");
            assert!(!shown.contains(CANARY), "{place}: {shown}");
            (kind(error), error.partial().map(|output| output.text.clone()).unwrap_or_default())
        }
    };
    Met { what, partial, requests }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_fault_on_every_backend() {
    let mut wrong = String::new();
    let mut table = String::new();
    for streamed in [false, true] {
        writeln!(table, "{}\n", if streamed { "streamed" } else { "not streamed" }).unwrap();
        for fault in &FAULTS {
            // A task and a thread each: to build a client takes longer than some of the limits, and must hold up no other.
            let meetings: Vec<_> = PEERS.iter().map(|peer| tokio::spawn(meet(fault, peer, streamed))).collect();
            let met: Vec<Met> = futures_util::future::join_all(meetings).await.into_iter().map(Result::unwrap).collect();
            let mut cells: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for (peer, met) in PEERS.iter().zip(&met) {
                let (expected, requests) = fault.expected(peer, streamed);
                if !fits(&met.what, expected) || met.requests != requests {
                    writeln!(
                        wrong,
                        "{} on {} (streamed: {streamed}): {met:?}, expected {expected} after {requests}",
                        fault.name, peer.name
                    )
                    .unwrap();
                }
                let partial = if met.partial.is_empty() { String::new() } else { format!(", kept {:?}", met.partial) };
                cells.entry(format!("{} after {}{partial}", met.what, met.requests)).or_default().push(peer.name);
            }
            for (cell, peers) in &cells {
                let who = if peers.len() == PEERS.len() { "all".to_owned() } else { peers.join(" ") };
                writeln!(table, "{:38} {cell:58} {who}", fault.name).unwrap();
            }
        }
        writeln!(table).unwrap();
    }
    println!("{table}");
    assert!(wrong.is_empty(), "\n{wrong}");
    insta::assert_snapshot!(table);
}

fn fits(what: &str, expected: &str) -> bool {
    match expected {
        // What status an error within a stream stands for differs from service to service.
        "Provider" => what.starts_with(expected),
        // Or the digits are taken for the text they stand for.
        "no answer" => ["EmptyResponse", "MalformedResponse", "ok with \"420\"", "ok with \"42\""].contains(&what),
        _ => what == expected,
    }
}
