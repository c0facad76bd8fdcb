//! Reading JSON that is almost right: what can be understood must not be lost.

mod accept;
mod mend;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use accept::{Accept, Tolerant, maybe, or_default};
pub use mend::{join_halves, mend};

/// Reads JSON, mending it if it does not parse: see [`mend`]. `spare` holds the mended text.
///
/// # Errors
/// The first error, if mending does not help.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str, spare: &'a mut String) -> Result<T, serde_json::Error> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let Some(mended) = mend(text) else { return Err(error) };
    *spare = mended;
    serde_json::from_str(spare).map_err(|_| error)
}

/// Reads the body of an answer that came as a whole, mending it if it does not parse. What some servers append to it,
/// `data: [DONE]`, is no part of it.
///
/// # Errors
/// The first error, if mending does not help.
pub fn read_body<'a, T: Deserialize<'a>>(body: &'a [u8], spare: &'a mut String) -> Result<T, serde_json::Error> {
    let error = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let lossy = String::from_utf8_lossy(body);
    let text = lossy.trim();
    let text = text.strip_suffix("[DONE]").map_or(text, |rest| rest.trim_end().trim_end_matches("data:")).trim();
    *spare = mend(text).unwrap_or_else(|| text.to_owned());
    serde_json::from_str(spare).map_err(|_| error)
}

/// The arguments of a tool call as an object: what is not an object is kept under the name `input`.
#[must_use]
pub fn object(arguments: &Value) -> Value {
    match arguments {
        Value::Object(_) => arguments.clone(),
        Value::Null => Value::Object(Map::new()),
        other => Value::Object(Map::from_iter([("input".to_owned(), other.clone())])),
    }
}
