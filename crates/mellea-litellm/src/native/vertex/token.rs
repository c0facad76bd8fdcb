//! Access tokens for Google Cloud.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gcp_auth::TokenProvider;
use mellea_core::{Error, Result};
use mellea_http::auth::Outgoing;
use mellea_http::reqwest::header::AUTHORIZATION;
use mellea_http::{Authorize, Secret};
use tokio::sync::Mutex;

/// What a token must be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Gives access tokens.
#[async_trait]
pub(super) trait TokenSource: fmt::Debug + Send + Sync + 'static {
    /// A token that is valid now.
    ///
    /// # Errors
    /// If there are no credentials, or Google refuses them.
    async fn token(&self) -> Result<Secret>;

    /// Forgets tokens and credentials, so that the next are new; whether that can help.
    async fn forget(&self) -> bool {
        false
    }

    /// What it holds from the start and must not be shown.
    fn secrets(&self) -> Vec<Secret> {
        Vec::new()
    }
}

/// A token that somebody else looks after.
#[derive(Debug)]
pub(super) struct AccessToken(pub(super) Secret);

#[async_trait]
impl TokenSource for AccessToken {
    async fn token(&self) -> Result<Secret> {
        Ok(self.0.clone())
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.0.clone()]
    }
}

/// Google's application default credentials: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, what
/// `gcloud` keeps, or the metadata server.
///
/// They are looked for at the first call. Calls side by side wait for one token.
#[derive(Default)]
pub(super) struct GoogleToken(Mutex<Option<Arc<dyn TokenProvider>>>);

impl fmt::Debug for GoogleToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GoogleToken")
    }
}

#[async_trait]
impl TokenSource for GoogleToken {
    async fn token(&self) -> Result<Secret> {
        let failed = |error: gcp_auth::Error| {
            Error::config("api_key", format!("there is no access token for Google Cloud: {error}"))
                .with_hint("run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS")
                .with_source(error)
        };
        let mut known = self.0.lock().await;
        let provider = match &*known {
            Some(provider) => Arc::clone(provider),
            None => Arc::clone(known.insert(gcp_auth::provider().await.map_err(failed)?)),
        };
        // It keeps the token as long as that is valid.
        let token = provider.token(&[SCOPE]).await.map_err(failed)?;
        Ok(Secret::new(token.as_str()))
    }

    async fn forget(&self) -> bool {
        self.0.lock().await.take().is_some()
    }
}

/// `Authorization: Bearer` with a token from a source.
#[derive(Debug)]
pub(super) struct TokenAuth(pub(super) Arc<dyn TokenSource>);

#[async_trait]
impl Authorize for TokenAuth {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        let token = self.0.token().await?;
        call.set_secret(&AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    fn renews(&self) -> bool {
        true
    }

    async fn renew(&self) -> Result<bool> {
        Ok(self.0.forget().await)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.0.secrets()
    }
}
