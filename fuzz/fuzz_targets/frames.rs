//! Cutting bytes into server-sent events and lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_http::{Framer, LineFramer, SseFramer};

/// The frames of these pieces, and how they end.
fn frames<F: Framer>(mut framer: F, pieces: &[&[u8]]) -> (Vec<F::Frame>, Option<String>) {
    let mut all = Vec::new();
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            match frame {
                Ok(frame) => all.push(frame),
                Err(fault) => return (all, Some(format!("{fault:?}"))),
            }
        }
    }
    let end = framer.finish().and_then(|frame| frame.map(|frame| all.push(frame)).err());
    (all, end.map(|fault| format!("{fault:?}")))
}

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = mellea_fuzz::cut(input) else { return };
    let events = frames(SseFramer::default(), &[whole]);
    assert_eq!(frames(SseFramer::default(), &pieces), events);
    assert!(events.0.iter().all(|event| !event.name.contains(['\n', '\r']) && !event.data.contains('\r')));
    let lines = frames(LineFramer::default(), &[whole]);
    assert_eq!(frames(LineFramer::default(), &pieces), lines);
    assert!(lines.0.iter().all(|line| !line.contains(['\n', '\r']) && !line.trim_ascii().is_empty()));
    // Small limits, which few inputs reach: the same fault at the same frame.
    let events = frames(SseFramer::with_limit(64), &[whole]);
    assert!(events.0.iter().all(|event| event.data.len() <= 64 * 2));
    let lines = frames(LineFramer::with_limit(64), &[whole]);
    assert!(lines.0.iter().all(|line| line.len() <= 64));
});
