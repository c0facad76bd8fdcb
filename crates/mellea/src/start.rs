//! Starting a session with a backend chosen by name.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use mellea_core::{Backend, Context, ModelOptions, ModelRef, OptionKey, OptionValue, Prompts, Result, SamplingStrategy, Session};

use crate::backends::{self, Wanted};

/// Starts a session: by default with Ollama and Granite 4.1 3B.
///
/// ```no_run
/// # async fn example() -> mellea::Result<()> {
/// use mellea::prelude::*;
///
/// let m = mellea::start_session()
///     .backend("hf")
///     .model("ibm-granite/granite-4.1-3b")
///     .context(ChatContext::new())
///     .option(ModelOption::Temperature, 0.2)
///     .await?;
/// # Ok(()) }
/// ```
pub fn start_session() -> StartSession {
    StartSession { wanted: Wanted::new("ollama"), context: Context::default(), options: ModelOptions::new(), change: Vec::new() }
}

/// A session that is about to start, see [`start_session`].
#[must_use = "a session starts when this is awaited"]
pub struct StartSession {
    wanted: Wanted,
    context: Context,
    options: ModelOptions,
    change: Vec<Change>,
}

type Change = Box<dyn FnOnce(mellea_core::SessionBuilder) -> mellea_core::SessionBuilder + Send>;

impl StartSession {
    /// Uses the backend of this name: `ollama` (the default), `openai`, `litellm`, `watsonx`, or `hf`
    /// (also `huggingface`). Each needs the cargo feature of its name; `ollama` and `openai` are on
    /// by default.
    ///
    /// With `ollama`, starting the session asks the server for its version and the model, and
    /// pulls a model that is missing, with a progress bar on a terminal. Build
    /// [`Ollama`](crate::ollama::Ollama) yourself for another policy. The other backends do nothing
    /// on the network before the first call.
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.wanted.name = name.into();
        self
    }

    /// Uses this model: a name that the backend knows, or a
    /// [`ModelIdentifier`](crate::model::ModelIdentifier). For `hf` it may be a directory.
    ///
    /// Without one it is [`IBM_GRANITE_4_1_3B`](crate::model::IBM_GRANITE_4_1_3B) on `ollama` and
    /// `litellm` (through Ollama), [`IBM_GRANITE_4_HYBRID_SMALL`](crate::model::IBM_GRANITE_4_HYBRID_SMALL) on `watsonx`, and on `hf`
    /// Granite again, or with the feature `pico` the small demonstration model that is part of the
    /// program. `openai` requires a name, because it may cost money.
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.wanted.model = Some(model.into());
        self
    }

    /// Uses the service at this address. Default: the backend's environment variable
    /// (`OLLAMA_HOST`, `OPENAI_BASE_URL`, `WATSONX_URL`, a provider's own), then its usual address.
    pub fn base_url(mut self, address: impl Into<String>) -> Self {
        self.wanted.base_url = Some(address.into());
        self
    }

    /// Uses this key. Default: the backend's environment variable (`OPENAI_API_KEY`,
    /// `OLLAMA_API_KEY`, `WATSONX_API_KEY`, a provider's own).
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.wanted.api_key = Some(key.into());
        self
    }

    /// Starts from this context; a [`SimpleContext`](crate::SimpleContext) by default.
    pub fn context(mut self, context: impl Into<Context>) -> Self {
        self.context = context.into();
        self
    }

    /// Sets an option for every call.
    pub fn option(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.options.set(key, value);
        self
    }

    /// Sets options for every call.
    pub fn options(mut self, options: &ModelOptions) -> Self {
        self.options = self.options.merged(options);
        self
    }

    /// Sets the default strategy of calls.
    pub fn strategy(self, strategy: impl SamplingStrategy) -> Self {
        self.change(move |session| session.strategy(strategy))
    }

    /// Lets another model judge requirements that have no validator.
    pub fn judge(self, judge: impl Backend) -> Self {
        self.change(move |session| session.judge(judge))
    }

    /// Uses these templates.
    pub fn prompts(self, prompts: Prompts) -> Self {
        self.change(move |session| session.prompts(prompts))
    }

    /// Refuses a call if the backend cannot honour all of it, instead of warning.
    pub fn strict(self) -> Self {
        self.change(mellea_core::SessionBuilder::strict)
    }

    fn change(
        mut self,
        change: impl FnOnce(mellea_core::SessionBuilder) -> mellea_core::SessionBuilder + Send + 'static,
    ) -> Self {
        self.change.push(Box::new(change));
        self
    }

    async fn start(self) -> Result<Session> {
        let backend = backends::make(&self.wanted).await?;
        let session = Session::builder(backend).context(self.context).options(&self.options);
        Ok(self.change.into_iter().fold(session, |session, change| change(session)).build())
    }
}

impl IntoFuture for StartSession {
    type Output = Result<Session>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Session>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl std::fmt::Debug for StartSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartSession").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}
