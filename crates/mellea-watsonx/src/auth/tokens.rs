//! The one store of an account's token: fetched once, however many calls want it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mellea_core::{Error, ErrorKind, Result};
use mellea_http::auth::Outgoing;
use mellea_http::reqwest::header::AUTHORIZATION;
use mellea_http::{Authorize, BaseUrl, Client, ClientSettings, Secret, Timeouts, client_setters};
use tokio::sync::watch;
use tokio::time::Instant;

use super::exchange::{Credential, Exchange, Grantee, InBody, Source, Token};
use super::hosts::{self, Form};
use crate::PROVIDER;

/// A token is renewed when less than this is left of it, or less than a fifth of its lifetime.
const MARGIN: Duration = Duration::from_secs(60);

/// A token is used no longer when less than this is left: the call must arrive.
const LAST: Duration = Duration::from_secs(5);

/// After a failure nothing is asked for this long, so that a crowd of calls makes no crowd of requests.
const COOLING: Duration = Duration::from_secs(1);

/// A token that was fetched because its predecessor was refused is not replaced within this time.
const SETTLING: Duration = Duration::from_secs(10);

/// A request that takes longer will not be answered: its runtime has stopped.
const MAX_FLIGHT: Duration = Duration::from_secs(60);

/// The access tokens of one account, fetched when they are needed and kept for all calls.
///
/// Clones share one token. However many calls need it at once, one request is made; it goes on if the
/// call that began it is given up. A token is renewed in the background when less than 60 seconds or
/// a fifth of its lifetime are left, and once by force when the service refuses it.
///
/// A backend makes its own. To share one between several backends of the same account:
///
/// ```
/// use mellea_watsonx::{Tokens, WatsonX};
///
/// # fn main() -> mellea_core::Result<()> {
/// let tokens = Tokens::iam("my-api-key").build()?;
/// let account = || WatsonX::builder().region("eu-de").project_id("my-project").auth(tokens.clone());
/// let small = account().model("ibm/granite-4-h-small").build()?;
/// let large = account().model("meta-llama/llama-3-3-70b-instruct").build()?;
/// assert!(!format!("{small:?} {large:?} {tokens:?}").contains("my-api-key"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    source: Box<dyn Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    flight: Option<Flight>,
    failed: Option<(Instant, Error)>,
    flights: u64,
}

struct Held {
    value: Secret,
    since: Instant,
    renew: Instant,
    end: Instant,
    /// Fetched because its predecessor was refused.
    forced: bool,
}

/// A request for a token that is in progress.
struct Flight {
    id: u64,
    since: Instant,
    landed: Landed,
}

type Landed = watch::Receiver<Option<Result<Secret>>>;

impl Tokens {
    /// Tokens for an API key of IBM's cloud.
    pub fn iam(key: impl Into<Secret>) -> TokensBuilder {
        TokensBuilder::new("https://iam.cloud.ibm.com", Grantee::Key(Form::Iam, key.into()))
    }

    /// Tokens for an API key, from the service that belongs to this address of watsonx.ai.
    pub(crate) fn for_service(service: &BaseUrl, key: &Secret, url: Option<&str>) -> Result<TokensBuilder> {
        let (form, known) = hosts::token_service(service);
        let Some(url) = url.or(known) else {
            let message = format!("{service} is none of IBM's clouds, so where to exchange the API key is not known");
            return Err(Error::config("iam_url", message).with_hint(
                "on Cloud Pak for Data use `cloud_pak`, `zen_api_key` or `token`; for a gateway before IBM's cloud set `iam_url` \
                 or the variable WATSONX_IAM_URL",
            ));
        };
        Ok(TokensBuilder::new(url, Grantee::Key(form, key.clone())))
    }

    /// Tokens for a user of Cloud Pak for Data at this address.
    pub fn cloud_pak(url: impl Into<String>, username: impl Into<String>, credential: Credential) -> TokensBuilder {
        TokensBuilder::new(url, Grantee::User(username.into(), credential))
    }

    fn from_source(source: impl Source) -> Self {
        Self(Arc::new(Inner { source: Box::new(source), state: Mutex::default() }))
    }

    /// A token that is good now.
    async fn get(&self) -> Result<Secret> {
        self.landed(|state, now| {
            if let Some(held) = state.held.as_ref().filter(|held| now < held.end) {
                let value = held.value.clone();
                if now >= held.renew
                    && let Err(error) = self.join(state, now, false)
                {
                    tracing::warn!(target: "mellea::watsonx", %error, "the token could not be renewed yet");
                }
                return Ok(Step::Have(Some(value)));
            }
            self.join(state, now, false).map(Step::Wait)
        })
        .await?
        .ok_or_else(lost)
    }

    /// Looks at the state, and waits for the flight that it leads to, twice if a runtime took it down.
    async fn landed(&self, look: impl Fn(&mut State, Instant) -> Result<Step>) -> Result<Option<Secret>> {
        for _ in 0..2 {
            let step = look(&mut self.0.state(), Instant::now())?;
            let mut landed = match step {
                Step::Have(value) => return Ok(value),
                Step::Wait(landed) => landed,
            };
            let result = landed.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
            if let Some(result) = result {
                return result.map(Some);
            }
        }
        Err(lost())
    }

