//! An answer is the same whether it was streamed or not, and the same on every wire.

use std::time::Duration;

use mellea_core::{FinishReason, Session, Usage};
use mellea_http::testing::Server;
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::PEERS;

#[tokio::test]
async fn an_answer_is_the_same_streamed_or_not() {
    for peer in PEERS {
        for streamed in [false, true] {
            let server = Server::start().await.unwrap();
            let answer = peer.answer(streamed);
            server.handle(move |_| answer.clone());
            let retry = Retry::new().waits(Duration::ZERO, Duration::ZERO);
            let m = Session::new((peer.make)(&server.url(), Timeouts::new(), retry));
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
