//! Bodies and headers of refusals as errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mellea_fuzz::{KEY, PLACE, shown};
use mellea_http::error::MAX_ERROR_BODY;
use mellea_http::fuzzing::{json, refusal};
use mellea_http::reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Headers that are read.
const HEADERS: [&str; 6] =
    ["retry-after", "retry-after-ms", "x-should-retry", "x-request-id", "x-amzn-errortype", "x-amzn-requestid"];

// Two bytes for the status, one that says which header, one for its length, the header's value, and the body.
fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_first_chunk::<4>() else { return };
    let status = 300 + u16::from_be_bytes([head[0], head[1]]) % 300;
    let (value, body) = rest.split_at(usize::from(head[3]).min(rest.len()));
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(HeaderName::from_static(HEADERS[usize::from(head[2]) % HEADERS.len()]), value);
    }
    let error = refusal(&PLACE, status, &headers, body);
    let text = shown(&error);
    if let Some(said) = error.response() {
        assert!(said.body.as_ref().is_none_or(|body| body.len() <= MAX_ERROR_BODY));
        assert!(said.message.chars().count() <= 520, "{text}");
        assert!(!format!("{said:?}").contains(KEY));
    }
    assert!(!error.to_string().contains('\n'), "{error}");
    match json::<Value>(&PLACE, body) {
        // The same, in the middle of a stream that began as a success.
        Ok(value) => _ = shown(&PLACE.refused(&value)),
        Err(error) => _ = shown(&error),
    }
});