    /// The flight in progress, or a new one.
    fn join(&self, state: &mut State, now: Instant, forced: bool) -> Result<Landed> {
        if let Some(flight) = state.flying(now) {
            return Ok(flight.landed.clone());
        }
        if let Some((at, error)) = &state.failed
            && now.duration_since(*at) < COOLING.max(error.retry_after().unwrap_or_default()).min(MAX_FLIGHT)
        {
            return Err(error.clone());
        }
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| ErrorKind::Runtime("a call to watsonx.ai needs a tokio runtime around it"))?;
        state.flights += 1;
        let (id, inner) = (state.flights, Arc::clone(&self.0));
        let (land, landed) = watch::channel(None);
        state.flight = Some(Flight { id, since: now, landed: landed.clone() });
        // A task of its own: whoever wanted the token may give up, others may still want it.
        runtime.spawn(async move {
            let asked = Instant::now();
            let result = inner.source.fetch().await;
            let result = inner.state().keep(id, asked, forced, result);
            let _ = land.send(Some(result));
        });
        Ok(landed)
    }
}

/// What a look at the state leads to.
enum Step {
    Have(Option<Secret>),
    Wait(Landed),
}

fn lost() -> Error {
    ErrorKind::Backend("the request for an access token was lost: the runtime it ran on has stopped".to_owned()).into()
}

#[async_trait]
impl Authorize for Tokens {
    async fn authorize(&self, call: &mut Outgoing<'_>) -> Result<()> {
        let token = self.get().await?;
        call.set_secret(&AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    fn renews(&self) -> bool {
        true
    }

    async fn renew(&self) -> Result<bool> {
        let renewed = self.landed(|state, now| {
            if let Some(flight) = state.flying(now) {
                return Ok(Step::Wait(flight.landed.clone()));
            }
            match state.held.take() {
                // It is the exchange that was refused, and not a token.
                None => Ok(Step::Have(None)),
                // Others were refused with the token before this one, and have replaced it.
                Some(held) if held.forced && now.duration_since(held.since) < SETTLING => {
                    let value = held.value.clone();
                    state.held = Some(held);
                    Ok(Step::Have(Some(value)))
                }
                Some(_) => self.join(state, now, true).map(Step::Wait),
            }
        });
        Ok(renewed.await?.is_some())
    }

    fn secrets(&self) -> Vec<Secret> {
        vec![self.0.source.secret()]
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("source", &self.0.source).finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The flight that is in progress and will land.
    fn flying(&self, now: Instant) -> Option<&Flight> {
        let alive = |flight: &&Flight| flight.landed.has_changed().is_ok() && now.duration_since(flight.since) < MAX_FLIGHT;
        self.flight.as_ref().filter(alive)
    }

    /// Takes the result of a flight.
    fn keep(&mut self, id: u64, asked: Instant, forced: bool, result: Result<Token>) -> Result<Secret> {
        if self.flight.as_ref().is_some_and(|flight| flight.id == id) {
            self.flight = None;
        }
        match result {
            Ok(Token { value, lifetime }) => {
                let margin = MARGIN.max(lifetime / 5).min(lifetime / 2);
                let at = |time: Duration| asked.checked_add(time).unwrap_or(asked);
                let (renew, end) = (at(lifetime - margin), at(lifetime.saturating_sub(LAST.min(lifetime / 10))));
                self.held = Some(Held { value: value.clone(), since: Instant::now(), renew, end, forced });
                self.failed = None;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(target: "mellea::watsonx", %error, "no access token");
                self.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// Sets up [`Tokens`].
///
/// The exchange has 20 s for the first byte and 50 s in all: a call waits at most a minute for its token.
#[must_use = "tokens are made by `build`"]
#[derive(Clone)]
pub struct TokensBuilder {
    url: String,
    grantee: Grantee,
    settings: ClientSettings,
}

impl TokensBuilder {
    fn new(url: impl Into<String>, grantee: Grantee) -> Self {
        let short = Duration::from_secs(20);
        // Less than the minute that a call waits for its credentials.
        let timeouts = Timeouts::new().first_byte(short).idle(short).total(Duration::from_secs(50));
        let mut settings = ClientSettings::default();
        settings.timeouts = Some(timeouts);
        Self { url: url.into(), grantee, settings }
    }

    /// Asks at this address. One without a path gets the usual one, such as `/identity/token`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    client_setters!();

    /// The tokens; nothing is asked for yet.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an invalid address, for a key that would travel over the open network
    /// in the clear, and for an empty key.
    pub fn build(self) -> Result<Tokens> {
        if self.grantee.secret().is_empty() {
            return Err(Error::config("api_key", "the key or password for watsonx.ai is empty").at(PROVIDER, ""));
        }
        let client = Client::builder(PROVIDER, self.url)
            .default_path(self.grantee.path())
            .auth(InBody(self.grantee.secret().clone()))
            .settings(self.settings);
        Ok(Tokens::from_source(Exchange { client: client.build()?, grantee: self.grantee }))
    }
}

impl std::fmt::Debug for TokensBuilder {
    /// Without the address, which may have a password in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokensBuilder").field("grantee", &self.grantee).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
