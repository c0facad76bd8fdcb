//! How a call authenticates.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use mellea_core::{Error, Result};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::Secret;

/// Adds credentials to a call. A key goes only into headers, never into an address.
///
/// [`Bearer`] and [`KeyHeader`] hold a fixed key. Tokens that expire, and signatures, are
/// implementations of this trait.
#[async_trait]
pub trait Authorize: Debug + Send + Sync + 'static {
    /// Adds the credentials to `call.headers`.
    ///
    /// # Errors
    /// If the credentials cannot be obtained.
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()>;

    /// Whether [`renew`](Self::renew) can obtain other credentials.
    fn renews(&self) -> bool {
        false
    }

    /// Called once when the service answered 401 and [`renews`](Self::renews) is true: whether other credentials were obtained, so that
    /// the call is worth one more attempt.
    ///
    /// # Errors
    /// If they cannot be obtained; the call fails with that error.
    async fn renew(&self) -> Result<bool> {
        Ok(false)
    }

    /// The keys that this holds, which must not appear in any error.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }
}

/// A call that is about to be sent.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// The full address.
    pub url: &'a url::Url,
    /// The headers so far; credentials are added here, marked as sensitive.
    pub headers: &'a mut HeaderMap,
    /// The body.
    pub body: &'a Bytes,
}

impl Outgoing<'_> {
    /// Sets a header with a secret value.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) if the secret contains characters that a header cannot carry.
    pub fn set_secret(&mut self, name: &HeaderName, value: &str) -> Result<()> {
        self.headers.insert(name, sensitive(value).ok_or_else(|| unfit(name))?);
        Ok(())
    }
}

/// `Authorization: Bearer <key>`.
#[derive(Clone, Debug)]
pub struct Bearer(Fixed);

impl Bearer {
    /// With this key.
    pub fn new(key: impl Into<Secret>) -> Self {
        let key = key.into();
        let value = format!("Bearer {}", key.expose());
        Self(Fixed::new(AUTHORIZATION, key, &value))
    }
}

/// A key in a header of its own, such as `x-api-key` or `api-key`.
#[derive(Clone, Debug)]
pub struct KeyHeader(Fixed);

impl KeyHeader {
    /// This key in this header.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) if the name is not a valid header name.
    pub fn new(name: &str, key: impl Into<Secret>) -> Result<Self> {
        let name = HeaderName::try_from(name)
            .map_err(|_| Error::config("headers", format!("`{name}` cannot be the name of a header")))?;
        let key = key.into();
        Ok(Self(Fixed::new(name, key.clone(), key.expose())))
    }
}

/// A header that is the same for every call.
#[derive(Clone, Debug)]
struct Fixed {
    name: HeaderName,
    key: Secret,
    /// `None` if it is not valid in a header.
    value: Option<HeaderValue>,
}

impl Fixed {
    fn new(name: HeaderName, key: Secret, value: &str) -> Self {
        Self { name, key, value: sensitive(value) }
    }

    fn add_to(&self, headers: &mut HeaderMap) -> Result<()> {
        headers.insert(self.name.clone(), self.value.clone().ok_or_else(|| unfit(&self.name))?);
        Ok(())
    }
}

macro_rules! authorize {
    ($($type:ty),*) => {$(
        #[async_trait]
        impl Authorize for $type {
            async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
                self.0.add_to(call.headers)
            }

            fn secrets(&self) -> Vec<Secret> {
                vec![self.0.key.clone()]
            }
        }
    )*};
}

authorize!(Bearer, KeyHeader);

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unfit(name: &HeaderName) -> Error {
    Error::config("api_key", format!("the secret for the header `{name}` has characters that no header may have"))
}
