//! What the fuzz targets share: inputs that say where to cut them, and answers that must be the same however they came.

use std::sync::LazyLock;

use mellea_core::{Error, Event};
use mellea_http::{Framer, Place};
use mellea_wire::{Decoder, Reader, Rules};

/// The key of every call: no error may show it.
pub const KEY: &str = "4711-canary-of-fuzz";

/// Where every answer comes from.
pub static PLACE: LazyLock<Place> = LazyLock::new(|| mellea_http::fuzzing::place(KEY).unwrap());

/// What came of an answer: its events, and the error it ended with.
pub type Outcome = (Vec<Event>, Option<Error>);

/// The bytes at the end of an input that say where the rest is cut.
pub const PLAN: usize = 4;

/// Splits an input into what the network sends and where it cuts that: its last four bytes are two places, and zeros
/// mean that each byte comes by itself.
#[must_use]
pub fn cut(input: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let (sent, plan) = input.split_last_chunk::<PLAN>()?;
    if *plan == [0; PLAN] {
        return Some((sent, sent.chunks(1).collect()));
    }
    let [a, b] = [[plan[0], plan[1]], [plan[2], plan[3]]].map(|at| usize::from(u16::from_le_bytes(at)) % (sent.len() + 1));
    let (first, rest) = sent.split_at(a.min(b));
    let (second, third) = rest.split_at(a.abs_diff(b));
    Some((sent, vec![first, second, third]))
}

/// Frames these pieces and hands each frame over, until that says that the answer is complete.
pub fn frames<F: Framer + Default>(
    pieces: &[&[u8]],
    mut take: impl FnMut(F::Frame) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let mut framer = F::default();
    let fault = |fault| mellea_http::fuzzing::fault(&PLACE, fault);
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            if take(frame.map_err(fault)?)? {
                return Ok(true);
            }
        }
    }
    match framer.finish() {
        Some(frame) => take(frame.map_err(fault)?),
        None => Ok(false),
    }
}

/// An error as its user sees it; the key is not in it.
#[must_use]
pub fn shown(error: &Error) -> String {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(KEY), "an error shows the key: {text}");
    text
}

/// An answer read once whole and once in pieces: both must be the same, and right in themselves.
pub fn same(whole: &Outcome, cut: &Outcome) {
    let errors = [whole, cut].map(|(_, error)| error.as_ref().map(shown));
    assert_eq!(errors[0], errors[1], "the error depends on where the stream is cut");
    if whole.0 != cut.0 {
        // Numbers that are none are not equal, and ids that are made up differ.
        assert_eq!(settled(&whole.0), settled(&cut.0), "the events depend on where the stream is cut");
    }
    sound(whole);
}

/// An answer in these pieces, read as every backend reads it.
pub fn read<F, D>(decoder: D, rules: Rules, pieces: &[&[u8]]) -> Outcome
where
    F: Framer + Default,
    D: Decoder<Frame = F::Frame>,
{
    let mut reader = Reader::new(decoder, rules);
    let framed = frames::<F>(pieces, |frame| {
        let read = reader.frame(frame, false).map_err(|fault| PLACE.unread(fault));
        read.map(|()| reader.is_complete())
    });
    let ended = match framed {
        Err(_) if reader.has_finished() => {
            reader.give_up_waiting();
            Ok(())
        }
        Err(error) => {
            reader.flush();
            Err(error)
        }
        Ok(_) => reader.body_ended().map_err(|fault| PLACE.unread(fault)),
    };
    (std::iter::from_fn(|| reader.pop()).collect(), ended.err())
}

/// An answer that came as a whole.
pub fn whole<D: Decoder>(decoder: D, rules: Rules, body: &[u8]) -> Outcome {
    let mut reader = Reader::new(decoder, rules);
    let ended = reader.whole(body).map_err(|fault| PLACE.unread(fault));
    (std::iter::from_fn(|| reader.pop()).collect(), ended.err())
}

/// What holds of every answer.
pub fn sound((events, error): &Outcome) {
    if let Some(error) = error {
        let _ = shown(error);
    }
    let finishes = events.iter().filter(|event| matches!(event, Event::Finish(_))).count();
    assert!(finishes <= 1, "an answer ends once: {events:?}");
    assert!(error.is_some() || finishes == 1, "an answer that is no error has an end: {events:?}");
    for event in events {
        match event {
            Event::Text(text) | Event::Thinking(text) => assert!(!text.is_empty(), "an empty piece: {events:?}"),
            Event::ToolCall(call) => assert!(!call.id.is_empty(), "a call without an id: {events:?}"),
            Event::Logprobs(tokens) => {
                let mut all = tokens.iter().flat_map(|t| t.top.iter().map(|top| top.1).chain([t.logprob]));
                assert!(!all.any(f64::is_nan), "a score that is no number: {events:?}");
            }
            _ => {}
        }
    }
}

/// Events as text, without the numbers of ids that are made up.
fn settled(events: &[Event]) -> String {
    let text = format!("{events:?}");
    let mut parts = text.split("call_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("call_");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
