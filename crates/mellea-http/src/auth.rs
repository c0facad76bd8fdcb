//! How a call proves who makes it.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use mellea_core::{Error, ErrorKind, Result};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::Secret;

/// Puts credentials on a call. A key never goes into an address, only into headers.
///
/// [`Bearer`] and [`KeyHeader`] hold a fixed key. Tokens that expire, and signatures, are
/// implementations of this trait.
#[async_trait]
pub trait Authorize: Debug + Send + Sync + 'static {
    /// Adds what proves the caller to `call.headers`.
    ///
    /// # Errors
    /// If the credentials cannot be had.
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()>;

    /// Whether [`renew`](Self::renew) can do anything.
    fn renews(&self) -> bool {
        false
    }

    /// Called once when the service answered 401 and [`renews`](Self::renews) is true: whether other credentials were obtained, so that
    /// the call is worth one more attempt.
    ///
    /// # Errors
    /// If they cannot be had; that error is the call's.
    async fn renew(&self) -> Result<bool> {
        Ok(false)
    }

    /// What must not appear in any error: the keys this holds.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }
}

/// A call as it is about to be sent.
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
    /// [`ErrorKind::Config`] if the secret cannot stand in a header.
    pub fn set_secret(&mut self, name: &HeaderName, value: &str) -> Result<()> {
        let bad = || ErrorKind::Config(format!("the secret for the header `{name}` has characters that no header may have"));
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(())
    }
}

/// `Authorization: Bearer <key>`.
#[derive(Clone, Debug)]
pub struct Bearer(Secret);

impl Bearer {
    /// With this key.
    pub fn new(key: impl Into<Secret>) -> Self {
        Self(key.into())
    }
}

#[async_trait]
impl Authorize for Bearer {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        call.set_secret(&AUTHORIZATION, &format!("Bearer {}", self.0.expose()))
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.0.clone()]
    }
}

/// A key in a header of its own, such as `x-api-key` or `api-key`.
#[derive(Clone, Debug)]
pub struct KeyHeader {
    name: HeaderName,
    key: Secret,
}

impl KeyHeader {
    /// This key in this header.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the name is none that a header may have.
    pub fn new(name: &str, key: impl Into<Secret>) -> Result<Self> {
        let name = HeaderName::try_from(name)
            .map_err(|_| Error::from(ErrorKind::Config(format!("`{name}` cannot be the name of a header"))))?;
        Ok(Self { name, key: key.into() })
    }
}

#[async_trait]
impl Authorize for KeyHeader {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        call.set_secret(&self.name, self.key.expose())
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.key.clone()]
    }
}
