//! Server-sent events, as the WHATWG's HTML standard has them.

use super::lines::{Lines, text};
use super::{Framer, MAX_FRAME_BYTES};
use crate::error::Fault;

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The event's name; empty if the server gave none.
    pub name: String,
    /// The data; several `data` lines are joined by a newline.
    pub data: String,
}

/// Cuts bytes into server-sent events.
///
/// Comments, `id` and `retry` are left out, and so are events without data. Where the standard drops
/// an event that the stream's end cut off, this gives it: servers forget the last empty line. Beyond the standard, a
/// field `error` is an event of that name, and a line that is a JSON object an event of its own: so servers report
/// errors in the middle of a stream.
#[derive(Debug)]
pub struct SseFramer {
    lines: Lines,
    event: SseEvent,
    has_data: bool,
    limit: usize,
}

impl Default for SseFramer {
    fn default() -> Self {
        Self::with_limit(MAX_FRAME_BYTES)
    }
}

impl SseFramer {
    /// Events of at most this many bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { lines: Lines::with_limit(limit), event: SseEvent::default(), has_data: false, limit }
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

/// Adds one line to an event.
fn field(line: &[u8], event: &mut SseEvent, has_data: &mut bool, limit: usize) -> Result<(), Fault> {
    let (name, value) = match memchr::memchr(b':', line) {
        Some(colon) => {
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default();
            (name, value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &[][..]),
    };
    match name {
        b"data" => {
            if event.data.len() + value.len() > limit {
                return Err(Fault::TooLong(limit));
            }
            if *has_data {
                event.data.push('\n');
                event.data.push_str(std::str::from_utf8(value).map_err(|_| Fault::NotUtf8)?);
            } else {
                event.data = text(value)?;
            }
            *has_data = true;
        }
        b"event" => event.name = text(value)?,
        // Not in the standard: llama.cpp's server reports errors in a field of their own.
        b"error" => {
            "error".clone_into(&mut event.name);
            event.data = text(value)?;
            *has_data = true;
        }
        _ => {}
    }
    Ok(())
}

impl Framer for SseFramer {
    type Frame = SseEvent;

    fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    fn next(&mut self) -> Option<Result<SseEvent, Fault>> {
        loop {
            let line = match self.lines.next_line()? {
                Ok(line) => line,
                Err(fault) => return Some(Err(fault)),
            };
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Some(Ok(event));
                }
            } else if line.first() == Some(&b'{') {
                match text(line) {
                    Ok(data) => return Some(Ok(SseEvent { name: String::new(), data })),
                    Err(fault) => return Some(Err(fault)),
                }
            } else if let Err(fault) = field(line, &mut self.event, &mut self.has_data, self.limit) {
                return Some(Err(fault));
            }
        }
    }

    fn finish(&mut self) -> Option<Result<SseEvent, Fault>> {
        let rest = self.lines.rest();
        if !rest.is_empty() && field(rest, &mut self.event, &mut self.has_data, self.limit).is_err() {
            return Some(Err(Fault::Cut));
        }
        self.dispatch().map(Ok)
    }
}
