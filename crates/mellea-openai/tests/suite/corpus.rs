//! Bodies and streams as servers really send them: all of them are read, wherever the network cuts them.

use std::collections::BTreeMap;
use std::path::Path;

use insta::assert_json_snapshot;
use mellea_http::{Framer, SseEvent, SseFramer};
use mellea_openai::wire::ChatDecoder;
use mellea_wire::{Fault, Reader, Rules};
use proptest::prelude::*;

use super::*;

/// The files of the corpus with this ending.
fn files(ending: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = all.filter(|path| path.extension().is_some_and(|e| e == ending));
    wanted.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())).collect()
}

/// Ids that were made up differ from run to run.
fn settled(mut events: Vec<Event>) -> Vec<Event> {
    for event in &mut events {
        if let Event::ToolCall(call) = event
            && call.id.strip_prefix("call_").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        {
            call.id = "made up".to_owned();
        }
    }
    events
}

/// The events of a stream that comes in these pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, Fault> {
    let (mut framer, mut reader) = (SseFramer::default(), Reader::new(ChatDecoder::default(), Rules::new()));
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            reader.frame(frame.unwrap(), false)?;
        }
    }
    if let Some(Ok(frame)) = framer.finish() {
        reader.frame(frame, true)?;
    }
    reader.body_ended()?;
    Ok(settled(std::iter::from_fn(|| reader.pop()).collect()))
}

/// An event without a name.
fn event(data: &str) -> SseEvent {
    SseEvent { data: data.to_owned(), ..SseEvent::default() }
}

#[test]
fn every_odd_body_is_read() {
    let all = files("json");
    assert!(all.len() >= 20, "{}", all.len());
    for (name, body) in all {
        let mut reader = Reader::new(ChatDecoder::default(), Rules::new());
        reader.whole(&body).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_json_snapshot!(format!("body_{name}"), settled(std::iter::from_fn(|| reader.pop()).collect()));
    }
}

#[test]
fn every_odd_stream_is_read_wherever_it_is_cut() {
    for (name, bytes) in files("sse") {
        let whole = decode([bytes.as_slice()]).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        for cut in 0..bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(decode([a, b]).unwrap(), whole, "{name} cut at {cut}");
        }
        assert_eq!(decode(bytes.chunks(1)).unwrap(), whole, "{name} in single bytes");
        assert_json_snapshot!(format!("stream_{name}"), whole);
    }
}

#[test]
fn a_stream_that_ends_too_soon_never_passes_for_a_whole_one() {
    for (name, bytes) in files("sse") {
        let whole = fold(decode([bytes.as_slice()]).unwrap());
        for end in 0..bytes.len() {
            // What is read of a part is the whole answer, up to its figures, or no answer.
            if let Ok(events) = decode([&bytes[..end]]) {
                let part = fold(events);
                assert_eq!(
                    (&part.text, &part.calls.len(), &part.thinking),
                    (&whole.text, &whole.calls.len(), &whole.thinking),
                    "{name} to {end}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_breaks_the_decoder(data in prop::collection::vec(".{0,60}|[{}\\[\\]:\",a-c0-9]{0,40}", 0..8)) {
        let mut reader = Reader::new(ChatDecoder::default(), Rules::new());
        for data in &data {
            let _ = reader.frame(event(data), false);
        }
        let _ = reader.body_ended();
    }

    #[test]
    fn any_value_in_any_field_is_read(
        field in prop::sample::select(vec!["id", "model", "object", "choices", "usage", "error", "x_groq", "message", "code"]),
        deep in prop::sample::select(vec!["index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error"]),
        deeper in prop::sample::select(vec!["role", "content", "reasoning", "reasoning_content", "refusal", "tool_calls", "function_call"]),
        value in prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(-1), json!(1.5), json!(""), json!("x"), json!([]), json!([null, 1, "a", {}, []]), json!({}),
            json!({"content": [{"token": 1}]}), json!([{"index": -1, "function": 3}]), json!([{"type": "text"}, "b", 4]), json!(1e300),
        ]),
    ) {
        for body in [
            json!({ field: value.clone() }),
            json!({"choices": [{ deep: value.clone() }]}),
            json!({"choices": [{"delta": { deeper: value.clone() }}]}),
        ] {
            let read = Reader::new(ChatDecoder::default(), Rules::new()).frame(event(&body.to_string()), false);
            prop_assert!(!matches!(read, Err(Fault::Unreadable { .. } | Fault::Malformed { .. })), "{} {:?}", body, read);
        }
    }

    #[test]
    fn any_cut_in_three_gives_the_same(
        (name, bytes) in prop::sample::select(files("sse").into_iter().collect::<Vec<_>>()),
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
    ) {
        let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
        let (a, b) = (a.min(b), a.max(b));
        prop_assert_eq!(decode([&bytes[..a], &bytes[a..b], &bytes[b..]]), decode([bytes.as_slice()]), "{}", name);
    }
}
