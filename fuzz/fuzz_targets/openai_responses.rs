//! Streams of the Responses API, and its whole answers.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{Outcome, PLACE, cut, frames, same, sound};
use mellea_http::SseFramer;
use mellea_http::fuzzing::json;
use mellea_openai::wire::{Fault, ResponseBody, ResponsesDecoder};

/// The answer in these pieces, read as the backend reads it.
fn read(pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut out, mut unread) = (ResponsesDecoder::new(), VecDeque::new(), 0);
    let framed = frames::<SseFramer>(pieces, |event| match decoder.push(&event.name, &event.data, &mut out) {
        Err(Fault::Unreadable { .. }) if unread < 16 => {
            unread += 1;
            Ok(false)
        }
        pushed => pushed.map(|()| decoder.is_complete()).map_err(|fault| fault.at(&PLACE)),
    });
    let ended = framed.and_then(|_| decoder.end(&mut out).map_err(|fault| fault.at(&PLACE)));
    (out.into(), ended.err())
}

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    same(&read(&[whole]), &read(&pieces));
    if let Ok(body) = json::<ResponseBody>(&PLACE, whole) {
        let (mut decoder, mut out) = (ResponsesDecoder::new(), VecDeque::new());
        let ended = decoder.whole(body, &mut out).and_then(|()| decoder.end(&mut out));
        sound(&(out.into(), ended.err().map(|fault| fault.at(&PLACE))));
    }
});
