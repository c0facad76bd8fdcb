//! What is the same on every wire: an answer, streamed or not, and what a client is told.

use std::time::Duration;

use mellea_core::{FinishReason, Session, Usage};
use mellea_http::testing::Server;
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::{PEERS, settings};

#[tokio::test]
async fn an_answer_is_the_same_streamed_or_not() {
    for peer in PEERS {
        for streamed in [false, true] {
            let server = Server::start().await.unwrap();
            let answer = peer.answer(streamed);
            server.handle(move |_| answer.clone());
            let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
            let m = Session::new((peer.make)(&server.url(), settings(Timeouts::new(), retry)));
            let output = if streamed {
                m.chat("Say hello.").stream().await.unwrap().finish().await.unwrap()
            } else {
                m.chat("Say hello.").await.unwrap()
            };
            let place = format!("{}, streamed: {streamed}", peer.name);
            let output = output.output();
            assert_eq!(output.text, "Hello world", "{place}");
            assert_eq!(output.finish, FinishReason::Stop, "{place}");
            assert_eq!(output.usage, Usage::new(5, 2), "{place}");
            assert!(output.warnings.is_empty(), "{place}: {:?}", output.warnings);
            assert_eq!(server.count(), 1, "{place}");
        }
    }
}

#[tokio::test]
async fn every_backend_goes_by_what_its_client_is_told() {
    for peer in PEERS {
        let proxy = Server::start().await.unwrap();
        let answer = peer.answer(false);
        proxy.handle(move |_| answer.clone());
        let mut told = settings(Timeouts::new(), Retry::never());
        told.proxy = Some(proxy.url().into());
        told.headers.push(("x-team".to_owned(), "blue".to_owned()));
        told.insecure = true;
        let m = Session::new((peer.make)("http://far.example", told));
        m.chat("Say hello.").await.unwrap_or_else(|error| panic!("{}: {error}", peer.name));
        let request = &proxy.requests()[0];
        assert_eq!(request.header("host"), Some("far.example"), "{}", peer.name);
        assert_eq!(request.header("x-team"), Some("blue"), "{}", peer.name);
    }
}
