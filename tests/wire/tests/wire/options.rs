//! Every option is on the wire or in a warning, on every backend.

use std::fmt::Write;

use mellea_core::tool::tool_fn;
use mellea_core::{ErrorKind, ModelOption, ModelOptions, Session};
use mellea_http::testing::{Recorded, Server};
use mellea_http::{Retry, Timeouts};
use mellea_wire_tests::{PEERS, Peer, settings};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct City {
    name: String,
}

/// The option with a value that differs from every default.
fn set(option: ModelOption) -> ModelOptions {
    let options = ModelOptions::new();
    match option {
        ModelOption::Temperature => options.with(option, 0.123),
        ModelOption::MaxNewTokens => options.with(option, 4321),
        ModelOption::Seed => options.with(option, 987_654),
        ModelOption::SystemPrompt => options.with(option, "Be brief."),
        ModelOption::Thinking => options.with(option, "high"),
        ModelOption::Stream | ModelOption::Logits | ModelOption::RawLogits => options.with(option, true),
        ModelOption::StreamTimeout | ModelOption::Timeout => options.with(option, 7.5),
        ModelOption::ToolChoice => options.with(option, "required"),
        ModelOption::ContextWindow => options.with(option, 5432),
        ModelOption::StopSequences => options.with(option, ["STOP HERE"]),
        _ => options,
    }
}

/// The request and the warnings of one call.
async fn call(peer: &Peer, options: &ModelOptions, tools: bool, strict: bool) -> (Option<Recorded>, Vec<String>) {
    let server = Server::start().await.unwrap();
    let streamed = options.get(ModelOption::Stream).is_some();
    let answer = peer.answer(streamed);
    server.handle(move |_| answer.clone());
    let mut session = Session::builder((peer.make)(&server.url(), settings(Timeouts::new(), Retry::never())));
    if strict {
        session = session.strict();
    }
    let m = session.build();
    let mut call = m.chat("Say hello.").options(options);
    if tools {
        call = call.tool(tool_fn("get_weather", "The weather.", |city: City| Ok(city.name)));
    }
    match call.await {
        Ok(output) => (server.requests().last().cloned(), output.warnings().iter().map(ToString::to_string).collect()),
        Err(error) => {
            assert!(strict && matches!(error.kind(), ErrorKind::Unsupported { .. }), "{}: {error:?}", peer.name);
            assert_eq!(server.count(), 0, "{}: it is refused before anything is sent", peer.name);
            (None, Vec::new())
        }
    }
}

fn wire(request: &Recorded) -> String {
    format!("{} {} {}", request.path, request.query, request.text())
}

#[tokio::test]
async fn every_option_is_on_the_wire_or_in_a_warning() {
    let mut table = format!("{:15}", "");
    for peer in PEERS {
        write!(table, "{:11}", peer.name).unwrap();
    }
    for option in ModelOption::ALL {
        write!(table, "\n{:15}", option.name()).unwrap();
        for peer in &PEERS {
            let tools = matches!(option, ModelOption::Tools | ModelOption::ToolChoice);
            let (plain, _) = call(peer, &ModelOptions::new(), option == ModelOption::ToolChoice, false).await;
            let (with, warnings) = call(peer, &set(option), tools, false).await;
            let on_wire = wire(&with.unwrap()) != wire(&plain.unwrap());
            let warned = warnings.iter().any(|warning| warning.contains(option.name()));
            let cell = match (on_wire, warned) {
                (true, true) => "both",
                (true, false) => "wire",
                (false, true) => "warning",
                // Our own clock.
                (false, false) if matches!(option, ModelOption::StreamTimeout | ModelOption::Timeout) => "clock",
                // This wire always has a stream.
                (false, false) if option == ModelOption::Stream && peer.always_streams => "always",
                (false, false) => panic!("{} on {} is dropped in silence: {warnings:?}", option.name(), peer.name),
            };
            write!(table, "{cell:11}").unwrap();
            let (refused, _) = call(peer, &set(option), tools, true).await;
            assert_eq!(refused.is_none(), warned, "{} on {}: strict sessions refuse what is warned of", option.name(), peer.name);
        }
    }
    let table: Vec<&str> = table.lines().map(str::trim_end).collect();
    println!("{}", table.join("\n"));
    insta::assert_snapshot!(table.join("\n"));
}

/// What a wire does not know goes along or is warned of.
#[tokio::test]
async fn an_unknown_option_is_not_dropped_in_silence() {
    for peer in &PEERS {
        let (with, warnings) = call(peer, &ModelOptions::new().with("no_such_option", json!(17)), false, false).await;
        // Some wires spell names as `noSuchOption`.
        let on_wire = with.unwrap().text().replace('_', "").to_lowercase().contains("nosuchoption");
        assert!(on_wire || warnings.iter().any(|w| w.contains("no_such_option")), "{}: {warnings:?}", peer.name);
    }
}

/// These mean the same on every remote backend.
#[tokio::test]
async fn one_call_may_have_its_own_headers_and_fields() {
    let options =
        ModelOptions::new().with("extra_headers", json!({"x-mine": "yes"})).with("extra_body", json!({"mine": {"a": 1}}));
    for peer in &PEERS {
        let (with, warnings) = call(peer, &options.clone().with("timeout", 5), false, false).await;
        let with = with.unwrap();
        assert_eq!(with.header("x-mine"), Some("yes"), "{}", peer.name);
        assert_eq!(with.json()["mine"], json!({"a": 1}), "{}", peer.name);
        assert!(with.json().get("timeout").is_none() && warnings.is_empty(), "{}: {warnings:?}", peer.name);
    }
}
