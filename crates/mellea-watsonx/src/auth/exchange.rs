//! The request that gives a token.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mellea_core::{Error, ErrorKind, Result};
use mellea_http::auth::Outgoing;
use mellea_http::{Authorize, Client, Secret};
use serde_json::{Value, json};

use super::hosts::Form;
use crate::wire::Grant;

/// How long a token lasts that does not say it. A call that is refused renews it anyway.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(20 * 60);

/// The longest lifetime that is believed.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What goes with the user's name at Cloud Pak for Data.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The user's password.
    Password(Secret),
    /// An API key of the user.
    ApiKey(Secret),
}

impl Credential {
    /// A password.
    pub fn password(password: impl Into<Secret>) -> Self {
        Self::Password(password.into())
    }

    /// An API key.
    pub fn api_key(key: impl Into<Secret>) -> Self {
        Self::ApiKey(key.into())
    }

    fn secret(&self) -> &Secret {
        match self {
            Self::Password(secret) | Self::ApiKey(secret) => secret,
        }
    }
}

/// A token, and how long it lasts from now on.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) value: Secret,
    pub(crate) lifetime: Duration,
}

/// Where tokens come from.
#[async_trait]
pub(crate) trait Source: std::fmt::Debug + Send + Sync + 'static {
    async fn fetch(&self) -> Result<Token>;

    /// What must not be shown.
    fn secret(&self) -> Secret;
}

/// What is exchanged for a token.
#[derive(Clone, Debug)]
pub(crate) enum Grantee {
    Key(Form, Secret),
    User(String, Credential),
}

impl Grantee {
    pub(crate) fn secret(&self) -> &Secret {
        match self {
            Self::Key(_, key) => key,
            Self::User(_, credential) => credential.secret(),
        }
    }

    /// The path of the service, for an address that has none.
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::Key(form, _) => form.path(),
            Self::User(..) => "icp4d-api/v1/authorize",
        }
    }
}

/// A service that gives tokens.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) client: Client,
    pub(crate) grantee: Grantee,
}

#[async_trait]
impl Source for Exchange {
    async fn fetch(&self) -> Result<Token> {
        self.ask().await.map_err(|error| self.explain(error))
    }

    fn secret(&self) -> Secret {
        self.grantee.secret().clone()
    }
}

impl Exchange {
    async fn ask(&self) -> Result<Token> {
        let post = self.client.post("").header("accept", "application/json")?;
        let post = match &self.grantee {
            Grantee::Key(Form::Iam, key) => {
                post.form(&[("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key.expose())])
            }
            Grantee::Key(Form::Saas, key) => post.json(&json!({ "apikey": key.expose() }))?,
            Grantee::User(name, Credential::Password(password)) => {
                post.json(&json!({ "username": name, "password": password.expose() }))?
            }
            Grantee::User(name, Credential::ApiKey(key)) => post.json(&json!({ "username": name, "api_key": key.expose() }))?,
        };
        let response = self.client.send(post).await?;
        let place = response.place().clone();
        let body = response.bytes().await?;
        // What came is never shown: it may hold a token.
        let grant: Grant = serde_json::from_slice(&body).map_err(|_| place.malformed("", "it is no JSON object"))?;
        let value = grant.access_token.or(grant.token);
        let value = Secret::new(value.ok_or_else(|| place.malformed("access_token", "there is no token"))?);
        let lifetime = grant.expires_in.map(Duration::from_secs).or_else(|| left_of_jwt(value.expose(), SystemTime::now()));
        Ok(Token { lifetime: lifetime.unwrap_or(UNKNOWN_LIFETIME).min(LONGEST), value })
    }

    /// The same failure, without a model, and with what to do.
    fn explain(&self, error: Error) -> Error {
        let refused = matches!(error.status(), Some(400 | 401 | 403));
        let base = self.client.base();
        let hint = match (&self.grantee, refused) {
            (Grantee::Key(..), true) => format!(
                "{base} does not take the API key: check it (`api_key`, or the variable WATSONX_API_KEY), or make a new one at \
                 https://cloud.ibm.com/iam/apikeys"
            ),
            (Grantee::User(_, Credential::Password(_)), true) => format!("{base} does not take this user and password"),
            (Grantee::User(_, Credential::ApiKey(_)), true) => format!("{base} does not take this user and API key"),
            (_, false) => {
                let known = error.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
                format!("{known}access tokens come from {base}; `iam_url` or the variable WATSONX_IAM_URL sets another address")
            }
        };
        let explained = Error::new(error.kind().clone()).with_hint(hint);
        let explained = match error.response().filter(|_| !matches!(error.kind(), ErrorKind::Provider(_))) {
            Some(response) => explained.with_response(response.clone()),
            None => explained,
        };
        explained.with_source(error)
    }
}

/// How long a JSON web token is still good, if it says so.
fn left_of_jwt(token: &str, now: SystemTime) -> Option<Duration> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.get("exp")?.as_u64()?))?;
    Some(end.duration_since(now).unwrap_or_default())
}

/// Keeps the key out of errors, and off the open network; the key itself is in the body.
#[derive(Debug)]
pub(crate) struct InBody(pub(crate) Secret);

#[async_trait]
impl Authorize for InBody {
    async fn authorize(&self, _call: &mut Outgoing<'_>) -> Result<()> {
        Ok(())
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.0.clone()]
    }
}

#[cfg(test)]
mod tests {
    use mellea_http::testing::{Reply, Server};

    use super::*;

    #[tokio::test]
    async fn each_form_asks_in_its_own_way() {
        let server = Server::start().await.unwrap();
        let in_a_minute = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 60;
        let jwt = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp": {in_a_minute}}}"#)));
        for (form, body, seconds) in [
            (Form::Iam, json!({ "access_token": "t", "expires_in": "3600" }), 3600..=3600),
            (Form::Iam, json!({ "access_token": "t" }), 1200..=1200),
            (Form::Iam, json!({ "access_token": "t", "expires_in": u64::MAX }), 2_592_000..=2_592_000),
            (Form::Saas, json!({ "token": jwt }), 1..=60),
        ] {
            let route = format!("POST /{}/{}", server.count(), form.path());
            server.on(&route).reply(Reply::json(200, &body));
            let url = format!("{}{}", server.url(), &route[5..]);
            let client = Client::builder("watsonx", url).build().unwrap();
            let exchange = Exchange { client, grantee: Grantee::Key(form, "key".into()) };
            let token = exchange.fetch().await.unwrap();
            assert!(seconds.contains(&token.lifetime.as_secs()), "{body}: {:?}", token.lifetime);
        }
        assert_eq!(server.requests()[3].json(), json!({ "apikey": "key" }));
    }

    #[test]
    fn a_token_says_how_long_it_is_good() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let jwt = |claims: &str| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        for (token, seconds) in [
            (jwt(r#"{"exp": 4600}"#), Some(3600)),
            (jwt(r#"{"exp": 1}"#), Some(0)),
            (jwt(r#"{"exp": "x"}"#), None),
            (jwt(r#"{"exp": 18446744073709551615}"#), None),
            (jwt("nothing"), None),
            ("opaque".to_owned(), None),
            ("a.!.c".to_owned(), None),
        ] {
            assert_eq!(left_of_jwt(&token, now).map(|left| left.as_secs()), seconds, "{token}");
        }
    }
}
