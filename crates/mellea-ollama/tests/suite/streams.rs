//! Answers as they come in, whole and broken.

use futures_util::StreamExt;
use mellea_core::{Backend, ErrorKind, Event, FinishReason, TokenLogprob, Usage, Warning};
use mellea_http::testing::{Reply, Server, Step};
use mellea_ollama::Decoder;
use mellea_ollama::wire::{Chunk, LocalModel, ModelInfo, PullLine, RunningModel};
use mellea_wire::{Fault, Reader, Rules};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{MODEL, answer, ask, backend, builder, end, events, hi, piece, refusal, text};

/// An answer with everything in it.
fn rich() -> Vec<Value> {
    let message = |message: Value| json!({"model": MODEL, "message": message, "done": false});
    vec![
        message(json!({"content": "", "thinking": "Let me see — "})),
        message(json!({"content": "", "thinking": "ok."})),
        message(json!({"content": "Grüße, 世界 🌍"})),
        json!({"model": MODEL, "message": {"content": "!"}, "done": false, "logprobs": [{"token": "!", "logprob": -0.25, "bytes": [33],
            "top_logprobs": [{"token": "!", "logprob": -0.25}, {"token": "?", "logprob": -2.0}]}]}),
        message(json!({"content": "", "tool_calls": [
            {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": {"a": 1, "b": [2]}}},
            {"function": {"index": 0, "name": "add", "arguments": {"a": 3}}},
            {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": "{\"a\": 4}"}}]})),
        message(json!({"content": "", "tool_calls": [{"id": "call_2", "function": {"name": "now"}}]})),
        end(),
    ]
}

fn wire(lines: &[Value]) -> Vec<u8> {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

async fn serve(reply: Reply) -> Server {
    let server = Server::start().await.unwrap();
    server.on("POST /api/chat").reply(reply);
    server
}

/// Events without the ids that are made up.
fn comparable(events: Vec<Event>) -> Vec<Event> {
    let mut calls = 0;
    let mut same = |event| match event {
        Event::ToolCall(mut call) => {
            calls += 1;
            assert!(!call.id.is_empty());
            call.id = calls.to_string();
            Event::ToolCall(call)
        }
        other => other,
    };
    events.into_iter().map(&mut same).collect()
}

#[tokio::test]
async fn everything_in_an_answer_is_an_event() {
    let server = serve(Reply::ndjson(rich())).await;
    let events = events(&backend(&server), hi()).await;
    let ids: Vec<&str> =
        events.iter().filter_map(|e| if let Event::ToolCall(call) = e { Some(call.id.as_str()) } else { None }).collect();
    assert_eq!((ids.len(), ids[0], ids[3]), (4, "call_1", "call_2"));
    assert!(ids[1] != ids[2] && ids[2] != "call_1", "ids are unique: {ids:?}");
    let mut bang = TokenLogprob::new("!", -0.25);
    bang.top = vec![("!".to_owned(), -0.25), ("?".to_owned(), -2.0)];
    assert!(events.contains(&Event::Logprobs(vec![bang])));
    assert!(events.contains(&Event::Model(MODEL.to_owned())));
    insta::assert_json_snapshot!(comparable(events));
}

#[tokio::test]
async fn an_answer_is_the_same_wherever_the_network_cuts_it() {
    let bytes = wire(&rich());
    let server = Server::start().await.unwrap();
    let backend = backend(&server);
    server.on("POST /api/chat").replies((1..bytes.len()).step_by(7).map(|cut| {
        let (a, b) = bytes.split_at(cut);
        Reply::stream("application/x-ndjson", [Step::send(a), Step::send(b)])
    }));
    let whole = comparable(decode(&rich()));
    for cut in (1..bytes.len()).step_by(7) {
        assert_eq!(comparable(events(&backend, hi()).await), whole, "cut at {cut}");
    }
    let server = serve(Reply::bytes(200, bytes, "application/x-ndjson").chunk_size(1)).await;
    assert_eq!(comparable(events(&crate::backend(&server), hi()).await), whole);
}

/// The events of these lines, without a network.
fn decode(lines: &[Value]) -> Vec<Event> {
    let mut reader = Reader::new(Decoder::default(), Rules::new());
    lines.iter().for_each(|line| reader.frame(line.to_string(), false).unwrap());
    std::iter::from_fn(|| reader.pop()).collect()
}

#[tokio::test]
async fn a_stream_that_ends_at_any_byte_before_its_last_line_is_an_error_with_the_text_so_far() {
    let bytes = wire(&[piece("One "), piece("two "), end()]);
    let last = bytes.len() - 1;
    let server = Server::start().await.unwrap();
    let cuts = || (0..last).step_by(3);
    server.on("POST /api/chat").replies(cuts().map(|cut| Reply::bytes(200, &bytes[..cut], "application/x-ndjson")));
    let backend = backend(&server);
    let first = wire(&[piece("One ")]).len();
    for cut in cuts() {
        let (events, error) = ask(&backend, hi()).await;
        let error = error.unwrap_or_else(|| panic!("cut at {cut}: {events:?}"));
        assert!(matches!(error.kind(), ErrorKind::StreamInterrupted), "cut at {cut}: {error:?}");
        assert_eq!(text(&events).is_empty(), cut < first - 1, "cut at {cut}");
    }
    // A last line without its end is whole.
    let server = serve(Reply::bytes(200, &bytes[..last], "application/x-ndjson")).await;
    assert_eq!(text(&events(&crate::backend(&server), hi()).await), "One two ");
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error_with_the_text_so_far() {
    for step in [Step::Cut, Step::Reset] {
        let steps = [Step::send(wire(&[piece("One ")])), Step::Wait(std::time::Duration::from_millis(20)), step];
        let server = serve(Reply::stream("application/x-ndjson", steps)).await;
        let (events, error) = ask(&backend(&server), hi()).await;
        assert_eq!(text(&events), "One ");
        assert!(matches!(error.unwrap().kind(), ErrorKind::StreamInterrupted));
    }
}

#[tokio::test]
async fn an_error_line_ends_the_answer_and_keeps_its_text() {
    let lines =
        [piece("One "), piece("two "), piece("three "), json!({"error": "an error was encountered while running the model"})];
    let server = serve(Reply::ndjson(lines)).await;
    let (events, error) = ask(&backend(&server), hi()).await;
    assert_eq!(text(&events), "One two three ");
    let error = error.unwrap();
    assert!(matches!(error.kind(), ErrorKind::Provider(said) if said.message.contains("while running the model")), "{error:?}");
    assert_eq!(server.count(), 1, "nothing is repeated once text was handed on");
}

#[tokio::test]
async fn an_error_as_the_first_line_is_a_refusal() {
    let server = serve(Reply::ndjson([json!({"error": "model runner has unexpectedly stopped"})])).await;
    let error = backend(&server).chat(hi()).await.unwrap_err();
    assert!(error.to_string().contains("model runner has unexpectedly stopped"), "{error}");
}

#[tokio::test]
async fn a_broken_line_within_an_answer_is_an_error_unless_it_is_to_be_skipped() {
    let broken = |n| {
        let steps = [Step::send(wire(&[piece("One ")]))].into_iter().chain((0..n).map(|_| Step::send("{\"message\":{\"con\n")));
        Reply::stream("application/x-ndjson", steps.chain([Step::send(wire(&[piece("two"), end()]))]))
    };
    let (seen, error) = ask(&backend(&serve(broken(1)).await), hi()).await;
    assert_eq!(text(&seen), "One ");
    assert!(matches!(error.unwrap().kind(), ErrorKind::MalformedResponse { .. }));
    let server = serve(broken(2)).await;
    let events = events(&builder(&server).skip_unreadable().build().unwrap(), hi()).await;
    assert_eq!(text(&events), "One two");
    let warning = events.iter().find_map(|e| if let Event::Warning(warning) = e { Some(warning.to_string()) } else { None });
    assert!(warning.unwrap().starts_with("2 pieces of the answer could not be read"));
    let server = serve(broken(17)).await;
    let error = refusal(&builder(&server).skip_unreadable().build().unwrap(), hi()).await;
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{error}");
    let error = refusal(&backend(&serve(Reply::text(200, "hello\n", "text/plain")).await), hi()).await;
    assert!(matches!(error.kind(), ErrorKind::MalformedResponse { .. }), "{error}");
}

#[tokio::test]
async fn why_a_model_stopped() {
    for (reason, finish) in [
        (json!("stop"), FinishReason::Stop),
        (json!(""), FinishReason::Stop),
        (json!(null), FinishReason::Stop),
        (json!("length"), FinishReason::Length),
        (json!("unload"), FinishReason::Other("unload".to_owned())),
    ] {
        let last = json!({"done": true, "done_reason": reason});
        assert!(decode(&[piece("x"), last]).contains(&Event::Finish(finish)), "{reason}");
    }
}

#[test]
fn a_missing_count_is_zero_beside_one_that_is_there() {
    let usage =
        |last: Value| decode(&[last]).into_iter().find_map(|e| if let Event::Usage(usage) = e { Some(usage) } else { None });
    assert_eq!(usage(json!({"done": true, "eval_count": 4})), Some(Usage::new(0, 4)));
    assert_eq!(usage(json!({"done": true, "prompt_eval_count": 4})), Some(Usage::new(4, 0)));
    assert_eq!(usage(json!({"done": true})), None);
    let cached = usage(json!({"done": true, "prompt_eval_count": 4, "prompt_eval_cached_count": 3})).unwrap();
    assert_eq!(cached.cached_tokens, Some(3));
}

#[test]
fn a_tool_call_without_a_name_is_a_warning() {
    let lines = [json!({"message": {"tool_calls": [{"function": {"arguments": {}}}, null]}}), end()];
    let events = decode(&lines);
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Warning(Warning::Note { .. }))).count(), 1);
    assert!(events.contains(&Event::Finish(FinishReason::Stop)));
}

