//! A request as the server read it, and the decoder that reads it.

use bytes::{Buf, BytesMut};
use memchr::memmem;
use serde_json::Value;

/// The most bytes of a request's head, of a line between chunks, and of the trailer.
const HEAD: usize = 64 * 1024;
/// The most bytes of a request's body.
pub(super) const BODY: usize = 64 * 1024 * 1024;

/// A request as the server read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The method, as sent.
    pub method: String,
    /// The target up to the question mark. A client that takes the server for a proxy sends a whole URL.
    pub path: String,
    /// What follows the question mark, undecoded; empty if there is none.
    pub query: String,
    /// Names and values in the order and the case they were sent.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// Which connection it came on: 0 for the first that the server accepted.
    pub connection: usize,
    pub(super) version_1_0: bool,
}

impl Recorded {
    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the client wants the connection closed after the answer.
    pub(super) fn closes(&self) -> bool {
        let connection = self.header("connection").unwrap_or_default();
        connection.eq_ignore_ascii_case("close") || (self.version_1_0 && !connection.eq_ignore_ascii_case("keep-alive"))
    }
}

/// The state of a [`Decoder`] after the bytes it was given.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// More bytes are needed.
    More,
    /// The client waits for `100 Continue`; then more bytes are needed.
    Continue,
    /// A request is complete; what follows it stays in the buffer.
    Request(Recorded),
    /// The bytes are not a request: the status to answer with.
    Bad(u16),
}

#[derive(Debug, Default, PartialEq)]
enum State {
    #[default]
    Head,
    Length(usize),
    ChunkSize,
    ChunkData(usize),
    ChunkEnd,
    Trailer,
}

/// Reads one request after the other out of a buffer that others fill.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    request: Recorded,
}

impl Decoder {
    /// Takes from the buffer what it can.
    pub(super) fn advance(&mut self, buffer: &mut BytesMut) -> Progress {
        loop {
            match self.state {
                State::Head => match self.head(buffer) {
                    Ok(true) => {
                        let expects = self.request.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue"));
                        if expects && buffer.is_empty() && self.state != State::Length(0) {
                            return Progress::Continue;
                        }
                    }
                    Ok(false) => return Progress::More,
                    Err(status) => return Progress::Bad(status),
                },
                State::Length(0) => return self.complete(),
                State::Length(left) => match self.body(buffer, left) {
                    0 => return Progress::More,
                    taken => self.state = State::Length(left - taken),
                },
                State::ChunkSize => {
                    let line = match line(buffer) {
                        Ok(Some(line)) => line,
                        Ok(None) => return Progress::More,
                        Err(status) => return Progress::Bad(status),
                    };
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    self.state = match usize::from_str_radix(digits, 16) {
                        Ok(0) => State::Trailer,
                        Ok(size) if size <= BODY.saturating_sub(self.request.body.len()) => State::ChunkData(size),
                        Ok(_) => return Progress::Bad(413),
                        Err(_) => return Progress::Bad(400),
                    };
                }
                State::ChunkData(0) => self.state = State::ChunkEnd,
                State::ChunkData(left) => match self.body(buffer, left) {
                    0 => return Progress::More,
                    taken => self.state = State::ChunkData(left - taken),
                },
                State::ChunkEnd => match line(buffer) {
                    Ok(Some(line)) if line.is_empty() => self.state = State::ChunkSize,
                    Ok(None) => return Progress::More,
                    _ => return Progress::Bad(400),
                },
                State::Trailer => match line(buffer) {
                    Ok(Some(line)) if line.is_empty() => return self.complete(),
                    Ok(Some(_)) => {}
                    Ok(None) => return Progress::More,
                    Err(status) => return Progress::Bad(status),
                },
            }
        }
    }

    fn complete(&mut self) -> Progress {
        self.state = State::Head;
        Progress::Request(std::mem::take(&mut self.request))
    }

    fn body(&mut self, buffer: &mut BytesMut, left: usize) -> usize {
        let taken = buffer.len().min(left);
        self.request.body.extend_from_slice(&buffer.split_to(taken));
        taken
    }

