//! Setting up a backend.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use mellea_core::{Error, ModelOptions, ModelRef, OptionKey, OptionValue, Result};
use mellea_http::{BaseUrl, Client, ClientSettings, Secret, Timeouts, client_setters};
use serde_json::Value;

use crate::backend::{Ollama, Settings};
use crate::host::address;
use crate::progress::{self, Listener, PullProgress};
use crate::pull::Pull;

/// How many raw completions run at once by default.
const RAW_CONCURRENCY: usize = 4;

/// What happens to a prompt that does not fit into the server's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncation {
    /// It is an error. The server is asked not to shorten it (`truncate: false`); if it does so
    /// anyway, the backend notices from the tokens that the server counts.
    #[default]
    Refuse,
    /// It is a warning on the answer, if it is noticed.
    Warn,
}

/// Sets up an [`Ollama`].
///
/// Connecting within this machine may take 5 s; the other time limits are those of [`Timeouts`]. There is none on
/// a whole call: one that ends while a model is being loaded makes the next call load it again.
#[derive(Default)]
#[must_use = "a backend is made by `build` or `connect`"]
pub struct OllamaBuilder {
    model: Option<ModelRef>,
    host: Option<String>,
    api_key: Option<Secret>,
    window: Option<u64>,
    keep_alive: Option<Value>,
    truncation: Truncation,
    pull: Pull,
    listeners: Vec<Listener>,
    bar: bool,
    raw_concurrency: Option<NonZeroUsize>,
    settings: ClientSettings,
    options: ModelOptions,
}

impl OllamaBuilder {
    /// The model, such as `granite4.1:3b`. There is no default.
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The server: a host name, a host name with a port, or an address, see [`address`].
    /// Default: `OLLAMA_HOST`, or this machine.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The same as [`host`](Self::host), under the name that all backends use.
    pub fn base_url(self, address: impl Into<String>) -> Self {
        self.host(address)
    }

    /// The key, sent as `Authorization: Bearer`. Default: `OLLAMA_API_KEY`, or none.
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The context window in tokens that every request asks for (`num_ctx`); at least 1. The server reloads a
    /// model when it changes, so it is chosen once. Default: with [`connect`](Self::connect)
    /// what the model's Modelfile says, or the model's own window, at most 8192; with
    /// [`build`](Self::build) the server chooses.
    pub fn context_window(mut self, tokens: u64) -> Self {
        self.window = Some(tokens);
        self
    }

    /// How long the server keeps the model loaded after a call: a text such as `"10m"`, or seconds; 0
    /// unloads it at once, -1 keeps it loaded. Default: the server's, five minutes.
    pub fn keep_alive(mut self, time: impl Into<Value>) -> Self {
        self.keep_alive = Some(time.into());
        self
    }

    /// What happens to a prompt that does not fit. Default: [`Truncation::Refuse`].
    pub fn truncation(mut self, truncation: Truncation) -> Self {
        self.truncation = truncation;
        self
    }

    /// When [`connect`](Self::connect) pulls the model. Default: [`Pull::IfMissing`].
    pub fn pull(mut self, pull: Pull) -> Self {
        self.pull = pull;
        self
    }

    /// Calls this function with the progress of a pull.
    pub fn on_progress(mut self, listener: impl Fn(&PullProgress) + Send + Sync + 'static) -> Self {
        self.listeners.push(Listener(Arc::new(listener)));
        self
    }

    /// Shows the progress of a pull as a bar on standard error, if that is a terminal.
    pub fn progress_bar(mut self) -> Self {
        self.bar = true;
        self
    }

    /// How many raw completions of one batch run at once; 0 counts as 1. Default 4.
    pub fn raw_concurrency(mut self, calls: usize) -> Self {
        self.raw_concurrency = Some(NonZeroUsize::new(calls).unwrap_or(NonZeroUsize::MIN));
        self
    }

    client_setters!();

