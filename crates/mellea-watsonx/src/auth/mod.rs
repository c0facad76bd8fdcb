//! Who calls: API keys that are exchanged for tokens, tokens, and the ways of Cloud Pak for Data.

mod exchange;
mod hosts;
mod tokens;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mellea_core::Result;
use mellea_http::auth::Outgoing;
use mellea_http::reqwest::header::AUTHORIZATION;
use mellea_http::{Authorize, Secret};
use std::sync::Arc;

pub use exchange::Credential;
pub use tokens::{Tokens, TokensBuilder};

pub(crate) use hosts::region_url;

/// `Authorization: ZenApiKey`, as Cloud Pak for Data takes it.
#[derive(Clone, Debug)]
pub(crate) struct ZenKey(Secret);

impl ZenKey {
    /// From `user:key`, or from that in base64.
    pub(crate) fn new(key: &Secret) -> Self {
        let encoded = if key.expose().contains(':') { STANDARD.encode(key.expose()).into() } else { key.clone() };
        Self(encoded)
    }
}

#[async_trait]
impl Authorize for ZenKey {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        call.set_secret(&AUTHORIZATION, &format!("ZenApiKey {}", self.0.expose()))
    }

    fn secrets(&self) -> Vec<Secret> {
        let clear = STANDARD.decode(self.0.expose()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let key = clear.as_deref().and_then(|clear| clear.split_once(':')).map(|(_, key)| Secret::new(key));
        [self.0.clone()].into_iter().chain(key.filter(|key| !key.is_empty())).collect()
    }
}

/// Any way of authorization behind one pointer.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<dyn Authorize>);

#[async_trait]
impl Authorize for Shared {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        self.0.authorize(call).await
    }

    fn renews(&self) -> bool {
        self.0.renews()
    }

    async fn renew(&self) -> Result<bool> {
        self.0.renew().await
    }

    fn secrets(&self) -> Vec<Secret> {
        self.0.secrets()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zen_key_is_encoded_once_and_hidden_in_both_forms() {
        let encoded = "dXNlcjprZXk=";
        for given in ["user:key", encoded] {
            let key = ZenKey::new(&Secret::new(given));
            assert_eq!(key.0.expose(), encoded);
            let secrets = key.secrets();
            assert_eq!(secrets.iter().map(Secret::expose).collect::<Vec<_>>(), [encoded, "key"]);
        }
        assert_eq!(ZenKey::new(&Secret::new("not base64")).secrets().len(), 1);
    }
}
