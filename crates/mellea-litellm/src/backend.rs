//! The backend that a model's name leads to.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Error, EventStream, ModelOption, ModelOptions, ModelOutput, ModelRef, RawRequest,
    RequestOptions, Result, Warning,
};

use crate::builder::LiteLlmBuilder;
use crate::litellm_options;

/// A model from any provider, found by its name.
///
/// It hands each request to the backend of that provider: [`provider`](Backend::provider) is the
/// prefix, such as `groq`, and [`model`](Backend::model) the model as the provider knows it.
///
/// ```
/// use mellea_core::Backend;
/// use mellea_litellm::LiteLlm;
///
/// let backend = LiteLlm::builder().model("groq/llama-3.3-70b-versatile").api_key("gsk-..").build()?;
/// assert_eq!((backend.provider(), backend.model()), ("groq", "llama-3.3-70b-versatile"));
///
/// let error = LiteLlm::builder().model("grog/llama").build().unwrap_err();
/// assert!(error.to_string().contains("did you mean `groq`"));
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LiteLlm {
    inner: Arc<dyn Backend>,
    name: Arc<str>,
}

impl LiteLlm {
    /// A backend for the model `provider/model`; the key comes from the environment.
    ///
    /// # Errors
    /// As [`LiteLlmBuilder::build`].
    pub fn new(model: impl Into<ModelRef>) -> Result<Self> {
        Self::builder().model(model).build()
    }

    /// Sets up a backend.
    pub fn builder() -> LiteLlmBuilder {
        LiteLlmBuilder::default()
    }

    pub(crate) fn of(inner: Arc<dyn Backend>, name: String) -> Self {
        Self { inner, name: name.into() }
    }

    /// The model's name with its prefix, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of LiteLLM's own settings among a call's options.
    fn own(options: &RequestOptions) -> impl Iterator<Item = &String> {
        options.extra.keys().filter(|name| litellm_options::is_own(name))
    }

    /// The options without LiteLLM's own settings: a provider must not see them, a key least of all.
    fn strip(options: &mut RequestOptions) {
        options.extra.retain(|name, _| !litellm_options::is_own(name));
    }

    fn warnings(options: &RequestOptions) -> impl Iterator<Item = Warning> {
        Self::own(options).map(|name| Warning::UnsupportedOption { option: name.clone(), provider: "litellm".to_owned() })
    }
}

impl fmt::Debug for LiteLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("litellm::LiteLlm").field("name", &self.name).field("backend", &self.inner).finish()
    }
}

/// With what a refusal of the proxy means, where its words do not tell.
fn explained(error: Error) -> Error {
    let code = error.response().and_then(|response| response.code.as_deref());
    if error.provider() == Some("litellm_proxy") && code == Some("no_db_connection") {
        return error.with_hint("the proxy does not know this key; give it with `api_key` or in LITELLM_PROXY_API_KEY");
    }
    error
}

#[async_trait]
impl Backend for LiteLlm {
    fn provider(&self) -> &str {
        self.inner.provider()
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn default_options(&self) -> ModelOptions {
        self.inner.default_options()
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        self.inner.synonyms()
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        if Self::own(&request.options).next().is_none() {
            return self.inner.unsupported(request);
        }
        let mut stripped = request.clone();
        Self::strip(&mut stripped.options);
        let mut warnings = self.inner.unsupported(&stripped);
        warnings.extend(Self::warnings(&request.options));
        warnings
    }

    fn is_real(&self) -> bool {
        self.inner.is_real()
    }

    async fn chat(&self, mut request: ChatRequest) -> Result<EventStream> {
        Self::strip(&mut request.options);
        self.inner.chat(request).await.map_err(explained)
    }

    async fn complete(&self, mut requests: Vec<RawRequest>) -> Vec<Result<ModelOutput>> {
        let warnings: Vec<Vec<Warning>> = requests.iter().map(|request| Self::warnings(&request.options).collect()).collect();
        requests.iter_mut().for_each(|request| Self::strip(&mut request.options));
        let mut outputs = self.inner.complete(requests).await;
        for (output, warnings) in outputs.iter_mut().zip(warnings) {
            if let Ok(output) = output {
                output.warnings.extend(warnings);
            }
        }
        outputs
    }
}