    /// Whether the head is whole; if so, it is taken and the state is that of the body.
    fn head(&mut self, buffer: &mut BytesMut) -> Result<bool, u16> {
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        // TLS, or something else that has no lines to wait for.
        if buffer.first().is_some_and(|byte| !matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'\r')) {
            return Err(400);
        }
        let Some(end) = memmem::find(buffer, b"\r\n\r\n") else {
            return if buffer.len() > HEAD { Err(431) } else { Ok(false) };
        };
        if end > HEAD {
            return Err(431);
        }
        let bytes = buffer.split_to(end + 4);
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) = (first.next(), first.next(), first.next(), first.next()) else {
            return Err(400);
        };
        if method.is_empty() || target.is_empty() || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(400);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = Vec::with_capacity(16);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        self.request = Recorded {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            version_1_0: version == "HTTP/1.0",
            ..Recorded::default()
        };
        let chunked = self.request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        self.state = match self.request.header("content-length") {
            _ if chunked => State::ChunkSize,
            None => State::Length(0),
            Some(length) => match length.parse::<usize>() {
                Ok(length) if length <= BODY => State::Length(length),
                Ok(_) => return Err(413),
                Err(_) => return Err(400),
            },
        };
        Ok(true)
    }
}

/// The next line without its end, if it is whole.
fn line(buffer: &mut BytesMut) -> Result<Option<String>, u16> {
    let Some(end) = memmem::find(buffer, b"\r\n") else {
        return if buffer.len() > HEAD { Err(400) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 2);
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches("\r\n").to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "POST /a/b?x=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 5\r\n\r\nhello\
        PUT /c HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0a\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n";

    /// Everything that decoding these pieces gives, one after the other.
    fn decode(pieces: &[&[u8]]) -> Vec<Progress> {
        let (mut decoder, mut buffer, mut out) = (Decoder::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.advance(&mut buffer) {
                    Progress::More => break,
                    Progress::Bad(status) => {
                        out.push(Progress::Bad(status));
                        return out;
                    }
                    progress => out.push(progress),
                }
            }
        }
        out
    }

    #[test]
    fn requests_are_the_same_wherever_they_are_cut() {
        let whole = decode(&[TWO.as_bytes()]);
        let [Progress::Request(first), Progress::Request(second)] = whole.as_slice() else { panic!("{whole:?}") };
        assert_eq!((first.method.as_str(), first.path.as_str(), first.query.as_str()), ("POST", "/a/b", "x=1"));
        assert_eq!((first.header("HOST"), first.text().as_str(), first.closes()), (Some("h"), "hello", false));
        assert_eq!((second.text().as_str(), second.closes()), ("abc0123456789", true));
        for cut in 0..TWO.len() {
            let (a, b) = TWO.as_bytes().split_at(cut);
            assert_eq!(decode(&[a, b]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, status) in [
            ("hello\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}", 400),
            ("GET / HTTP/2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n", 413),
            ("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        ] {
            assert_eq!(decode(&[text.as_bytes()]), [Progress::Bad(status)], "{text}");
        }
        assert_eq!(decode(&["x".repeat(HEAD + 1).as_bytes()]), [Progress::Bad(431)]);
    }

    #[test]
    fn a_client_that_waits_for_leave_gets_it_once() {
        let head = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        let asked = decode(&[head, b"o", b"k"]);
        assert!(matches!(asked.as_slice(), [Progress::Continue, Progress::Request(request)] if request.body == b"ok"));
        let together = decode(&[[head.as_slice(), b"ok"].concat().as_slice()]);
        assert!(matches!(together.as_slice(), [Progress::Request(_)]));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_decoder(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            decode(&pieces);
        }

        #[test]
        fn any_body_and_any_chunks_are_read_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8)) {
            let mut wire = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let bytes: Vec<&[u8]> = wire.chunks(1).collect();
            let read = decode(&bytes);
            prop_assert!(matches!(read.as_slice(), [Progress::Request(request)] if request.body == chunks.concat()));
        }
    }
}
