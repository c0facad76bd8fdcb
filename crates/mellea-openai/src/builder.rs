//! Setting up the backend: address, key, dialect, policy.

use std::sync::Arc;

use mellea_core::{Error, ModelOptions, ModelRef, OptionKey, OptionValue, Result};
use mellea_http::auth::{Authorize, KeyHeader};
use mellea_http::{BaseUrl, Client, ClientBuilder, ClientSettings, Secret, client_setters};
use serde_json::{Map, Value};

use crate::backend::{Api, Inner, OpenAi};
use crate::dialect::{AuthHeader, Dialect};
use crate::learned::Memory;

/// Sets up an [`OpenAi`] backend; made by [`OpenAi::builder`].
///
/// # Address
/// [`base_url`](Self::base_url), or the dialect's variable (`OPENAI_BASE_URL` unless the dialect belongs to another
/// vendor), or the dialect's usual address; OpenAI's own without a dialect. An address without a path gets `/v1`.
///
/// # Key
/// [`api_key`](Self::api_key), or a variable: the dialect's own (such as `GROQ_API_KEY`), or `OPENAI_API_KEY`. The
/// latter goes to OpenAI, and to an address given here or in `OPENAI_BASE_URL`, unless that address is another
/// known vendor's: one vendor's key is never sent to another. A server on this machine, or your own server, needs
/// none.
///
/// # Requests
/// A call makes the requests of its [`Retry`](mellea_http::Retry) policy. When a server refuses with a message that names a field that it wants changed
/// (`max_tokens` and `max_completion_tokens`, `stream_options`, `temperature`, the form of the schema), the backend changes it and asks
/// again, once per call; it remembers this, and the answer has a warning.
#[derive(Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct OpenAiBuilder {
    model: Option<ModelRef>,
    dialect: Option<Dialect>,
    base_url: Option<String>,
    api_key: Option<Secret>,
    keyless: bool,
    auth: Option<Box<dyn FnOnce(ClientBuilder) -> ClientBuilder + Send + Sync>>,
    organization: Option<String>,
    project: Option<String>,
    query: Vec<(String, String)>,
    settings: ClientSettings,
    options: ModelOptions,
    context_window: Option<u64>,
    api: Api,
}

impl std::fmt::Debug for OpenAiBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiBuilder")
            .field("model", &self.model)
            .field("dialect", &self.dialect.map(|dialect| dialect.name))
            .field("api_key", &self.api_key)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Reads an environment variable, unless it is blank.
pub(crate) fn env(variable: &str) -> Option<String> {
    std::env::var(variable).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

impl OpenAiBuilder {
    /// The model: a name that the service knows, or one from the catalogue.
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The server's dialect. By default it follows from the address ([`Dialect::of_url`]).
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// The address of the API, such as `http://localhost:8000/v1`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The key.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sends no key, even if the environment has one.
    pub fn keyless(mut self) -> Self {
        self.keyless = true;
        self
    }

    /// Authenticates this way instead of with a key, for example with tokens that expire.
    pub fn auth(mut self, auth: impl Authorize) -> Self {
        self.auth = Some(Box::new(|client| client.auth(auth)));
        self
    }

    /// The organisation to bill at OpenAI; default `OPENAI_ORG_ID`. It is not sent to other hosts.
    pub fn organization(mut self, id: impl Into<String>) -> Self {
        self.organization = Some(id.into());
        self
    }

    /// The project at OpenAI; default `OPENAI_PROJECT_ID`. It is not sent to other hosts.
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = Some(id.into());
        self
    }

    /// Adds this query parameter to every request, replacing the dialect's of the same name. Do not put secrets here.
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    client_setters!();

    /// Sets an option for every call; a call or a session may override it.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.options.set(key, value);
        self
    }

    /// Sets options for every call; a call or a session may override them.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.options = self.options.merged(options);
        self
    }

    /// The context window that prompt and answer share, in tokens, if the catalogue does not know it.
    pub fn context_window(mut self, tokens: u64) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// Uses the Responses API instead of chat completions: only there do OpenAI's newest models reason across tool
    /// calls. The service stores nothing; the whole conversation is sent each time, and reasoning goes back in its
    /// encrypted form. Stop sequences and seeds do not exist in this API.
    pub fn responses(mut self) -> Self {
        self.api = Api::Responses;
        self
    }

    /// Builds the backend. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) without a model, for an invalid address, without a key for a service that
    /// needs one (it names the variables), and for a key that would travel unencrypted over the open network.
    pub fn build(self) -> Result<OpenAi> {
        self.build_with(&env)
    }

    pub(crate) fn build_with(self, env: &dyn Fn(&str) -> Option<String>) -> Result<OpenAi> {
        let address = Address::find(self.base_url.as_deref(), self.dialect, env)?;
        let dialect = address.dialect;
        let name = model_name(self.model.as_ref(), &dialect);
        let at = |error: Error| error.at(dialect.name, name.as_deref().unwrap_or_default());
        let model = name.clone().map_err(at)?;
        let mut client = Client::builder(dialect.name, address.url.clone()).default_path(address.default_path());
        client = match (self.auth, self.api_key) {
            (Some(auth), _) => auth(client),
            (None, key) => match key.filter(|key| !key.is_empty()).or_else(|| address.key(env, self.keyless)) {
                Some(key) => with_key(client, dialect.auth, key).map_err(at)?,
                None if self.keyless || !address.needs_key() => client,
                None => return Err(at(address.no_key())),
            },
        };
        if address.is_openai() {
            for (header, value, variable) in [
                ("OpenAI-Organization", self.organization, "OPENAI_ORG_ID"),
                ("OpenAI-Project", self.project, "OPENAI_PROJECT_ID"),
            ] {
                if let Some(value) = value.or_else(|| env(variable)) {
                    client = client.header(header, value);
                }
            }
        }
        client = client.settings(self.settings);
        let fixed = dialect.query.iter().filter(|(name, _)| !self.query.iter().any(|(own, _)| own == name));
        let mut query: Vec<(String, String)> = fixed.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        query.extend(self.query);
        let known = self.model.as_ref().and_then(ModelRef::context_length);
        Ok(OpenAi(Arc::new(Inner {
            client: client.build().map_err(at)?,
            extra_body: extra_body(&dialect).map_err(at)?,
            model,
            dialect,
            api: self.api,
            query,
            options: self.options,
            context_window: self.context_window.or(known),
            memory: Memory::default(),
        })))
    }
}

