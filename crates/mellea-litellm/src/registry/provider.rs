//! One provider: its address, its credentials, and how it differs from OpenAI.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One provider of the registry: a prefix of model names, and what is needed to call it.
///
/// In TOML a provider is a table of these fields; all but `name` may be left out.
///
/// ```
/// use mellea_litellm::{Provider, Registry};
///
/// let registry = Registry::builtin().with_toml(r#"
///     [[provider]]
///     name = "mine"
///     base_url = "https://llm.example.com/v1"
///     key_env = ["MINE_API_KEY"]
///     drop = ["seed"]
///     max_temperature = 1.0
/// "#)?;
/// assert_eq!(registry.get("mine").map(|p| p.drop.len()), Some(1));
///
/// let mine = Provider::new("mine", "https://llm.example.com/v1").key_env(["MINE_API_KEY"]).drop(["seed"]);
/// assert_eq!(Registry::builtin().with(mine).get("mine").map(|p| p.drop.len()), Some(1));
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Provider {
    /// The prefix, such as `groq` in `groq/llama-3.3-70b-versatile`.
    pub name: String,
    /// Other prefixes for the same provider.
    pub aliases: Vec<String>,
    /// How it is reached.
    pub kind: Kind,
    /// The provider that this is just another name for; of the other fields only `kind` counts.
    pub alias_of: Option<String>,
    /// Its address without [`path`](Self::path); none if the user must give it. Names
    /// in braces are [`vars`](Self::vars).
    pub base_url: Option<String>,
    /// The environment variables that hold the user's own address, the first that is set counts.
    pub base_env: Vec<String>,
    /// What is added to an address of the user's that has no path. For OpenAI's wire that is `v1`,
    /// unless the provider's own address has no path either.
    pub base_path: Option<String>,
    /// The environment variables that hold the key, the first that is set counts.
    pub key_env: Vec<String>,
    /// The environment variables that hold a token, if there is no key: it goes as `Authorization:
    /// Bearer`, whatever [`auth`](Self::auth) says.
    pub token_env: Vec<String>,
    /// How to get a token if there is neither key nor token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuth>,
    /// Whether a key is required.
    pub key: Key,
    /// The header that takes the key; without one, `Authorization: Bearer`.
    pub auth: Option<String>,
    /// The path of chat, `chat/completions` by default.
    pub path: Option<String>,
    /// Parts of the address that are settings: names, and where their values come from.
    pub vars: BTreeMap<String, Var>,
    /// What else the address, the headers or the model's name need.
    pub form: Form,
    /// The dialect of `mellea-openai` that the fields below change: `openai`, `azure`, `vllm`,
    /// `ollama`, `lm_studio`, `llama_cpp`, `groq`, `deepseek`, `openrouter`, `nim`; `generic` by
    /// default.
    pub dialect: Option<String>,
    /// The field that limits the answer's tokens.
    pub token_field: Option<TokenField>,
    /// Fields of the body that the provider refuses or ignores; they are left out with a warning.
    pub drop: Vec<String>,
    /// Fields of the body that have another name here.
    pub rename: BTreeMap<String, String>,
    /// The highest temperature; a higher one becomes this, with a warning.
    pub max_temperature: Option<f64>,
    /// How to make an answer fit a schema.
    pub response_format: Option<ResponseFormat>,
    /// How the content of a message is written.
    pub content: Option<Content>,
    /// How to switch reasoning.
    pub thinking: Option<Reasoning>,
    /// Whether streams are asked for figures of usage (`stream_options`); they are by default.
    pub stream_usage: Option<bool>,
    /// The field in which the reasoning of a turn with tool calls goes back; empty for none.
    pub reasoning_field: Option<String>,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// Headers of every request whose values are environment variables; without the variable there
    /// is no header.
    pub header_env: BTreeMap<String, String>,
    /// Fields of every body.
    pub body: Map<String, Value>,
    /// For a prefix that cannot be served: a close one that can.
    pub instead: Option<String>,
    /// The feature of this crate that it needs.
    pub feature: Option<String>,
    /// How far it has been tried.
    pub verified: Verified,
    /// How LiteLLM itself declares it.
    pub declared_in: Option<DeclaredIn>,
}

/// How a provider is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Over OpenAI's wire.
    #[default]
    Openai,
    /// Over OpenAI's wire, behind an address or a header of its own.
    Template,
    /// Over a wire of its own that this crate or a sibling speaks.
    Native,
    /// Only through a LiteLLM proxy: `litellm_proxy/<alias>`.
    ProxyOnly,
    /// Not at all: it does not offer chat.
    Unsupported,
}

/// How far a provider has been tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verified {
    /// The request was checked: address, headers, fields.
    #[default]
    Configuration,
    /// Requests, answers, streams and errors were checked against recordings or examples of the
    /// provider's own.
    RecordedWire,
    /// The provider itself was called, or a program that serves the same wire.
    RealPeer,
}

/// Whether a key is required.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// Required at the provider's own address.
    #[default]
    Required,
    /// Not required; sent if there is one.
    Optional,
}

