//! The client: one service, one set of credentials, one policy.

use std::sync::Arc;
use std::time::Duration;

use mellea_core::limit::Limiter;
use mellea_core::redact::Redactor;
use mellea_core::{ChatRequest, Error, ErrorKind, Result, TimeoutPhase, ToolChoice};
use mellea_wire::Rules;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use tokio::time::Instant;

use crate::auth::{Authorize, Bearer, Outgoing};
use crate::base::{BaseUrl, Latest};
use crate::error::{MIN_SECRET, Place, Service};
use crate::request::{Request, header};
use crate::response::{Limits, Received, Response, until};
use crate::retry::{Budget, Retry};
use crate::settings::ClientSettings;
use crate::timeouts::Timeouts;
use crate::{Secret, client_setters, transport};

/// A client of one service. Clones share connections, credentials, and the retry budget.
///
/// ```
/// use mellea_http::Client;
///
/// # fn main() -> mellea_core::Result<()> {
/// let client = Client::builder("openai", "https://api.openai.com/v1").key("sk-not-a-key").build()?;
/// assert!(!format!("{client:?}").contains("sk-not-a-key"));
/// assert_eq!(client.max_requests(), 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    service: Arc<Service>,
    base: BaseUrl,
    latest: Latest,
    auth: Option<Arc<dyn Authorize>>,
    headers: HeaderMap,
    timeouts: Timeouts,
    retry: Retry,
    budget: Budget,
    limiter: Option<Limiter>,
    /// How answers are read, but for what the request says.
    rules: Rules,
}

