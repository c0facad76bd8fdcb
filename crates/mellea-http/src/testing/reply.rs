//! What the server answers: status, headers, body, and every way of going wrong.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

/// One answer. Clones share the body.
#[derive(Clone, Debug)]
#[must_use = "a reply does nothing until a route gives it"]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<[Step]>,
    pub(super) framing: Framing,
    pub(super) piece: usize,
    pub(super) delay: Duration,
    pub(super) hang: bool,
}

/// How the client learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// A length, which is that of the body.
    Whole,
    Chunked,
    /// A length, which may be a lie.
    Length(u64),
    Close,
    /// No head: the body is all that is sent.
    Raw,
}

/// One step of a body that is sent as it comes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Sends these bytes at once; as one chunk, unless [`Reply::chunk_size`] says otherwise.
    Send(Vec<u8>),
    /// Waits, by tokio's clock.
    Wait(Duration),
    /// Waits for the test.
    Gate(Gate),
    /// Sends no more; the connection stays open until the client goes.
    Hang,
    /// Closes the connection in good order, without the end of the body.
    Cut,
    /// Breaks the connection: the client gets a reset.
    Reset,
}

impl Step {
    /// [`Step::Send`] of a text or of bytes.
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Send(bytes.into())
    }
}

/// Holds replies back at [`Step::Gate`] until the test lets them through. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many replies through, now or when they come.
    pub fn pass(&self, replies: u16) {
        self.0.add_permits(replies.into());
    }

    /// Lets all through from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(super) async fn wait(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    fn new(status: u16, content_type: &str, framing: Framing, body: Vec<Step>) -> Self {
        let headers = match content_type {
            "" => Vec::new(),
            _ => vec![("content-type".to_owned(), content_type.to_owned())],
        };
        let body = body.into();
        Self { status, headers, body, framing, piece: usize::MAX, delay: Duration::ZERO, hang: false }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::bytes(status, [], "")
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, body.to_string(), "application/json")
    }

    /// A text of any content type; an empty type sends no such header.
    pub fn text(status: u16, body: &str, content_type: &str) -> Self {
        Self::bytes(status, body, content_type)
    }

    /// A body of any content type; an empty type sends no such header.
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>, content_type: &str) -> Self {
        Self::new(status, content_type, Framing::Whole, vec![Step::Send(body.into())])
    }

    /// Server-sent events, status 200: each text is sent unchanged, as one chunk.
    pub fn sse<T: Into<Vec<u8>>>(events: impl IntoIterator<Item = T>) -> Self {
        Self::stream("text/event-stream", events.into_iter().map(Step::send))
    }

    /// Values as one line of JSON each, status 200: each line is one chunk.
    pub fn ndjson(values: impl IntoIterator<Item = Value>) -> Self {
        Self::stream("application/x-ndjson", values.into_iter().map(|value| Step::send(format!("{value}\n"))))
    }

    /// A body that is sent step by step in chunks, status 200.
    pub fn stream(content_type: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::new(200, content_type, Framing::Chunked, steps.into_iter().collect())
    }

    /// Adds a header. A second `content-type` replaces the first, all others are added.
    ///
    /// `connection: close` also closes the connection after the answer.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name.eq_ignore_ascii_case("content-type") {
            self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case("content-type"));
        }
        self.headers.push((name, value.into()));
        self
    }

    /// Waits before the status line is sent, by tokio's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Never answers; the connection stays open until the client goes.
    pub fn hang(mut self) -> Self {
        self.hang = true;
        self
    }

    /// Sends all bytes of the body in pieces of this many, each a chunk of its own; at least 1.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        if self.framing == Framing::Whole {
            self.framing = Framing::Chunked;
        }
        self
    }

    /// Says neither length nor chunks: the body ends where the connection does.
    pub fn close_delimited(mut self) -> Self {
        self.framing = Framing::Close;
        self
    }

    /// Sends the body and nothing else, status line included, then closes: for what is not HTTP.
    pub fn raw(mut self) -> Self {
        self.framing = Framing::Raw;
        self
    }

    /// Says this length, whatever is sent. After a lie the connection is closed.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.framing = Framing::Length(bytes);
        self
    }
}
