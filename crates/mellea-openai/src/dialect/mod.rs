//! How servers that speak OpenAI's API differ, as plain facts.

mod known;

use mellea_http::BaseUrl;

/// How one server that speaks OpenAI's API differs from another.
///
/// A dialect is chosen by name ([`Dialect::VLLM`] and the other constants) or by the address
/// ([`Dialect::of_url`]); the server is never asked. It consists of facts that are known
/// when a program is compiled, so it is `Copy`, and its setters are `const`:
///
/// ```
/// use mellea_openai::{Dialect, TokenField};
///
/// const MINE: Dialect = Dialect::GENERIC
///     .name("mine")
///     .base_url("https://llm.example.com/v1")
///     .key_variables(&["MINE_API_KEY"])
///     .token_field(TokenField::MaxTokens)
///     .rename(&[("seed", "random_seed")]);
/// assert_eq!(MINE.name, "mine");
/// assert_eq!(Dialect::of_url("http://localhost:11434/v1"), Dialect::OLLAMA);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Dialect {
    /// The provider's name in errors and outputs.
    pub name: &'static str,
    /// The address used if none is given; empty if there is no usual one.
    pub base_url: &'static str,
    /// Environment variables that may hold the address.
    pub base_variables: &'static [&'static str],
    /// Hosts that are this service; a name that begins with a dot stands for all hosts below it.
    pub hosts: &'static [&'static str],
    /// Environment variables that may hold the key.
    pub key_variables: &'static [&'static str],
    /// Whether the service needs a key, except on this machine.
    pub needs_key: bool,
    /// The header that carries the key.
    pub auth: AuthHeader,
    /// The path for chats below the base address; `{model}` stands for the model's name.
    pub chat_path: &'static str,
    /// The path for raw completions; empty if the service has none.
    pub completions_path: &'static str,
    /// The path of the Responses API.
    pub responses_path: &'static str,
    /// The path of the list of models.
    pub models_path: &'static str,
    /// Parameters in the query of every call.
    pub query: &'static [(&'static str, &'static str)],
    /// The field for [`MaxNewTokens`](mellea_core::ModelOption::MaxNewTokens) in chats.
    pub token_field: TokenField,
    /// How [`Thinking`](mellea_core::ModelOption::Thinking) is asked for.
    pub thinking: ThinkingField,
    /// How to ask for an answer that fits a JSON schema.
    pub schema: SchemaPolicy,
    /// The server's own fields for guided generation.
    pub guidance: Guidance,
    /// Whether the model can still call tools while a schema is enforced.
    pub tools_with_schema: bool,
    /// How text is written in messages.
    pub content: ContentForm,
    /// The role of system messages.
    pub system_role: SystemRole,
    /// Whether `stream_options.include_usage` is sent with streams.
    pub stream_usage: bool,
    /// The field in which the reasoning of a turn with tool calls is sent back, unless the server is
    /// known to use the other one; empty if reasoning is not sent back.
    pub reasoning_field: &'static str,
    /// Whether the details of the reasoning (signatures among them) go back with such a turn as well.
    pub reasoning_details: bool,
    /// Whether a `<think>` block at the start of an answer is reasoning.
    pub inline_thinking: bool,
    /// Whether the server says when an answer in pieces is complete, by a reason or by `[DONE]`. Where it does not, the
    /// end of the body counts as complete, with a warning; a lost connection is an error in any case.
    pub says_finish: bool,
    /// Fields that the service refuses or ignores: they are left out, and a warning says so.
    pub drop: &'static [&'static str],
    /// Fields that have another name at this service.
    pub rename: &'static [(&'static str, &'static str)],
    /// The highest temperature; higher ones are lowered to it.
    pub max_temperature: Option<f64>,
    /// Fields of every chat, as the text of a JSON object; empty for none.
    pub extra_body: &'static str,
    /// Whether tools can be called.
    pub tools: bool,
    /// Whether messages may have images.
    pub images: bool,
    /// Whether an image may be given by its address.
    pub image_urls: bool,
    /// Whether messages may have audio.
    pub audio: bool,
    /// Whether one raw completion may have several prompts.
    pub prompt_lists: bool,
    /// Whether blocks of text may carry `cache_control`, for those that the program marked
    /// [`cached`](mellea_core::Content::cached). Where it is false the service caches by itself, or not at all.
    pub cache_control: bool,
    /// What ids of tool calls the service takes; those of other services are mapped, always alike.
    pub call_ids: CallIds,
}

/// The field for the limit on new tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenField {
    /// `max_tokens`: the older name, known to most servers.
    MaxTokens,
    /// `max_completion_tokens`: OpenAI's newer models accept nothing else.
    MaxCompletionTokens,
}

impl TokenField {
    /// The field's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::MaxTokens => Self::MaxCompletionTokens,
            Self::MaxCompletionTokens => Self::MaxTokens,
        }
    }
}

/// How to ask for reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThinkingField {
    /// `reasoning_effort`: off is `none`, on is `medium`.
    ReasoningEffort,
    /// `chat_template_kwargs.enable_thinking`; a level also goes into `reasoning_effort`, there and at the top.
    TemplateKwargs,
    /// Both of these for on and off, `reasoning_effort` for a level: for unknown servers.
    Both,
    /// `reasoning`, an object with `effort` or `enabled`.
    ReasoningObject,
    /// `thinking`, an object whose `type` is `enabled` or `disabled`; levels are `enabled`.
    ThinkingObject,
    /// It cannot be requested: a warning says so.
    None,
}