fn model_name(model: Option<&ModelRef>, dialect: &Dialect) -> Result<String> {
    let model = model.ok_or_else(|| Error::config("model", "no model is set").with_hint("name it with `model`"))?;
    let catalogue = if *dialect == Dialect::OLLAMA { "ollama" } else { "openai" };
    let name = model.name_for(catalogue).or_else(|| model.name_for("openai"));
    let name = name.ok_or_else(|| {
        Error::config("model", "this model of the catalogue has no name here").with_hint("give the name as a text")
    })?;
    let name = name.trim();
    if name.is_empty() { Err(Error::config("model", "the model's name is blank")) } else { Ok(name.to_owned()) }
}

fn with_key(client: ClientBuilder, header: AuthHeader, key: Secret) -> Result<ClientBuilder> {
    Ok(match header {
        AuthHeader::Bearer => client.key(key),
        AuthHeader::Header(name) => client.auth(KeyHeader::new(name, key)?),
    })
}

fn extra_body(dialect: &Dialect) -> Result<Map<String, Value>> {
    if dialect.extra_body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(dialect.extra_body)
        .map_err(|error| Error::config("extra_body", format!("`extra_body` of the dialect is no JSON object: {error}")))
}

/// Where calls go, and how that was found.
struct Address {
    url: String,
    base: BaseUrl,
    dialect: Dialect,
    /// The caller or the caller's environment named it.
    chosen: bool,
}

impl Address {
    fn find(given: Option<&str>, dialect: Option<Dialect>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let variables = dialect.unwrap_or(Dialect::OPENAI).base_variables;
        let chosen = given.map(str::to_owned).or_else(|| variables.iter().find_map(|variable| env(variable)));
        let known = dialect.unwrap_or(Dialect::OPENAI);
        let (url, dialect, chosen) = match chosen {
            Some(url) => {
                let dialect = dialect.unwrap_or_else(|| Dialect::of_url(&url));
                (url, dialect, true)
            }
            None if known.base_url.is_empty() => {
                let mut error = Error::config("base_url", format!("the address of {} is not set", known.name));
                if !variables.is_empty() {
                    error = error.with_hint(format!("set `base_url` or {}", variables.join(" or ")));
                }
                return Err(error.at(known.name, ""));
            }
            None => (known.base_url.to_owned(), known, false),
        };
        let base = BaseUrl::parse(&url).map_err(|error| error.at(dialect.name, ""))?;
        // The newer interface of Azure has no paths of deployments.
        let newer = dialect == Dialect::AZURE && base.as_url().path().contains("/openai/v1");
        let dialect = if newer { Dialect::AZURE_V1 } else { dialect };
        Ok(Self { url, base, dialect, chosen })
    }

    /// What an address without a path gets: nothing where the dialect's own paths begin at the root.
    fn default_path(&self) -> &'static str {
        if self.dialect.chat_path.starts_with("openai/") { "" } else { "v1" }
    }

    fn is_openai(&self) -> bool {
        Dialect::OPENAI.is_host(self.base.host())
    }

    fn needs_key(&self) -> bool {
        !self.base.is_local() && (self.dialect.needs_key || Dialect::knows_base(&self.base))
    }

    /// A key of the environment that may go to this address.
    fn key(&self, env: &dyn Fn(&str) -> Option<String>, keyless: bool) -> Option<Secret> {
        if keyless {
            return None;
        }
        self.key_variables().find_map(env).map(Secret::from)
    }

    /// The variables whose keys may go to this address: a vendor's to the vendor, and to an address that
    /// the caller named, unless that is another vendor's.
    fn key_variables(&self) -> impl Iterator<Item = &'static str> {
        let own = self.dialect.is_host(self.base.host());
        let openai = self.is_openai();
        let theirs = self.chosen && !Dialect::knows_base(&self.base);
        let may = move |variable: &&str| theirs || if *variable == "OPENAI_API_KEY" { openai } else { own };
        self.dialect.key_variables.iter().copied().filter(may)
    }

    fn no_key(&self) -> Error {
        let variables: Vec<&str> = self.key_variables().collect();
        let error = Error::config("api_key", format!("{} needs a key, and none is set", self.base.host()));
        match variables.as_slice() {
            [] => error.with_hint("give it with `api_key`"),
            names => error.with_hint(format!("give it with `api_key`, or set {}", names.join(" or "))),
        }
    }
}

#[cfg(test)]
mod tests;