    /// Sets an option for every call, unless the session or the call overrides it: a
    /// [`ModelOption`](mellea_core::ModelOption) or one of the server's own, such as `top_k`.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.options.set(key, value);
        self
    }

    /// Sets options for every call, over those already set.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.options = self.options.merged(options);
        self
    }

    /// Builds the backend. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) if there is no model, or it has no name at Ollama; for an invalid host,
    /// header or window; and for a key that would travel unencrypted over the open network.
    pub fn build(self) -> Result<Ollama> {
        self.build_in(|name| std::env::var(name).ok())
    }

    /// Builds the backend once the server has answered and has the model: [`pull`](Self::pull) says what
    /// happens if it does not. From then on the backend knows what the model can do, and refuses a request
    /// that it cannot answer before sending it.
    ///
    /// # Errors
    /// As [`build`](Self::build); if the server cannot be reached or is older than 0.5; and
    /// [`ErrorKind::ModelNotFound`](mellea_core::ErrorKind::ModelNotFound).
    pub async fn connect(self) -> Result<Ollama> {
        let backend = self.build()?;
        let known = Box::pin(backend.examine()).await?;
        Ok(backend.with(known))
    }

    fn build_in(self, environment: impl Fn(&str) -> Option<String>) -> Result<Ollama> {
        let unnamed = |text: String| Error::config("model", text);
        let place = |error: Error| error.at("ollama", "");
        let model =
            self.model.as_ref().ok_or_else(|| place(unnamed("no model was named".to_owned())).with_hint("`.model(…)`"))?;
        let name = model.name_for("ollama").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| place(unnamed(format!("{model:?} has no name at Ollama"))))?;
        let place = |error: Error| error.at("ollama", &name);
        if self.window == Some(0) {
            return Err(place(Error::config("context_window", "`context_window` must be at least 1")));
        }
        let host = self.host.or_else(|| environment("OLLAMA_HOST")).unwrap_or_default();
        let base = address(&host);
        let local = BaseUrl::parse(&base).map_err(place)?.is_local();
        let usual = || if local { Timeouts::new().connect(Duration::from_secs(5)) } else { Timeouts::new() };
        let mut client = Client::builder("ollama", base).timeouts(usual()).settings(self.settings);
        let key = self.api_key.or_else(|| environment("OLLAMA_API_KEY").map(Secret::new));
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            client = client.key(key);
        }
        let mut listeners = self.listeners;
        listeners.extend(self.bar.then(progress::bar).flatten());
        let settings = Settings {
            window: self.window,
            keep_alive: self.keep_alive,
            truncation: self.truncation,
            raw_concurrency: self.raw_concurrency.map_or(RAW_CONCURRENCY, NonZeroUsize::get),
            defaults: self.options,
            pull: self.pull,
            listeners,
            known: None,
            model: name.clone(),
        };
        Ok(Ollama::from_parts(client.build().map_err(place)?, settings))
    }
}

impl fmt::Debug for OllamaBuilder {
    /// Without headers: what is in them may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().map(|host| host.rsplit_once('@').map_or(host, |(_, host)| host));
        let mut out = f.debug_struct("OllamaBuilder");
        out.field("model", &self.model).field("host", &host).field("context_window", &self.window);
        out.field("pull", &self.pull).field("options", &self.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mellea_core::model::{IBM_GRANITE_4_1_3B, ModelIdentifier, OPENAI_GPT_5_1};

    use mellea_core::ErrorKind;

    use super::*;

    fn environment(host: Option<&str>, key: Option<&str>) -> impl Fn(&str) -> Option<String> {
        let (host, key) = (host.map(str::to_owned), key.map(str::to_owned));
        move |name| match name {
            "OLLAMA_HOST" => host.clone(),
            "OLLAMA_API_KEY" => key.clone(),
            _ => None,
        }
    }

    #[test]
    fn the_host_is_what_was_said_then_the_environment_then_this_machine() {
        let build = |builder: OllamaBuilder, host| builder.model("m").build_in(environment(host, None)).unwrap().address();
        assert_eq!(build(Ollama::builder(), None), "http://127.0.0.1:11434");
        assert_eq!(build(Ollama::builder(), Some("gpu:1")), "http://gpu:1");
        assert_eq!(build(Ollama::builder().host("other"), Some("gpu:1")), "http://other:11434");
        assert_eq!(build(Ollama::builder().base_url("https://h/p/"), None), "https://h/p");
    }

    #[test]
    fn a_model_goes_by_its_name_at_ollama() {
        let name = |model: ModelIdentifier| Ollama::builder().model(model).build_in(environment(None, None));
        assert_eq!(name(IBM_GRANITE_4_1_3B).unwrap().settings().model, "granite4.1:3b");
        for error in [
            name(OPENAI_GPT_5_1).unwrap_err(),
            Ollama::builder().build().unwrap_err(),
            Ollama::new(" ").unwrap_err(),
            Ollama::builder().model("m").context_window(0).build().unwrap_err(),
            Ollama::builder().model("m").host("ftp://h").build().unwrap_err(),
            Ollama::builder().model("m").header("a b", "c").build().unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}");
            assert_eq!(error.provider(), Some("ollama"));
        }
    }

    #[test]
    fn a_key_is_never_shown_nor_sent_in_the_clear() {
        let backend = Ollama::builder().model("m").build_in(environment(None, Some("canary"))).unwrap();
        assert!(!format!("{backend:?} {:?}", backend.client()).contains("canary"));
        let builder = Ollama::builder().model("m").api_key("canary").host("http://example.com");
        assert!(!format!("{builder:?}").contains("canary"));
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains("in the clear") && !error.to_string().contains("canary"), "{error}");
        assert!(Ollama::builder().model("m").api_key("canary").host("http://example.com").insecure().build().is_ok());
    }
}