#[tokio::test]
async fn an_answer_of_nothing_but_tool_calls_ends() {
    let call = json!({"function": {"name": "now", "arguments": {}}});
    let many = json!({"message": {"tool_calls": vec![call; 1025]}});
    let error = refusal(&backend(&serve(Reply::ndjson([many, end()])).await), hi()).await;
    assert!(matches!(error.kind(), ErrorKind::Degenerate(text) if text.contains("256 tool calls")), "{error}");
}

#[tokio::test]
async fn a_server_that_only_loads_the_model_is_asked_once_more() {
    let load = || {
        Reply::ndjson([
            json!({"model": MODEL, "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": "load"}),
        ])
    };
    let server = serve(load()).await;
    server.on("POST /api/chat").reply(answer(&["Hello"]));
    assert_eq!(text(&events(&backend(&server), hi()).await), "Hello");
    assert_eq!(server.count(), 2);
    let server = serve(load()).await;
    let error = refusal(&backend(&server), hi()).await;
    assert!(matches!(error.kind(), ErrorKind::EmptyResponse) && error.hint().unwrap().contains("loaded the model"), "{error}");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn dropping_a_stream_or_a_call_closes_the_connection() {
    let hold = Reply::stream("application/x-ndjson", [Step::send(wire(&[piece("One ")])), Step::Hang]);
    let server = serve(hold).await;
    server.on("POST /api/chat").reply(Reply::status(200).hang());
    let backend = builder(&server).build().unwrap();
    let soon = std::time::Duration::from_secs(10);
    let mut stream = backend.chat(hi()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), Event::Model(MODEL.to_owned()));
    drop(stream);
    assert!(server.wait_until(|server| server.in_flight() == 0, soon).await);
    let call = tokio::spawn(async move { backend.chat(hi()).await.map(drop) });
    assert!(server.wait_until(|server| server.in_flight() == 1, soon).await);
    call.abort();
    assert!(server.wait_until(|server| server.in_flight() == 0, soon).await);
}

