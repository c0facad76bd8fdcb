//! Starting a session with a backend chosen by name.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use mellea_core::{
    Backend, Context, Error, ErrorKind, ModelOptions, ModelRef, OptionKey, OptionValue, Prompts, Result, SamplingStrategy,
    Session,
};

/// The names that [`StartSession::backend`] may be given, those of this program first.
const KNOWN: [&str; 5] = ["hf", "ollama", "openai", "litellm", "watsonx"];

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
    StartSession {
        backend: "ollama".to_owned(),
        model: None,
        context: Context::default(),
        options: ModelOptions::new(),
        change: Vec::new(),
    }
}

/// A session that is about to start, see [`start_session`].
#[must_use = "a session starts when this is awaited"]
pub struct StartSession {
    backend: String,
    model: Option<ModelRef>,
    context: Context,
    options: ModelOptions,
    change: Vec<Change>,
}

type Change = Box<dyn FnOnce(mellea_core::SessionBuilder) -> mellea_core::SessionBuilder + Send>;

impl StartSession {
    /// Uses the backend of this name: `hf` (also `huggingface`), `ollama`, `openai`, `litellm` or
    /// `watsonx`. Each needs the cargo feature of its name.
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.backend = name.into();
        self
    }

    /// Uses this model: a name as the backend knows it, or a
    /// [`ModelIdentifier`](crate::ModelIdentifier). For `hf` it may be a directory.
    ///
    /// Without one it is [`IBM_GRANITE_4_1_3B`](crate::model::IBM_GRANITE_4_1_3B), or for `hf` with the feature `pico` the small
    /// demonstration model that travels with the program.
    pub fn model(mut self, model: impl Into<ModelRef>) -> Self {
        self.model = Some(model.into());
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

    /// Sets the strategy of calls that have none of their own.
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
        let backend = backend(&self.backend, self.model.as_ref()).await?;
        let session = Session::builder(backend).context(self.context).options(&self.options);
        Ok(self.change.into_iter().fold(session, |session, change| change(session)).build())
    }
}

/// The backend of this name.
async fn backend(name: &str, model: Option<&ModelRef>) -> Result<Arc<dyn Backend>> {
    match name {
        "hf" | "huggingface" => hf(model).await,
        known if KNOWN.contains(&known) => Err(Error::from(unknown(name)).with_hint(format!(
            "this version has no backend for `{known}` yet; run a model in this process instead: \
             `cargo add --path CHECKOUT/crates/mellea --features hf,pico`, then `start_session().backend(\"hf\")`"
        ))),
        _ => Err(Error::from(unknown(name)).with_hint(format!("the names are {}", KNOWN.join(", ")))),
    }
}

fn unknown(name: &str) -> ErrorKind {
    let available = if cfg!(feature = "hf") { "hf" } else { "none; each is a cargo feature" };
    ErrorKind::UnknownBackend { name: name.to_owned(), available: available.to_owned() }
}

#[cfg(feature = "hf")]
async fn hf(model: Option<&ModelRef>) -> Result<Arc<dyn Backend>> {
    let model = match model {
        #[cfg(feature = "pico")]
        None => return Ok(Arc::new(mellea_hf::HuggingFace::pico().await?)),
        #[cfg(not(feature = "pico"))]
        None => &ModelRef::from(mellea_core::model::IBM_GRANITE_4_1_3B),
        Some(model) => model,
    };
    let name = model.name_for("hf").ok_or_else(|| ErrorKind::Config("this model has no name on the Hugging Face hub".into()))?;
    Ok(Arc::new(mellea_hf::HuggingFace::load(name.as_ref()).await?))
}

#[cfg(not(feature = "hf"))]
async fn hf(_: Option<&ModelRef>) -> Result<Arc<dyn Backend>> {
    Err(Error::from(unknown("hf"))
        .with_hint("enable the feature: `cargo add --path CHECKOUT/crates/mellea --features hf` (`hf,pico` for a small model that is included)"))
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
        f.debug_struct("StartSession").field("backend", &self.backend).field("model", &self.model).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_arguments_it_names_ollama_and_says_what_helps() {
        let error = start_session().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::UnknownBackend { name, .. } if name == "ollama"), "{error}");
        assert!(error.hint().unwrap().contains("--features hf,pico"), "{error}");
    }

    #[tokio::test]
    async fn a_wrong_name_lists_the_right_ones() {
        let error = start_session().backend("ollma").await.unwrap_err();
        assert!(error.to_string().contains("hf, ollama, openai, litellm, watsonx"), "{error}");
    }

    #[cfg(not(feature = "hf"))]
    #[tokio::test]
    async fn a_missing_feature_is_named() {
        let error = start_session().backend("hf").await.unwrap_err();
        assert!(error.hint().unwrap().contains("--features hf"), "{error}");
    }
}
