//! Turns what went wrong on a wire into the core's errors.

mod overflow;
mod refusal;
mod service;

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mellea_core::redact::Redactor;
use mellea_core::{Error, ErrorKind, ProviderError};
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

pub(crate) use refusal::is_dead_runner;
pub(crate) use service::{MIN_SECRET, Service};

/// The most bytes of a body that an error keeps.
pub const MAX_ERROR_BODY: usize = 2 << 10;

/// Whether a service refuses a request because it cannot enforce the schema in it: then a simpler form of it may do.
#[must_use]
pub fn refuses_schema(error: &Error) -> bool {
    error.response().is_some_and(|said| refusal::is_refused_schema(&said.message))
}

/// Why bytes could not be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A frame has more bytes than this.
    TooLong(usize),
    /// A frame is not UTF-8.
    NotUtf8,
    /// The stream ended within a frame.
    Cut,
    /// A frame is damaged.
    Damaged(&'static str),
}

/// Where a call goes, for its errors: provider, model, address, and what must stay secret.
#[derive(Clone)]
pub struct Place(Arc<PlaceInner>);

struct PlaceInner {
    service: Arc<Service>,
    model: Option<String>,
    url: Url,
    /// What of the address may be shown; made when it is first asked for.
    address: OnceLock<String>,
}

impl Place {
    pub(crate) fn new(service: &Arc<Service>, model: Option<String>, url: Url) -> Self {
        Self(Arc::new(PlaceInner { service: Arc::clone(service), model, url, address: OnceLock::new() }))
    }

    /// The address as it is called.
    pub(crate) fn url(&self) -> &Url {
        &self.0.url
    }

    /// The address of the call, without user, password and query.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.address.get_or_init(|| shown(&self.0.url))
    }

    /// An error of this kind at this place.
    #[must_use]
    pub fn error(&self, kind: ErrorKind) -> Error {
        self.at(Error::new(kind))
    }

    pub(crate) fn at(&self, error: Error) -> Error {
        error.at(&self.0.service.provider, self.0.model.as_deref().unwrap_or_default())
    }

    /// The response is malformed; `path` says where in its JSON.
    #[must_use]
    pub fn malformed(&self, path: impl Into<String>, reason: impl Into<String>) -> Error {
        self.error(ErrorKind::MalformedResponse { path: self.clean(&path.into()), reason: self.clean(&reason.into()) })
    }

    /// A text of the service as errors show it.
    fn clean(&self, text: &str) -> String {
        // Secrets first: what is shortened may hold half of one.
        refusal::shortened(&self.0.service.redactor().text(text), 300)
    }

    /// The response ended before it was complete.
    #[must_use]
    pub fn interrupted(&self) -> Error {
        self.error(ErrorKind::StreamInterrupted)
    }

    /// An error that the service sent inside a response that began as a success.
    ///
    /// `error` is the whole object, such as `{"error": {"message": …}}`. Its code determines the kind,
    /// and whether the same call may succeed later, as a status would.
    #[must_use]
    pub fn refused(&self, error: &Value) -> Error {
        self.refusal(None, &HeaderMap::new(), error.to_string().as_bytes())
    }

    /// A response whose status is not a success.
    pub(crate) fn refusal(&self, status: Option<u16>, headers: &HeaderMap, body: &[u8]) -> Error {
        let said = refusal::read(status, headers, body, &self.0.service.redactor());
        let (error, hint) = refusal::classify(said, self.0.model.as_deref(), self.address());
        let error = self.at(error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// What keeps an answer at this place from being read.
    #[must_use]
    pub fn unread(&self, fault: mellea_wire::Fault) -> Error {
        use mellea_wire::Fault;
        match fault {
            Fault::Refused(error) => self.refused(&error),
            Fault::Malformed { path, reason } => self.malformed(path, reason),
            Fault::Interrupted => self.interrupted(),
            Fault::Broken(reason) => self.error(ErrorKind::Parse(self.clean(&reason))),
            Fault::Repeating(reason) => self.error(ErrorKind::Degenerate(self.clean(&reason))),
            Fault::PromptTruncated { prompt, read } => self.error(ErrorKind::PromptTruncated { prompt, read }),
            other => self.malformed("", other.to_string()),
        }
    }

    pub(crate) fn fault(&self, fault: Fault) -> Error {
        match fault {
            Fault::Cut => self.interrupted(),
            Fault::TooLong(limit) => self.malformed("", format!("one piece of it has more than {limit} bytes")),
            Fault::NotUtf8 => self.malformed("", "it is not UTF-8"),
            Fault::Damaged(reason) => self.malformed("", reason),
        }
    }

    /// JSON that does not parse or does not fit; at the end of a stream it was cut.
    pub(crate) fn json(&self, error: &serde_path_to_error::Error<serde_json::Error>, body: &[u8], at_end: bool) -> Error {
        if at_end && error.inner().is_eof() {
            return self.interrupted();
        }
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let mut said = ProviderError::new("");
        said.body = Some(excerpt(body, &self.0.service.redactor()));
        self.malformed(path, error.inner().to_string()).with_response(said)
    }

    /// A failure of the transport.
    pub(crate) fn transport(&self, error: reqwest::Error, connect_limit: Duration) -> Error {
        let error = error.without_url();
        let deepest = deepest(&error);
        let reason = self.0.service.redactor().text(&deepest.to_string()).into_owned();
        let address = self.address();
        if error.is_connect() && error.is_timeout() {
            let timeout = ErrorKind::Timeout { phase: mellea_core::TimeoutPhase::Connect, limit: connect_limit };
            return self.error(timeout).with_hint(format!("nothing answers at {address}")).with_source(error);
        }
        if error.is_connect() {
            let (what, hint) = if is_tls(&error) {
                ("no secure connection to", "check the scheme of the address (http or https) and the server's certificate")
            } else if reason.contains("dns") || reason.contains("lookup") || reason.contains("resolve") {
                ("no such host for", "check the address, and the network")
            } else {
                ("cannot connect to", "check that the server is running and that this is its address")
            };
            return self
                .error(ErrorKind::connection(address, format!("{what} {address}: {reason}")))
                .with_hint(hint)
                .with_source(error);
        }
        if error.is_body() || error.is_decode() {
            return self.interrupted().with_source(error);
        }
        let text = format!("the connection to {address} was lost before a response came: {reason}");
        self.error(ErrorKind::connection(address, text)).with_source(error)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("provider", &self.0.service.provider)
            .field("model", &self.0.model)
            .field("address", &self.address())
            .finish()
    }
}

/// An address without what may be secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn deepest<'e>(error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

/// Whether TLS failed, which no other attempt will mend.
pub(crate) fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string().to_ascii_lowercase();
        if ["certificate", "handshake", "ssl", "tls", "corrupt message"].iter().any(|word| text.contains(word)) {
            return true;
        }
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        // The source of an error of I/O is that of the error within, which would be passed over.
        next = match io.and_then(std::io::Error::get_ref) {
            Some(within) => Some(within as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    false
}

/// The start of a body, without secrets.
fn excerpt(body: &[u8], redactor: &Redactor) -> String {
    // Secrets first: a secret that the limit cuts in two would not be found.
    let text = String::from_utf8_lossy(body.get(..body.len().min(8 * MAX_ERROR_BODY)).unwrap_or_default());
    let mut text = redactor.text(&text).into_owned();
    if text.len() > MAX_ERROR_BODY {
        let end = (0..=MAX_ERROR_BODY).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
    }
    text
}