/// How to ask for an answer that fits a JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaPolicy {
    /// `response_format` with the strict form of the schema; for a schema that has none, the plain form with
    /// `strict: false` and a warning.
    Strict,
    /// `response_format` with the schema unchanged.
    Plain,
    /// `response_format` with the schema as llama.cpp's grammar takes it, see
    /// [`Dialect::OrderedGrammar`](mellea_core::schema::Dialect::OrderedGrammar); a simpler form if that is refused.
    Grammar,
    /// `response_format` that asks for any JSON object, and the schema in a system message; a warning says so.
    JsonObject,
    /// A tool that must be called, whose arguments become the answer's text; a warning says so.
    ForcedTool,
    /// The schema is not sent: a warning says so.
    None,
}

/// A server's own fields for guided generation, besides `response_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guidance {
    /// `structured_outputs.regex` and `structured_outputs.json`, for vLLM since 0.12.
    StructuredOutputs,
    /// `guided_regex` and `guided_json`, for older vLLM.
    Guided,
    /// None: regular expressions, and schemas of raw completions, are not enforced; a warning says so.
    None,
}

/// How text is written in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentForm {
    /// As a string, or in parts if there is more than text.
    Auto,
    /// Always as a string: images and audio are refused.
    Text,
    /// Always in parts.
    Parts,
}

/// What ids of tool calls a service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallIds {
    /// Any.
    Any,
    /// Up to 40 characters.
    Short,
    /// Nine letters and digits, as Mistral wants it.
    Nine,
}

/// The role of system messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemRole {
    /// `system`.
    System,
    /// `developer`.
    Developer,
    /// `user`, for models that have no such role.
    User,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthHeader {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// This header, with the key alone.
    Header(&'static str),
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $field(mut self, value: $type) -> Self {
            self.$field = value;
            self
        }
    )*};
}

impl Dialect {
    setters! {
        /// With this [`name`](Self#structfield.name).
        name: &'static str,
        /// With this [`base_url`](Self#structfield.base_url).
        base_url: &'static str,
        /// With these [`base_variables`](Self#structfield.base_variables).
        base_variables: &'static [&'static str],
        /// With these [`hosts`](Self#structfield.hosts).
        hosts: &'static [&'static str],
        /// With these [`key_variables`](Self#structfield.key_variables).
        key_variables: &'static [&'static str],
        /// With this [`needs_key`](Self#structfield.needs_key).
        needs_key: bool,
        /// With this [`auth`](Self#structfield.auth).
        auth: AuthHeader,
        /// With this [`chat_path`](Self#structfield.chat_path).
        chat_path: &'static str,
        /// With this [`completions_path`](Self#structfield.completions_path).
        completions_path: &'static str,
        /// With this [`responses_path`](Self#structfield.responses_path).
        responses_path: &'static str,
        /// With this [`models_path`](Self#structfield.models_path).
        models_path: &'static str,
        /// With this [`query`](Self#structfield.query).
        query: &'static [(&'static str, &'static str)],
        /// With this [`token_field`](Self#structfield.token_field).
        token_field: TokenField,
        /// With this [`thinking`](Self#structfield.thinking).
        thinking: ThinkingField,
        /// With this [`schema`](Self#structfield.schema).
        schema: SchemaPolicy,
        /// With this [`guidance`](Self#structfield.guidance).
        guidance: Guidance,
        /// With this [`tools_with_schema`](Self#structfield.tools_with_schema).
        tools_with_schema: bool,
        /// With this [`content`](Self#structfield.content).
        content: ContentForm,
        /// With this [`system_role`](Self#structfield.system_role).
        system_role: SystemRole,
        /// With this [`stream_usage`](Self#structfield.stream_usage).
        stream_usage: bool,
        /// With this [`reasoning_field`](Self#structfield.reasoning_field).
        reasoning_field: &'static str,
        /// With this [`reasoning_details`](Self#structfield.reasoning_details).
        reasoning_details: bool,
        /// With this [`inline_thinking`](Self#structfield.inline_thinking).
        inline_thinking: bool,
        /// With this [`says_finish`](Self#structfield.says_finish).
        says_finish: bool,
        /// With these fields to [`drop`](Self#structfield.drop).
        drop: &'static [&'static str],
        /// With these fields to [`rename`](Self#structfield.rename).
        rename: &'static [(&'static str, &'static str)],
        /// With this [`max_temperature`](Self#structfield.max_temperature).
        max_temperature: Option<f64>,
        /// With this [`extra_body`](Self#structfield.extra_body).
        extra_body: &'static str,
        /// With this [`tools`](Self#structfield.tools).
        tools: bool,
        /// With this [`images`](Self#structfield.images).
        images: bool,
        /// With this [`image_urls`](Self#structfield.image_urls).
        image_urls: bool,
        /// With this [`audio`](Self#structfield.audio).
        audio: bool,
        /// With this [`prompt_lists`](Self#structfield.prompt_lists).
        prompt_lists: bool,
        /// With this [`cache_control`](Self#structfield.cache_control).
        cache_control: bool,
        /// With these [`call_ids`](Self#structfield.call_ids).
        call_ids: CallIds,
    }

    /// Whether this host is the service itself.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known::is_at(host, known))
    }

    /// Whether this field is left out.
    #[must_use]
    pub fn drops(&self, field: &str) -> bool {
        self.drop.contains(&field)
    }

    /// Whether there are raw completions.
    #[must_use]
    pub const fn has_completions(&self) -> bool {
        !self.completions_path.is_empty()
    }

    pub(crate) fn knows_base(base: &BaseUrl) -> bool {
        known::is_vendor(base.host())
    }
}
