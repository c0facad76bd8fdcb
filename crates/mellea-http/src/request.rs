//! One call, before it is sent.

use std::time::Duration;

use bytes::Bytes;
use mellea_core::{Error, ErrorKind, RequestOptions, Result};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

/// One call, before it is sent; [`Client::post`](crate::Client::post) makes it.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request(pub(crate) Box<Parts>);

/// On the heap, so that whatever holds a request in progress stays small.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) model: Option<String>,
    pub(crate) call: CallOptions,
    pub(crate) single: bool,
}

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            model: None,
            call: CallOptions::default(),
            single: false,
        }))
    }

    /// Sets this JSON as the body.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the value cannot be serialised.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Result<Self> {
        let mut json = Vec::with_capacity(1 << 10);
        serde_json::to_writer(&mut json, body).map_err(|e| Error::config("request", format!("the request is no JSON: {e}")))?;
        self.0.body = json.into();
        self.0.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }

    /// Sets a form as the body.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.0.body = form.into();
        self.0.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self
    }

    /// Adds a query parameter. Do not put secrets here.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the name or the value is not valid in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let (name, value) = header(name, value)?;
        self.0.headers.insert(name, value);
        Ok(self)
    }

    /// Names the model, for errors.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.0.model = Some(model.into());
        self
    }

    /// Applies what the caller set for this one call.
    pub fn options(mut self, options: CallOptions) -> Self {
        self.0.call = options;
        self
    }

    /// Sends the request once: a failure is not retried.
    pub fn once(mut self) -> Self {
        self.0.single = true;
        self
    }
}

pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let bad = || Error::config("headers", format!("`{name}` with this value cannot be a header"));
    let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
    // What is in a header may be a key; it is never worth showing.
    value.set_sensitive(true);
    Ok((HeaderName::try_from(name).map_err(|_| bad())?, value))
}

/// What one call may set for itself, whatever the service: the same three options on every remote
/// backend, and the limit on silence.
///
/// - `timeout`: seconds that the whole call may take;
/// - `extra_headers`: more headers, an object of texts;
/// - `extra_body`: more fields of the body, an object; they replace what the backend writes, except
///   that `chat_template_kwargs` is merged.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// For the whole call.
    pub timeout: Option<Duration>,
    /// The limit on silence, before the response and within it; `None` keeps the client's.
    pub silence: Option<Option<Duration>>,
    /// More headers.
    pub headers: HeaderMap,
    /// More fields of the body.
    pub body: Map<String, Value>,
}

impl CallOptions {
    /// The names of the options this takes.
    pub const NAMES: [&str; 3] = ["timeout", "extra_headers", "extra_body"];

    /// Takes its options out of `extra`; the backend maps the rest.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for a value of the wrong type.
    pub fn take(options: &RequestOptions, extra: &mut Map<String, Value>) -> Result<Self> {
        let mut call = Self { silence: Some(options.stream_timeout), ..Self::default() };
        if let Some(value) = extra.shift_remove("timeout").filter(|v| !v.is_null()) {
            let seconds = value.as_f64().filter(|s| *s > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
            call.timeout = Some(seconds.ok_or_else(|| invalid("timeout", &value, "a positive number of seconds"))?);
        }
        if let Some(value) = extra.shift_remove("extra_headers").filter(|v| !v.is_null()) {
            let bad = || invalid("extra_headers", &"[redacted]".into(), "an object of texts");
            for (name, text) in value.as_object().ok_or_else(bad)? {
                let (name, text) = header(name, text.as_str().ok_or_else(bad)?)?;
                call.headers.insert(name, text);
            }
        }
        if let Some(value) = extra.shift_remove("extra_body").filter(|v| !v.is_null()) {
            match value {
                Value::Object(body) => call.body = body,
                _ => return Err(invalid("extra_body", &"[redacted]".into(), "an object")),
            }
        }
        Ok(call)
    }

    /// Puts [`body`](Self::body) into the body of a request.
    pub fn merge_into(&self, target: &mut Map<String, Value>) {
        for (name, value) in &self.body {
            match (target.get_mut(name), value) {
                (Some(Value::Object(old)), Value::Object(new)) if name == "chat_template_kwargs" => {
                    old.extend(new.iter().map(|(k, v)| (k.clone(), v.clone())));
                }
                _ => {
                    target.insert(name.clone(), value.clone());
                }
            }
        }
    }
}

fn invalid(option: &str, value: &Value, expected: &str) -> Error {
    ErrorKind::InvalidOption { option: option.to_owned(), value: value.to_string(), expected: expected.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(extra: &Value) -> (Result<CallOptions>, Map<String, Value>) {
        let mut extra = extra.as_object().unwrap().clone();
        (CallOptions::take(&RequestOptions::default(), &mut extra), extra)
    }

    #[test]
    fn its_options_are_taken_and_others_left() {
        let (call, rest) = take(&json!({"timeout": 1.5, "extra_headers": {"x-a": "b"}, "extra_body": {"c": 1}, "top_p": 0.5}));
        let call = call.unwrap();
        assert_eq!(call.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(call.headers["x-a"], "b");
        assert_eq!(Value::Object(rest), json!({"top_p": 0.5}));
        for bad in [json!({"timeout": 0}), json!({"timeout": "1"}), json!({"extra_headers": {"a": 1}}), json!({"extra_body": 1})]
        {
            let (call, _) = take(&bad);
            assert!(matches!(call.unwrap_err().kind(), ErrorKind::InvalidOption { .. }));
        }
    }

    #[test]
    fn a_body_replaces_fields_and_merges_template_arguments() {
        let (call, _) = take(&json!({"extra_body": {"a": {"y": 2}, "chat_template_kwargs": {"y": 2}}}));
        let mut target = json!({"a": {"x": 1}, "chat_template_kwargs": {"x": 1, "y": 1}}).as_object().unwrap().clone();
        call.unwrap().merge_into(&mut target);
        assert_eq!(Value::Object(target), json!({"a": {"y": 2}, "chat_template_kwargs": {"x": 1, "y": 2}}));
    }
}
