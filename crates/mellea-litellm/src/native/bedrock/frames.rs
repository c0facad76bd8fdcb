//! Cutting AWS's event stream into messages.
//!
//! A message is its length and the length of its headers (32 bits each, big-endian), a checksum of
//! those, the headers, the payload, and a checksum of all before. Checksums are CRC-32.

use mellea_http::Framer;
use mellea_http::error::Fault;
use mellea_http::frame::MAX_FRAME_BYTES;

/// The bytes before the headers.
const PRELUDE: usize = 12;
/// The bytes after the payload.
const CHECKSUM: usize = 4;

/// One message of an event stream; headers that say nothing of use are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Message {
    /// `event`, `exception` or `error`.
    pub(super) kind: String,
    /// Which event or exception, or an error's code.
    pub(super) name: String,
    /// An error's text.
    pub(super) error: String,
    pub(super) payload: Vec<u8>,
}

/// Cuts bytes into messages.
#[derive(Debug, Default)]
pub(in super::super) struct EventFramer {
    bytes: Vec<u8>,
    start: usize,
}

impl EventFramer {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl Framer for EventFramer {
    type Frame = Message;

    fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() || self.start >= 64 << 10 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Result<Message, Fault>> {
        let rest = self.rest();
        let total = match length(rest) {
            Ok(total) => total?,
            Err(fault) => return Some(Err(fault)),
        };
        let message = read(rest.get(..total)?);
        self.start += total;
        Some(message)
    }

    fn finish(&mut self) -> Option<Result<Message, Fault>> {
        (!self.rest().is_empty()).then_some(Err(Fault::Cut))
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// The length of the message that begins here, once its prelude is complete.
fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let (Some(total), Some(headers), Some(checksum)) =
        (number(bytes), bytes.get(4..).and_then(number), bytes.get(8..).and_then(number))
    else {
        return Ok(None);
    };
    if crc32fast::hash(bytes.get(..8).unwrap_or_default()) != checksum {
        return Err(Fault::Damaged("the checksum of a message's start is wrong"));
    }
    let (total, headers) = (total as usize, headers as usize);
    if total > MAX_FRAME_BYTES {
        return Err(Fault::TooLong(MAX_FRAME_BYTES));
    }
    if total < PRELUDE + headers + CHECKSUM {
        return Err(Fault::Damaged("a message is shorter than its headers"));
    }
    Ok(Some(total))
}

/// Reads a complete message.
fn read(bytes: &[u8]) -> Result<Message, Fault> {
    let damaged = || Fault::Damaged("a message has damaged headers");
    let (content, checksum) = bytes.split_at_checked(bytes.len().saturating_sub(CHECKSUM)).ok_or_else(damaged)?;
    if number(checksum) != Some(crc32fast::hash(content)) {
        return Err(Fault::Damaged("the checksum of a message is wrong"));
    }
    let headers = content.get(4..).and_then(number).ok_or_else(damaged)? as usize;
    let content = content.get(PRELUDE..).ok_or_else(damaged)?;
    let (mut headers, payload) = content.split_at_checked(headers).ok_or_else(damaged)?;
    let mut message = Message { payload: payload.to_vec(), ..Message::default() };
    while !headers.is_empty() {
        let (name, value) = header(&mut headers).ok_or_else(damaged)?;
        let Some(value) = value.and_then(|value| std::str::from_utf8(value).ok()) else { continue };
        match name {
            b":message-type" => message.kind = value.to_owned(),
            b":event-type" | b":exception-type" | b":error-code" => message.name = value.to_owned(),
            b":error-message" => message.error = value.to_owned(),
            _ => {}
        }
    }
    Ok(message)
}

/// Takes one header: its name, and its value if that is a text.
fn header<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    let length = take(bytes, 1)?.first().copied()?;
    let name = take(bytes, length.into())?;
    let kind = take(bytes, 1)?.first().copied()?;
    let size = match kind {
        0 | 1 => 0,
        2 => 1,
        3 => 2,
        4 => 4,
        5 | 8 => 8,
        9 => 16,
        6 | 7 => u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?).into(),
        _ => return None,
    };
    let value = take(bytes, size)?;
    Some((name, (kind == 7).then_some(value)))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the service writes it.
    pub(in super::super) fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let total = u32::try_from(PRELUDE + head.len() + payload.len() + CHECKSUM).unwrap();
        let mut out = total.to_be_bytes().to_vec();
        out.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out
    }

    /// An event of the stream.
    pub(in super::super) fn event(name: &str, payload: &serde_json::Value) -> Vec<u8> {
        let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
        write(&headers, payload.to_string().as_bytes())
    }

    fn all(pieces: &[&[u8]]) -> (Vec<Message>, Option<Fault>) {
        let (mut framer, mut out) = (EventFramer::default(), Vec::new());
        for piece in pieces {
            framer.push(piece);
            while let Some(message) = framer.next() {
                match message {
                    Ok(message) => out.push(message),
                    Err(fault) => return (out, Some(fault)),
                }
            }
        }
        let end = framer.finish().and_then(Result::err);
        (out, end)
    }

    #[test]
    fn messages_are_the_same_wherever_they_are_cut() {
        let bytes = [event("a", &serde_json::json!({"x": "é"})), event("b", &serde_json::json!({}))].concat();
        let whole = all(&[&bytes]);
        assert_eq!((whole.0.len(), whole.0[1].name.as_str(), &whole.1), (2, "b", &None));
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(all(&[a, b]), whole, "cut at {cut}");
        }
        assert_eq!(all(&[&bytes[..bytes.len() - 1]]).1, Some(Fault::Cut));
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let bytes = event("a", &serde_json::json!({"x": 1}));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            let (messages, fault) = all(&[&damaged]);
            assert!(messages.is_empty() && matches!(fault, Some(Fault::Damaged(_))), "{at}: {fault:?}");
        }
    }

    #[test]
    fn headers_of_all_types_are_passed_over() {
        let mut head = Vec::new();
        for (kind, size) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            head.extend_from_slice(&[1, b'h', kind]);
            head.extend(std::iter::repeat_n(1, size));
        }
        head.extend_from_slice(&[1, b'h', 6, 0, 2, 1, 1]);
        head.extend_from_slice(&[13]);
        head.extend_from_slice(b":message-type");
        head.extend_from_slice(&[7, 0, 5]);
        head.extend_from_slice(b"event");
        let mut headers = head.as_slice();
        let mut last = None;
        while !headers.is_empty() {
            last = header(&mut headers).unwrap().1;
        }
        assert_eq!(last, Some(b"event".as_slice()));
        assert!(header(&mut [1, b'h', 77].as_slice()).is_none());
    }

    #[test]
    fn absurd_lengths_are_refused_at_once() {
        for (total, headers) in [(u32::MAX, 0_u32), (16, 9), (0, 0), (1 << 25, 1)] {
            let mut bytes = total.to_be_bytes().to_vec();
            bytes.extend_from_slice(&headers.to_be_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            assert!(all(&[&bytes]).1.is_some(), "{total} {headers}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_framer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            all(&[&bytes]);
        }

        #[test]
        fn no_headers_break_a_sound_message(head in prop::collection::vec(any::<u8>(), 0..60)) {
            let total = u32::try_from(PRELUDE + head.len() + CHECKSUM).unwrap();
            let mut bytes = total.to_be_bytes().to_vec();
            bytes.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
            all(&[&bytes]);
        }
    }
}