#[tokio::test]
async fn odd_but_real_answers_are_read() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 20);
    let mut read = serde_json::Map::new();
    for file in files {
        let body = std::fs::read(&file).unwrap();
        let text = String::from_utf8(body.clone()).unwrap();
        let odd_ends = format!("\u{feff}\r\n{}\r\n", text.replace('\n', "\r\n\r\n"));
        let server = serve(Reply::bytes(200, body, "application/x-ndjson")).await;
        server.on("POST /api/chat").reply(Reply::bytes(200, odd_ends, "application/json"));
        let backend = backend(&server);
        let events = comparable(crate::events(&backend, hi()).await);
        assert_eq!(comparable(crate::events(&backend, hi()).await), events, "{}", file.display());
        let shown = events.into_iter().filter(|event| !matches!(event, Event::Raw(_)));
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        read.insert(name, shown.map(|event| serde_json::to_string(&event).unwrap()).collect());
    }
    insta::assert_json_snapshot!(read);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "model",
        "message",
        "content",
        "thinking",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "done",
        "done_reason",
        "prompt_eval_count",
        "eval_count",
        "logprobs",
        "token",
        "top_logprobs",
        "response",
        "error",
        "status",
        "total",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_breaks_the_decoder(lines in prop::collection::vec(any_json(), 0..6)) {
        let mut reader = Reader::new(Decoder::default(), Rules::new());
        let mut finishes = 0;
        for line in lines {
            let read = reader.frame(line.to_string(), false);
            let unread = matches!(read, Err(Fault::Malformed { .. }));
            prop_assert!(!unread || !line.is_object(), "every object is read: {line}");
            while let Some(event) = reader.pop() {
                finishes += usize::from(matches!(event, Event::Finish(_)));
            }
        }
        prop_assert_eq!(finishes, usize::from(reader.is_complete()));
    }

    #[test]
    fn no_json_breaks_what_is_said_of_models(value in any_json()) {
        let text = value.to_string();
        let read = [
            serde_json::from_str::<ModelInfo>(&text).is_ok_and(|info| (info.context_length(), info.num_ctx(), info.can("x")) != (Some(0), Some(0), None)),
            serde_json::from_str::<RunningModel>(&text).is_ok(),
            serde_json::from_str::<LocalModel>(&text).is_ok(),
            serde_json::from_str::<PullLine<'_>>(&text).is_ok(),
        ];
        prop_assert!(!value.is_object() || read == [true; 4], "{value}");
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
        let _ = serde_json::from_str::<Chunk<'_>>(&text);
    }

    #[test]
    fn texts_come_out_as_they_went_in(texts in prop::collection::vec("\\PC{0,20}", 0..8)) {
        let lines: Vec<Value> = texts.iter().map(|text| piece(text)).chain([end()]).collect();
        prop_assert_eq!(text(&decode(&lines)), texts.concat());
    }
}
