//! A response as it comes in, under the limits of its call.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use mellea_core::limit::Permit;
use mellea_core::time::within;
use mellea_core::{Error, ErrorKind, Result, TimeoutPhase};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::{MAX_ERROR_BODY, Place};
use crate::frame::{Framer, LineFramer, SseFramer};

/// The most bytes of a body that is read whole.
pub const MAX_BODY_BYTES: usize = 48 << 20;

/// A response with a status of success. Dropping it closes the connection or the stream.
#[derive(Debug)]
pub struct Response(pub(crate) Box<Received>);

/// On the heap, so that what holds a response while it is read is small.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) http: reqwest::Response,
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    /// A part of the body has arrived.
    pub(crate) begun: bool,
    /// The start of the body, if it was looked at before it was wanted.
    pub(crate) peeked: Option<Bytes>,
    /// Held until the response is dropped.
    pub(crate) _permit: Option<Permit>,
}

/// What is left of a call's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) idle: Option<Duration>,
    pub(crate) total: Option<(Instant, Duration)>,
}

/// When this time from now is over, with the time; a time beyond the clock's end never is.
pub(crate) fn until(limit: Duration) -> Option<(Instant, Duration)> {
    Some((Instant::now().checked_add(limit)?, limit))
}

impl Limits {
    /// Waits for a future: at most for `limit`, and not beyond the call's end.
    pub(crate) fn within<F: Future>(
        &self,
        place: &Place,
        limit: Option<Duration>,
        phase: TimeoutPhase,
        future: F,
    ) -> impl Future<Output = Result<F::Output>> {
        let late = |(limit, phase)| place.error(ErrorKind::Timeout { phase, limit });
        within(move || self.end(limit, phase), future).map(move |done| done.map_err(late))
    }

    /// What ends first, if anything does: this limit from now on, or the call.
    fn end(&self, limit: Option<Duration>, phase: TimeoutPhase) -> Option<(Instant, (Duration, TimeoutPhase))> {
        let by_limit = limit.and_then(until).map(|(end, limit)| (end, (limit, phase)));
        let by_total = self.total.map(|(end, limit)| (end, (limit, TimeoutPhase::Total)));
        match (by_limit, by_total) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        }
    }
}

impl Response {
    /// A header's value, if there is one that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.http.headers().get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.http.headers()
    }

    /// Whether the content type says JSON rather than a stream of events or lines.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let kind = self.content_type();
        kind.starts_with("application/json") || (kind.starts_with("application/") && kind.contains("+json"))
    }

    /// Whether the content type says that this is a stream of server-sent events.
    #[must_use]
    pub fn is_sse(&self) -> bool {
        self.content_type().starts_with("text/event-stream")
    }

    /// In lower case.
    fn content_type(&self) -> Cow<'_, str> {
        let value = self.0.http.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().trim();
        if value.bytes().any(|byte| byte.is_ascii_uppercase()) { value.to_ascii_lowercase().into() } else { value.into() }
    }

    /// Where it comes from, for errors about it.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// The next piece of the body; `None` at its end.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if let Some(start) = self.0.peeked.take() {
            return Ok(Some(start));
        }
        let Received { http, place, limits, begun, .. } = &mut *self.0;
        let phase = if *begun { TimeoutPhase::NextToken } else { TimeoutPhase::FirstToken };
        let next = limits.within(place, limits.idle, phase, http.chunk()).await?;
        *begun = true;
        next.map_err(|error| place.transport(error, limits.connect))
    }

    /// The start of the body, up to something that is not white space; empty if there is nothing else.
    ///
    /// # Errors
    /// If it does not arrive in time, or is cut off.
    pub(crate) async fn start(&mut self) -> Result<&[u8]> {
        /// The most white space that is waited out.
        const LEAD: usize = 4096;
        self.check()?;
        let mut start: Vec<u8> = Vec::new();
        while start.trim_ascii().len() < 6 && start.len() < LEAD {
            let Some(chunk) = self.chunk().await? else { break };
            if start.is_empty() && chunk.trim_ascii_start().len() >= 6 {
                return Ok(unmarked(self.0.peeked.insert(chunk)));
            }
            start.extend_from_slice(&chunk);
        }
        if start.is_empty() {
            return Ok(&[]);
        }
        Ok(unmarked(self.0.peeked.insert(start.into())))
    }

    /// The whole body.
    ///
    /// # Errors
    /// If it does not arrive in time, is cut off, or has more than [`MAX_BODY_BYTES`].
    pub async fn bytes(mut self) -> Result<Vec<u8>> {
        self.collect().await
    }

    async fn collect(&mut self) -> Result<Vec<u8>> {
        self.check()?;
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(self.0.place.malformed("", format!("it has more than {MAX_BODY_BYTES} bytes")));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and [`ErrorKind::MalformedResponse`] with the path of what does not fit.
    pub async fn json<T: DeserializeOwned>(mut self) -> Result<T> {
        let body = self.collect().await?;
        if body.trim_ascii().is_empty() {
            return Err(self.0.place.malformed("", "it is empty"));
        }
        decode(&body).map_err(|error| self.0.place.json(&error, &body, false))
    }

    /// The body as server-sent events.
    ///
    /// # Errors
    /// If the content type says something else.
    pub fn sse(self) -> Result<Frames<SseFramer>> {
        self.frames(SseFramer::default())
    }

    /// The body as lines, one JSON text each.
    ///
    /// # Errors
    /// If the content type says something else.
    pub fn ndjson(self) -> Result<Frames<LineFramer>> {
        self.frames(LineFramer::default())
    }

    /// The body, cut by this framer.
    ///
    /// # Errors
    /// If the content type says something else.
    pub fn frames<F: Framer>(self, framer: F) -> Result<Frames<F>> {
        self.check()?;
        Ok(Frames { response: self, framer, failed: false, ended: false })
    }

    /// Refuses what cannot be the answer of an interface.
    fn check(&self) -> Result<()> {
        let encoding = self.0.http.headers().get(CONTENT_ENCODING).and_then(|v| v.to_str().ok());
        if let Some(encoding) = encoding.filter(|e| !e.trim().is_empty() && !e.eq_ignore_ascii_case("identity")) {
            return Err(self.0.place.malformed("", format!("it is compressed ({encoding}), which was not asked for")));
        }
        if self.content_type().starts_with("text/html") {
            let hint = format!("is {} the address of the interface?", self.0.place.address());
            return Err(self.0.place.malformed("", "it is an HTML page").with_hint(hint));
        }
        Ok(())
    }
}

