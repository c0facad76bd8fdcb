//! Answers of watsonx.ai, streamed and whole.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use mellea_core::Error;
use mellea_fuzz::{Outcome, PLACE, cut, frames, same, sound};
use mellea_http::SseFramer;
use mellea_watsonx::stream::{Decoder, Fault};
use mellea_watsonx::wire::Generation;

fn failure(fault: Fault) -> Error {
    match fault {
        Fault::Refused(said) => PLACE.refused(&said),
        Fault::Json(error) => PLACE.malformed("", error.to_string()),
        Fault::Malformed(path, reason) => PLACE.malformed(path, reason),
        _ => PLACE.interrupted(),
    }
}

/// The answer in these pieces, read as the backend reads it.
fn read(pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut out, mut unread) = (Decoder::default(), VecDeque::new(), 0);
    let framed = frames::<SseFramer>(pieces, |event| match decoder.push(&event.name, &event.data, &mut out) {
        Err(Fault::Json(_)) if unread < 16 => {
            unread += 1;
            Ok(false)
        }
        pushed => pushed.map(|()| false).map_err(failure),
    });
    let ended = framed.and_then(|_| decoder.end().map_err(failure));
    (out.into(), ended.err())
}

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    same(&read(&[whole]), &read(&pieces));
    let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
    let ended = decoder.whole(whole, &mut out);
    sound(&(out.into(), ended.err().map(failure)));
    let _ = serde_json::from_slice::<Generation<'_>>(whole).map(|raw| raw.refusal());
});
