//! The rules of every backend, on the simulator.

use std::sync::Arc;

use mellea_core::testing::conformance::Fixture;
use mellea_core::{ToolSpec, backend_conformance};
use mellea_http::testing::{Recorded, Server};
use serde_json::json;

use crate::{builder, simulator};

async fn fixture() -> Fixture {
    let server = Server::start().await.unwrap();
    server.handle(simulator::answer);
    let backend = builder(&server).connect().await.unwrap();
    let server = Arc::new(server);
    let parameters = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]});
    let wire = Arc::clone(&server);
    Fixture::new(backend)
        .tool("Add one to one.", ToolSpec::new("add", "Adds one.", parameters))
        .secret("not-a-key")
        .wire(move || wire.requests().iter().map(Recorded::text).collect())
        .in_flight(move || server.in_flight())
}

backend_conformance!(ollama, fixture());
