//! Streams of chat completions.
#![no_main]

use std::collections::VecDeque;

use libfuzzer_sys::fuzz_target;
use mellea_core::Error;
use mellea_fuzz::{Outcome, PLACE, cut, frames, same};
use mellea_http::SseFramer;
use mellea_openai::wire::{ChatDecoder, ChatSettings, Fault};

/// The answer in these pieces, read as the backend reads it.
fn read(settings: ChatSettings, pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut out, mut unread) = (ChatDecoder::new(settings), VecDeque::new(), 0);
    let framed = frames::<SseFramer>(pieces, |event| match decoder.push(&event.data, &mut out) {
        Err(Fault::Unreadable { .. }) if unread < 16 => {
            unread += 1;
            Ok(false)
        }
        pushed => pushed.map(|()| decoder.is_done()).map_err(|fault| fault.at(&PLACE)),
    });
    let end = |decoder: &mut ChatDecoder, out: &mut _| decoder.end(out).map_err(|fault| fault.at(&PLACE));
    let ended: Result<(), Error> = match framed {
        Err(error) if !decoder.is_complete() => Err(error),
        Err(error) if error.response().is_some() => Err(error),
        _ => end(&mut decoder, &mut out),
    };
    (out.into(), ended.err())
}

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cut(input) else { return };
    for unwrap in [false, true] {
        let mut settings = ChatSettings::new();
        settings.unwrap_json_tool = unwrap;
        same(&read(settings, &[whole]), &read(settings, &pieces));
    }
});
