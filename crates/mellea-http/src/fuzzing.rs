//! What the fuzz targets can reach; it exists only under `--cfg fuzzing`.

use std::sync::Arc;

use mellea_core::redact::Redactor;
use mellea_core::{Error, Result};
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use crate::error::{Fault, Place, Service};
use crate::{BaseUrl, response};

/// A place with a key that errors must not show.
///
/// # Errors
/// Never; the address is sound.
pub fn place(secret: &str) -> Result<Place> {
    let mut redactor = Redactor::default();
    redactor.add(secret.to_owned());
    let base = BaseUrl::parse("http://localhost:1/v1")?;
    let service = Service::new("fuzz".to_owned(), redactor);
    Ok(Place::new(&Arc::new(service), Some("model".to_owned()), base.as_url().clone()))
}

/// The error of a response whose status is not a success.
#[must_use]
pub fn refusal(place: &Place, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    place.refusal(Some(status), headers, body)
}

/// The error of bytes that cannot be framed.
#[must_use]
pub fn fault(place: &Place, fault: Fault) -> Error {
    place.fault(fault)
}

/// A whole body as JSON.
///
/// # Errors
/// If it is not JSON, or does not fit.
pub fn json<T: DeserializeOwned>(place: &Place, body: &[u8]) -> Result<T> {
    response::decode(body).map_err(|error| place.json(&error, body, false))
}
