//! A key is shown nowhere: not by `Debug`, an error, a span, an event, or a recorded call.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mellea_core::testing::Recorder;
use mellea_core::{ChatContext, Session};
use mellea_http::testing::{Recorded, Reply, Server};
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::{CANARY, PEERS, settings};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down everything that spans and events carry.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<String>>);

impl Visit for Notebook {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl Subscriber for Notebook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A service that says back the key it was given, wherever it can.
fn parrot(request: &Recorded) -> Reply {
    let keys: Vec<&str> =
        request.headers.iter().filter(|(_, value)| value.contains(CANARY)).map(|(_, value)| value.as_str()).collect();
    assert!(!keys.is_empty(), "the key is in a header: {:?}", request.headers);
    assert!(!request.query.contains(CANARY), "the key is not in the address");
    let key = keys[0];
    Reply::json(500, &json!({"error": {"message": format!("no such key: {key}"), "code": key, "type": key}, "message": key}))
        .header("x-request-id", "r1")
}

#[tokio::test]
async fn a_key_is_shown_nowhere() {
    let notebook = Notebook::default();
    let guard = tracing::subscriber::set_default(notebook.clone());
    for peer in PEERS {
        let server = Server::start().await.unwrap();
        server.handle(parrot);
        let retry = Retry::new().attempts(2).waits(Duration::ZERO, Duration::ZERO);
        let recorder = Arc::new(Recorder::new((peer.make)(&server.url(), settings(Timeouts::new(), retry))));
        let m = Session::builder(Arc::clone(&recorder)).context(ChatContext::new()).build();
        let mut shown = format!("{:?} {:#?} {m:?} {:?}", m.backend(), m.backend(), m.context());
        for streamed in [false, true] {
            let error = if streamed {
                m.chat("Hi.").stream().await.unwrap().finish().await.unwrap_err()
            } else {
                m.chat("Hi.").await.unwrap_err()
            };
            write!(shown, "{error} {error:?} {error:#?}").unwrap();
            let mut next: Option<&dyn std::error::Error> = Some(&error);
            while let Some(cause) = next {
                write!(shown, "{cause} {cause:?}").unwrap();
                next = cause.source();
            }
        }
        assert_eq!(server.count(), 4, "{}: two calls of two attempts", peer.name);
        shown += &recorder.cassette().unwrap().to_json().unwrap();
        assert!(!shown.contains(CANARY), "{} shows its key: {shown}", peer.name);
    }
    drop(guard);
    let notes = notebook.0.lock().unwrap().clone();
    assert!(notes.contains("attempt"), "the retries were noted");
    assert!(!notes.contains(CANARY), "{notes}");
}