/// Without a byte order mark and white space in front.
pub(crate) fn unmarked(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start()
}

pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_path_to_error::Error<serde_json::Error>> {
    // Following the path costs, and is for errors only.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)?;
    let after = json.end();
    after.map_err(|error| serde_path_to_error::Error::new(serde_path_to_error::Track::new().path(), error))?;
    Ok(value)
}

/// The frames of a body, as they come. Dropping it closes the connection or the stream.
#[derive(Debug)]
pub struct Frames<F> {
    response: Response,
    framer: F,
    failed: bool,
    ended: bool,
}

impl<F: Framer> Frames<F> {
    /// The next frame; `None` at the end of the body, and after an error.
    ///
    /// # Errors
    /// If the next piece does not arrive in time, the connection is lost, or the bytes cannot be framed.
    pub async fn next(&mut self) -> Option<Result<F::Frame>> {
        if self.failed {
            return None;
        }
        let next = self.advance().await;
        self.failed = matches!(next, Some(Err(_)));
        next
    }

    async fn advance(&mut self) -> Option<Result<F::Frame>> {
        loop {
            let mut frame = self.framer.next();
            if frame.is_none() && self.ended {
                frame = self.framer.finish();
            }
            if frame.is_some() || self.ended {
                return frame.map(|frame| frame.map_err(|fault| self.response.0.place.fault(fault)));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.framer.push(&bytes),
                Ok(None) => self.ended = true,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether the body has ended: a frame given after this may lack its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Reads a frame as JSON. At the end of the body, a text that ends too early is an interrupted
    /// stream.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedResponse`] with the path of what does not fit, or
    /// [`ErrorKind::StreamInterrupted`].
    pub fn json<'de, T: serde::Deserialize<'de>>(&self, text: &'de str) -> Result<T> {
        serde_json::from_str(text).map_err(|plain| self.explain(text, &plain))
    }

    /// The slow way is for errors only: following the path costs.
    fn explain(&self, text: &str, plain: &serde_json::Error) -> Error {
        if self.ended && plain.is_eof() {
            return self.response.0.place.interrupted();
        }
        let excerpt: String = text.chars().take(MAX_ERROR_BODY).collect();
        self.response.0.place.malformed("", format!("{plain} in `{excerpt}`"))
    }

    /// Where it comes from, for errors about it.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.response.0.place
    }

    /// A header's value, if there is one that is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }
}
