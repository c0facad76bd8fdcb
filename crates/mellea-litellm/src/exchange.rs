//! Expiring tokens in exchange for a client id and secret: Entra for Azure, Databricks.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use mellea_core::{Error, Result};
use mellea_http::auth::{Authorize, Outgoing};
use mellea_http::{BaseUrl, Client, ClientSettings, Secret, reqwest};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::keys::Vars;
use crate::registry::{OAuth, Provider};
use crate::template;

/// A token is renewed when it has no more than this to live.
const MARGIN: Duration = Duration::from_secs(60);

/// Exchanges a client's id and secret for tokens; one exchange serves all calls until it expires.
pub(crate) struct Exchange {
    client: Client,
    id: String,
    secret: Secret,
    scope: String,
    /// Whether id and secret go into a header instead of the body.
    basic: bool,
    /// Held while a token is requested, so that concurrent calls wait for the same one.
    token: Mutex<Option<(Secret, Instant)>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("client", &self.client).finish_non_exhaustive()
    }
}

/// The exchange of a provider, if it has one and the environment holds id and secret for it.
pub(crate) fn find(provider: &Provider, origin: &str, vars: &Vars<'_>, settings: &ClientSettings) -> Result<Option<Exchange>> {
    let Some(OAuth { url, client_id, client_secret, scope, basic }) = &provider.oauth else { return Ok(None) };
    let (Some((_, id)), Some((_, secret))) = (vars.env.first(client_id), vars.env.first(client_secret)) else {
        return Ok(None);
    };
    let url = template::fill(url, |name| match name {
        "origin" => Ok(origin.to_owned()),
        name => vars.need(provider, name),
    })?;
    let place = BaseUrl::parse(&url)?;
    if place.as_url().scheme() != "https" && !place.is_local() {
        return Err(Error::config("base_url", format!("the client's secret would go to {place} in the clear")));
    }
    let client = Client::builder(provider.name.as_str(), url).secret(secret.clone()).settings(settings.route());
    let (id, scope) = (id.expose().to_owned(), scope.clone());
    Ok(Some(Exchange { client: client.build()?, id, secret, scope, basic: *basic, token: Mutex::default() }))
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds; some services write them as text.
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Exchange {
    async fn token(&self) -> Result<Secret> {
        let mut kept = self.token.lock().await;
        if let Some((token, end)) = kept.as_ref()
            && *end > Instant::now() + MARGIN
        {
            return Ok(token.clone());
        }
        let mut fields = vec![("grant_type", "client_credentials"), ("scope", self.scope.as_str())];
        if !self.basic {
            fields.extend([("client_id", self.id.as_str()), ("client_secret", self.secret.expose())]);
        }
        let mut request = self.client.post("").form(&fields);
        if self.basic {
            let both = BASE64_STANDARD.encode(format!("{}:{}", self.id, self.secret.expose()));
            request = request.header("authorization", &format!("Basic {both}"))?;
        }
        let response =
            self.client.send(request).await.map_err(|e| e.with_hint("the service gave no token for the client's secret"))?;
        let place = response.place().clone();
        let answer: Answer = response.json().await?;
        let seconds = answer.expires_in.as_u64().or_else(|| answer.expires_in.as_str()?.parse().ok()).unwrap_or(300);
        let token = Secret::from(answer.access_token);
        if token.is_empty() {
            return Err(place.malformed("access_token", "it is empty"));
        }
        // A week is longer than any token lives, and no sum of times overflows.
        let end = Instant::now() + Duration::from_secs(seconds.min(7 * 24 * 3600));
        *kept = Some((token.clone(), end));
        Ok(token)
    }
}

#[async_trait]
impl Authorize for Exchange {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        let token = self.token().await?;
        call.set_secret(&reqwest::header::AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    fn renews(&self) -> bool {
        true
    }

    async fn renew(&self) -> Result<bool> {
        *self.token.lock().await = None;
        Ok(true)
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.secret.clone()]
    }
}
