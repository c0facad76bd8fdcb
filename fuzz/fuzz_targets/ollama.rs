//! Ollama's answers, line by line, and the progress of its pulls.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_core::Event;
use mellea_fuzz::{Outcome, PLACE, cut, frames, same};
use mellea_http::LineFramer;
use mellea_ollama::Decoder;
use mellea_ollama::wire::{Chunk, LocalModel, ModelInfo, PullLine, RunningModel};
use serde_json::json;

/// The answer in these pieces, read as the backend reads it.
fn read(pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut bad) = (Decoder::default(), 0);
    let framed = frames::<LineFramer>(pieces, |line| {
        match serde_json::from_str::<Chunk<'_>>(&line) {
            Ok(chunk) => match &chunk.error {
                Some(error) if !error.is_null() => return Err(PLACE.refused(&json!({ "error": error }))),
                _ => decoder.push(chunk),
            },
            Err(_) if bad < 8 => bad += 1,
            Err(error) => return Err(PLACE.malformed("", error.to_string())),
        }
        Ok(decoder.is_done())
    });
    let mut events: Vec<Event> = std::iter::from_fn(|| decoder.next()).collect();
    // What the server sent is kept as it was, once.
    assert!(events.iter().filter(|event| matches!(event, Event::Raw(_))).count() <= 1);
    let complete = framed.and_then(|done| if done { Ok(()) } else { Err(PLACE.interrupted()) });
    if complete.is_ok() && !events.iter().any(|event| matches!(event, Event::Finish(_))) {
        // An answer of too many calls is the only one that is done without an end.
        assert!(events.iter().filter(|event| matches!(event, Event::ToolCall(_))).count() == 1024);
        events.clear();
        return (events, Some(PLACE.interrupted()));
    }
    (events, complete.err())
}

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    same(&read(&[whole]), &read(&pieces));
    let lines = || whole.split(|byte| *byte == b'\n');
    let progress = mellea_ollama::fuzzing::pulled(lines().filter_map(|line| serde_json::from_slice::<PullLine<'_>>(line).ok()));
    assert!(progress.iter().all(|(done, all)| done <= all));
    let _ = serde_json::from_slice::<ModelInfo>(whole);
    let _ = serde_json::from_slice::<LocalModel>(whole);
    let _ = serde_json::from_slice::<RunningModel>(whole);
});