/// What address, headers or the model's name need besides the fields of a [`Provider`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Form {
    /// Nothing.
    #[default]
    Plain,
    /// Azure OpenAI: the deployment is in the path, the version in the query; with the version `v1`,
    /// or an address that ends so, neither is. An Entra token goes as `Authorization: Bearer`.
    Azure,
    /// Azure AI: the path depends on the host.
    AzureAi,
    /// `provider/organisation/model` becomes `organisation/model:provider`.
    HuggingFace,
    /// `user.app.model` becomes an address.
    Clarifai,
    /// `chat/<id>/<model>` or `agent/<id>/<model>`: kind and id go into the path.
    RagFlow,
    /// The kind of token goes into a header; a `pat/` before the key marks an access token.
    Snowflake,
}

/// The field that limits the answer's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// How to make an answer fit a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// The provider enforces it.
    JsonSchema,
    /// The provider enforces JSON; the schema is in a message.
    JsonObject,
    /// The model must call one tool that takes it.
    Tool,
    /// Nothing enforces it.
    None,
}

/// How the content of a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// As a list of parts where it is more than text.
    Parts,
    /// Always as one text.
    String,
}

/// How to switch reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reasoning {
    /// With `reasoning_effort`.
    Effort,
    /// With an argument of the chat template.
    Template,
    /// With both.
    Both,
    /// With the object `reasoning`.
    ReasoningObject,
    /// With the object `thinking`.
    ThinkingObject,
    /// Not at all.
    None,
}

/// Where the value of a part of an address comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Var {
    /// The environment variables, the first that is set counts.
    pub env: Vec<String>,
    /// The value if none is set.
    pub default: Option<String>,
}

/// How to exchange a client id and secret for tokens (OAuth 2.0 client credentials).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OAuth {
    /// The address that gives tokens. Names in braces are [`vars`](Provider::vars), and `origin`,
    /// which is the scheme and host of the provider's address.
    pub url: String,
    /// The environment variables that hold the client's id.
    pub client_id: Vec<String>,
    /// The environment variables that hold the client's secret.
    pub client_secret: Vec<String>,
    /// What the token is for.
    pub scope: String,
    /// Whether id and secret go as `Authorization: Basic` instead of in the body.
    pub basic: bool,
}

/// How LiteLLM declares a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredIn {
    /// As a row of its JSON data.
    Json,
    /// By a class of its own.
    Code,
}

impl Provider {
    /// A provider on OpenAI's wire at this address; a key is required.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self { name: name.into(), base_url: Some(base_url.into()), ..Self::default() }
    }

    /// Reads the key from the first of these environment variables that is set.
    #[must_use]
    pub fn key_env<S: Into<String>>(mut self, variables: impl IntoIterator<Item = S>) -> Self {
        self.key_env = variables.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the key optional.
    #[must_use]
    pub fn key_optional(mut self) -> Self {
        self.key = Key::Optional;
        self
    }

    /// Sends the key in this header instead of `Authorization`.
    #[must_use]
    pub fn auth(mut self, header: impl Into<String>) -> Self {
        self.auth = Some(header.into());
        self
    }

    /// Sets the field for the token limit.
    #[must_use]
    pub fn token_field(mut self, field: TokenField) -> Self {
        self.token_field = Some(field);
        self
    }

    /// Leaves these fields out of the body.
    #[must_use]
    pub fn drop<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.drop = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Renames a field of the body.
    #[must_use]
    pub fn rename(mut self, field: impl Into<String>, name: impl Into<String>) -> Self {
        self.rename.insert(field.into(), name.into());
        self
    }

    /// Sets how to make an answer fit a schema.
    #[must_use]
    pub fn response_format(mut self, how: ResponseFormat) -> Self {
        self.response_format = Some(how);
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Whether this build of the crate can call it: it is not of a kind that cannot be called, and not
    /// behind a feature that is off.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !matches!(self.kind, Kind::ProxyOnly | Kind::Unsupported) && self.feature.as_deref().is_none_or(feature_is_on)
    }

    /// What is added to an address of the user's that has no path.
    pub(crate) fn path_of_base(&self) -> Option<&str> {
        let wire = matches!(self.kind, Kind::Openai | Kind::Template);
        let own = wire && !matches!(self.form, Form::Azure | Form::AzureAi | Form::RagFlow) && !self.is_at_root();
        self.base_path.as_deref().or(own.then_some("v1"))
    }

    /// Whether its own address has no path.
    pub(crate) fn is_at_root(&self) -> bool {
        let url = self.base_url.as_deref().and_then(|url| mellea_http::BaseUrl::parse(url).ok());
        url.is_some_and(|url| url.as_url().path() == "/")
    }

    /// All prefixes that lead here.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }
}

/// The features that rows need, and whether they are on.
const FEATURES: [(&str, bool); 7] = [
    ("anthropic", cfg!(feature = "anthropic")),
    ("gemini", cfg!(feature = "gemini")),
    ("vertex", cfg!(feature = "vertex")),
    ("bedrock", cfg!(feature = "bedrock")),
    ("cohere", cfg!(feature = "cohere")),
    ("ollama", cfg!(feature = "ollama")),
    ("watsonx", cfg!(feature = "watsonx")),
];

/// Whether a feature of this crate is on.
fn feature_is_on(name: &str) -> bool {
    FEATURES.contains(&(name, true))
}
