//! Lines of bytes, ended by LF, CRLF or CR; NDJSON is one JSON text on each.

use super::{Framer, MAX_FRAME_BYTES};
use crate::error::Fault;

/// The byte order mark in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Cuts bytes into lines. LF, CRLF and CR end a line; a byte order mark at the start is dropped.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the next line starts.
    start: usize,
    /// Up to where no line end was found.
    seen: usize,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// What came may still be the start of a byte order mark.
    fresh: bool,
    limit: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self::with_limit(MAX_FRAME_BYTES)
    }
}

impl Lines {
    /// Lines of at most this many bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, seen: 0, after_cr: false, fresh: true, limit }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && (self.start == self.bytes.len() || self.start >= 64 << 10) {
            self.bytes.drain(..self.start);
            self.seen -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
        if self.fresh {
            if self.bytes.starts_with(MARK) {
                (self.start, self.seen) = (MARK.len(), MARK.len());
            }
            self.fresh = self.start == 0 && MARK.starts_with(&self.bytes);
        }
    }

    /// The next complete line without its end.
    ///
    /// # Errors
    /// [`Fault::TooLong`] for a line of more than the limit.
    pub fn next_line(&mut self) -> Option<Result<&[u8], Fault>> {
        // A byte order mark may still come to be complete.
        if self.fresh {
            return None;
        }
        if self.after_cr && self.start < self.bytes.len() {
            self.after_cr = false;
            if self.bytes.get(self.start) == Some(&b'\n') {
                self.start += 1;
                self.seen = self.seen.max(self.start);
            }
        }
        let rest = self.bytes.get(self.seen..).unwrap_or_default();
        let Some(offset) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.seen = self.bytes.len();
            return (self.seen - self.start > self.limit).then_some(Err(Fault::TooLong(self.limit)));
        };
        let (start, end) = (self.start, self.seen + offset);
        if end - start > self.limit {
            return Some(Err(Fault::TooLong(self.limit)));
        }
        self.after_cr = self.bytes.get(end) == Some(&b'\r');
        self.start = end + 1;
        self.seen = self.start;
        Some(Ok(self.bytes.get(start..end).unwrap_or_default()))
    }

    /// What follows the last line end.
    pub fn rest(&mut self) -> &[u8] {
        let mut rest = self.bytes.get(self.start..).unwrap_or_default();
        if self.after_cr {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        self.start = self.bytes.len();
        self.seen = self.start;
        rest
    }
}

/// Gives each line that is not blank: the framing of NDJSON.
#[derive(Debug, Default)]
pub struct LineFramer(Lines);

impl LineFramer {
    /// Lines of at most this many bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self(Lines::with_limit(limit))
    }
}

impl Framer for LineFramer {
    type Frame = String;

    const JSON: bool = true;

    fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    fn next(&mut self) -> Option<Result<String, Fault>> {
        loop {
            match self.0.next_line()? {
                Ok(line) if line.trim_ascii().is_empty() => {}
                Ok(line) => return Some(text(line)),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    fn finish(&mut self) -> Option<Result<String, Fault>> {
        let rest = self.0.rest().trim_ascii();
        // Bytes that end within a character are the start of something longer.
        (!rest.is_empty()).then(|| std::str::from_utf8(rest).map(str::to_owned).map_err(|_| Fault::Cut))
    }
}

/// A line as text.
pub(super) fn text(line: &[u8]) -> Result<String, Fault> {
    std::str::from_utf8(line).map(str::to_owned).map_err(|_| Fault::NotUtf8)
}