impl Client {
    /// A client of the service at this address; `provider` names it in errors.
    pub fn builder(provider: impl Into<String>, base: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            provider: provider.into(),
            base: base.into(),
            default_path: None,
            auth: None,
            secrets: Vec::new(),
            settings: ClientSettings::default(),
        }
    }

    /// A `GET` of a path below the base address.
    pub fn get(&self, path: impl Into<String>) -> Request {
        Request::new(Method::GET, path)
    }

    /// A `POST` to a path below the base address.
    pub fn post(&self, path: impl Into<String>) -> Request {
        Request::new(Method::POST, path)
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.0.service.provider
    }

    /// The address that calls start from.
    #[must_use]
    pub fn base(&self) -> &BaseUrl {
        &self.0.base
    }

    /// The time limits that calls have by default.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.0.timeouts
    }

    /// The most requests that one call can make: its attempts, plus one if credentials can be
    /// renewed.
    #[must_use]
    pub fn max_requests(&self) -> u32 {
        self.0.retry.attempts.saturating_add(u32::from(self.0.auth.as_ref().is_some_and(|auth| auth.renews())))
    }

    /// How the answer to a request is to be read: as the settings say, with what the request says. Without
    /// [`no_text_calls`](crate::ClientSettings::no_text_calls), calls of its tools that are written as text are calls.
    #[must_use]
    pub fn rules(&self, request: &ChatRequest) -> Rules {
        let mut rules = self.0.rules.clone();
        // A bare object is the answer itself where JSON is asked for.
        let offered = request.options.tool_choice != Some(ToolChoice::None);
        if std::mem::replace(&mut rules.bare_calls, request.format.is_none()) && offered {
            rules.tools = request.tools.iter().map(|tool| tool.name.clone()).collect();
        }
        rules
    }

    /// Sends a request, and repeats it where [`Retry`] allows; resolves when the status and headers of
    /// a success have arrived.
    ///
    /// # Errors
    /// Each failure has its own [`ErrorKind`]: connection, time, status, body.
    pub async fn send(&self, request: Request) -> Result<Response> {
        self.open(request, async |response| Ok(response)).await
    }

    /// Sends a request and reads the start of its response; `read` is a part of the attempt: if it
    /// fails with an error that another attempt may mend, there is one.
    ///
    /// `read` returns what the caller continues with, such as a stream whose first event it has
    /// seen. From then on nothing is repeated.
    ///
    /// # Errors
    /// As [`send`](Self::send), and those of `read`.
    pub async fn open<T, F, R>(&self, mut request: Request, read: F) -> Result<T>
    where
        F: Fn(Response) -> R + Send + Sync,
        R: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let total = request.0.call.timeout.or(self.0.timeouts.total).and_then(until);
        let url = self.0.latest.join(&self.0.base, &request.0.path, &request.0.query);
        let place = Place::new(&self.0.service, request.0.model.take(), url);
        let mut renewed = false;
        let mut attempt = 1;
        loop {
            let (error, server_says) = match self.attempt(&request, &place, total).await {
                Ok(response) => match read(response).await {
                    Ok(value) => {
                        self.0.budget.earn();
                        return Ok(value);
                    }
                    Err(error) => (error, None),
                },
                Err(failure) => failure,
            };
            if error.status() == Some(401)
                && !std::mem::replace(&mut renewed, true)
                && let Some(auth) = self.0.auth.as_ref().filter(|auth| auth.renews())
                && auth.renew().await.map_err(|error| place.at(error))?
            {
                tracing::debug!(target: "mellea::http", provider = self.0.service.provider, "credentials renewed");
                continue;
            }
            if let (Some(limiter), Some(wait)) = (&self.0.limiter, error.retry_after())
                && wait <= self.0.retry.max_retry_after
            {
                limiter.pause(wait);
            }
            let wait = if request.0.single { None } else { self.0.retry.wait(attempt, &error, server_says) };
            // A wait beyond the call's end is no wait.
            let wait = wait.filter(|wait| total.is_none_or(|(end, _)| until(*wait).is_some_and(|(then, _)| then < end)));
            let Some(wait) = wait.filter(|_| self.0.budget.take()) else { return Err(error) };
            tracing::warn!(target: "mellea::http", provider = self.0.service.provider, attempt, ?wait, %error, "trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One request, up to the headers of a success.
    async fn attempt(
        &self,
        request: &Request,
        place: &Place,
        total: Option<(Instant, Duration)>,
    ) -> Result<Response, (Error, Option<bool>)> {
        let plain = |error| (error, None);
        let timeouts = &self.0.timeouts;
        let silence = |own: Option<Duration>| match request.0.call.silence {
            Some(Some(limit)) => Some(own.map_or(limit, |own| own.min(limit))),
            Some(None) => None,
            None => own,
        };
        let limits = Limits { connect: timeouts.connect, idle: silence(timeouts.idle), total };
        let permit = match &self.0.limiter {
            // Boxed, as all that is rare here: calls are many, and their futures should be small.
            Some(limiter) => {
                let acquire = Box::pin(limiter.acquire());
                Some(limits.within(place, None, TimeoutPhase::Total, acquire).await.map_err(plain)?)
            }
            None => None,
        };
        // Room for all of them, those of the transport too: to grow costs more than to add.
        let many = self.0.headers.len() + request.0.headers.len() + request.0.call.headers.len() + 4;
        let mut headers = HeaderMap::with_capacity(many);
        headers.extend(self.0.headers.iter().map(|(n, v)| (n.clone(), v.clone())));
        headers.extend(request.0.headers.iter().map(|(n, v)| (n.clone(), v.clone())));
        if let Some(auth) = &self.0.auth {
            let mut outgoing =
                Outgoing { method: request.0.method.as_str(), url: place.url(), headers: &mut headers, body: &request.0.body };
            let authorized =
                limits.within(place, Some(Duration::from_secs(60)), TimeoutPhase::Connect, auth.authorize(&mut outgoing));
            authorized.await.and_then(|done| done).map_err(plain)?;
            if auth.renews() {
                // What was there before is the program's own, and may be as harmless as the name of a team.
                let own = |value| self.0.headers.values().chain(request.0.headers.values()).any(|own| own == value);
                let added = headers.values().filter(|value| value.is_sensitive() && !own(*value));
                added.for_each(|credential| self.0.service.hide(credential));
            }
        }
        headers.extend(request.0.call.headers.iter().map(|(n, v)| (n.clone(), v.clone())));
        let message = self.message(request, place, headers).map_err(plain)?;
        let execute = self.0.http.execute(message);
        let sent = limits.within(place, silence(timeouts.first_byte), TimeoutPhase::FirstToken, execute);
        let http = sent.await.map_err(plain)?.map_err(|error| plain(place.transport(error, timeouts.connect)))?;
        let response =
            Response(Box::new(Received { http, place: place.clone(), limits, begun: false, peeked: None, _permit: permit }));
        if response.0.http.status().is_success() {
            return Ok(response);
        }
        let server_says = response.header("x-should-retry").and_then(|value| value.trim().parse().ok());
        Err((Box::pin(refusal(response)).await, server_says))
    }

    fn message(&self, request: &Request, place: &Place, mut headers: HeaderMap) -> Result<reqwest::Request> {
        let built = self.0.http.request(request.0.method.clone(), place.url().clone()).body(request.0.body.clone()).build();
        let unfit = |e: reqwest::Error| ErrorKind::config("request", format!("the request cannot be sent: {}", e.without_url()));
        let mut message = built.map_err(|e| place.error(unfit(e)))?;
        // The user in the address, if there is one; other credentials win.
        if let Some(user) = message.headers_mut().remove(AUTHORIZATION) {
            headers.entry(AUTHORIZATION).or_insert(user);
        }
        // All of them at once: to add each to those of the request costs as much again.
        *message.headers_mut() = headers;
        Ok(message)
    }
}

/// Reads why a service refuses; a body that does not come in time is left out.
async fn refusal(mut response: Response) -> Error {
    const LIMIT: usize = 64 << 10;
    const PATIENCE: Duration = Duration::from_secs(5);
    let mut body = Vec::new();
    let read = async {
        while body.len() < LIMIT {
            match response.0.http.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(chunk.get(..chunk.len().min(LIMIT - body.len())).unwrap_or_default()),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, read).await;
    response.0.place.refusal(Some(response.0.http.status().as_u16()), response.0.http.headers(), &body)
}

/// Sets up a [`Client`].
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    provider: String,
    base: String,
    default_path: Option<String>,
    auth: Option<Arc<dyn Authorize>>,
    secrets: Vec<Secret>,
    settings: ClientSettings,
}

impl ClientBuilder {
    /// Adds this path to a base address that has none.
    pub fn default_path(mut self, path: impl Into<String>) -> Self {
        self.default_path = Some(path.into());
        self
    }

    /// Sends this key as `Authorization: Bearer`.
    pub fn key(self, key: impl Into<Secret>) -> Self {
        self.auth(Bearer::new(key))
    }

    /// Authenticates this way.
    pub fn auth(mut self, auth: impl Authorize) -> Self {
        self.auth = Some(Arc::new(auth));
        self
    }

    client_setters!();

    /// Keeps this text out of errors, too.
    pub fn secret(mut self, secret: impl Into<Secret>) -> Self {
        self.secrets.push(secret.into());
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an invalid address, header or proxy, and for a key that would
    /// travel unencrypted over the open network.
    pub fn build(self) -> Result<Client> {
        let mut rules = Rules::new();
        rules.tags = self.settings.reasoning_tags.clone().unwrap_or_default();
        rules.bare_calls = !self.settings.no_text_calls;
        rules.skip_unreadable = self.settings.skip_unreadable;
        let ClientSettings { headers: given, timeouts, retry, limiter, proxy, http, insecure, .. } = self.settings;
        let (timeouts, retry) = (timeouts.unwrap_or_default(), retry.unwrap_or_default());
        let at = |e: Error| e.at(&self.provider, "");
        let mut base = BaseUrl::parse(&self.base).map_err(at)?;
        if let Some(path) = &self.default_path {
            base = base.or_path(path);
        }
        if self.auth.is_some() && !insecure && !base.may_have_key() {
            let error = Error::config("base_url", format!("a key would go to {base} in the clear"));
            return Err(at(error).with_hint("use https, or allow it with `insecure`"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("mellea/", env!("CARGO_PKG_VERSION"))));
        let mut redactor = Redactor::default();
        for (name, value) in &given {
            let (name, value) = header(name, value).map_err(at)?;
            headers.insert(name, value);
        }
        let keys = self.auth.iter().flat_map(|auth| auth.secrets()).chain(self.secrets);
        let keys = keys.filter(|key| key.expose().len() >= MIN_SECRET);
        keys.for_each(|key| redactor.add(key.expose().to_owned()));
        if let Some(password) = base.as_url().password() {
            redactor.add(password.to_owned());
        }
        let http = match http {
            Some(client) => client,
            None => transport::client(&timeouts, proxy.as_ref()).map_err(at)?,
        };
        Ok(Client(Arc::new(Inner {
            http,
            service: Arc::new(Service::new(self.provider, redactor)),
            base,
            latest: Latest::default(),
            auth: self.auth,
            headers,
            timeouts,
            retry,
            budget: Budget::new(retry.budget),
            limiter,
            rules,
        })))
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").field("provider", &self.provider).finish_non_exhaustive()
    }
}
