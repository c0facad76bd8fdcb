//! Model options: what a caller may ask for, and how several layers of options become one.

mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use value::{OptionKey, OptionValue};

use crate::error::{Error, ErrorKind, Result};
use crate::output::Warning;
use crate::redact::Redactor;
use crate::tool::Tools;

/// How long a stream may be silent before it is given up, unless
/// [`ModelOption::StreamTimeout`] says otherwise.
pub const DEFAULT_STREAM_TIMEOUT: Duration = Duration::from_secs(300);

/// An option that means the same on every backend.
///
/// A backend's own options go beside these under their own names, see [`ModelOptions::extra`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelOption {
    /// Sampling temperature: a number of at least 0, where 0 is greedy.
    Temperature,
    /// The most tokens that may be generated: at least 1.
    MaxNewTokens,
    /// Seed of the sampling: an unsigned integer. Attempt *k* of a sampling strategy derives its own
    /// from it, see [`sampling::attempt_seed`](crate::sampling::attempt_seed).
    Seed,
    /// A system message that comes first.
    SystemPrompt,
    /// Reasoning: on, off, or `low`, `medium`, `high`. See [`Thinking`].
    Thinking,
    /// Whether to ask the provider for a streamed answer. [`stream`](crate::Instruct::stream) sets it.
    Stream,
    /// Seconds of silence after which a stream is given up; `null` waits for ever. Default 300.
    StreamTimeout,
    /// Tools offered to the model.
    Tools,
    /// Whether tools may or must be called. See [`ToolChoice`].
    ToolChoice,
    /// The window, in tokens, that a server should give the model.
    ContextWindow,
    /// Texts at which generation stops; they are not part of the answer.
    StopSequences,
    /// Keep the scores of each generated token after sampling's processors.
    Logits,
    /// Keep the scores of each generated token as the model gave them.
    RawLogits,
}

impl ModelOption {
    /// All options.
    pub const ALL: [Self; 13] = [
        Self::Temperature,
        Self::MaxNewTokens,
        Self::Seed,
        Self::SystemPrompt,
        Self::Thinking,
        Self::Stream,
        Self::StreamTimeout,
        Self::Tools,
        Self::ToolChoice,
        Self::ContextWindow,
        Self::StopSequences,
        Self::Logits,
        Self::RawLogits,
    ];

    /// The option's name, as it stands in errors and warnings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::MaxNewTokens => "max_new_tokens",
            Self::Seed => "seed",
            Self::SystemPrompt => "system_prompt",
            Self::Thinking => "thinking",
            Self::Stream => "stream",
            Self::StreamTimeout => "stream_timeout",
            Self::Tools => "tools",
            Self::ToolChoice => "tool_choice",
            Self::ContextWindow => "context_window",
            Self::StopSequences => "stop_sequences",
            Self::Logits => "logits",
            Self::RawLogits => "raw_logits",
        }
    }
}

/// How much a model should reason before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thinking {
    /// Do not reason.
    Off,
    /// Reason, as much as the model likes.
    On,
    /// Reason a little.
    Low,
    /// Reason.
    Medium,
    /// Reason a lot.
    High,
}

/// Whether tools may or must be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool(String),
}

/// A set of options: typed keys, tools, and a backend's own keys beside them.
///
/// ```
/// use mellea_core::{ModelOption, ModelOptions};
///
/// let options = ModelOptions::new()
///     .with(ModelOption::Temperature, 0.2)
///     .with(ModelOption::StopSequences, ["\n\n"])
///     .with("top_p", 0.9);
/// assert_eq!(options.get(ModelOption::Temperature).unwrap(), 0.2);
/// assert_eq!(options.extra()["top_p"], 0.9);
/// ```
#[derive(Clone, Default)]
pub struct ModelOptions {
    values: BTreeMap<ModelOption, Value>,
    tools: Option<Tools>,
    extra: Map<String, Value>,
}

impl ModelOptions {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this option set. A wrong value is reported when a request is made.
    #[must_use]
    pub fn with(mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets an option.
    pub fn set(&mut self, key: impl Into<OptionKey>, value: impl Into<OptionValue>) {
        match (key.into(), value.into()) {
            (OptionKey::Model(_), OptionValue::Tools(tools)) => self.tools = Some(tools),
            (OptionKey::Model(key), OptionValue::Json(value)) => {
                self.values.insert(key, value);
            }
            (OptionKey::Native(key), OptionValue::Json(value)) => {
                self.extra.insert(key, value);
            }
            (OptionKey::Native(_), OptionValue::Tools(tools)) => self.tools = Some(tools),
        }
    }

    /// The value of an option, if it is set.
    #[must_use]
    pub fn get(&self, key: ModelOption) -> Option<&Value> {
        self.values.get(&key)
    }

    /// The tools, if any are set.
    #[must_use]
    pub fn tools(&self) -> Option<&Tools> {
        self.tools.as_ref()
    }

    /// The backend's own options.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// Takes the backend's own options out.
    pub(crate) fn take_extra(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.extra)
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.tools.is_none() && self.extra.is_empty()
    }

    /// These options, with those of `over` taking precedence key by key.
    #[must_use]
    pub fn merged(mut self, over: &Self) -> Self {
        self.values.extend(over.values.iter().map(|(k, v)| (*k, v.clone())));
        self.extra.extend(over.extra.iter().map(|(k, v)| (k.clone(), v.clone())));
        if over.tools.is_some() {
            self.tools.clone_from(&over.tools);
        }
        self
    }

    /// Moves a backend's own names for the common options to those options. Within one set the
    /// [`ModelOption`] wins over its synonym, and a warning names both.
    fn canonical(mut self, synonyms: &[(&str, ModelOption)], warnings: &mut Vec<Warning>) -> Self {
        for &(native, option) in synonyms {
            let Some(value) = self.extra.shift_remove(native) else { continue };
            if self.values.get(&option).is_some_and(|v| !v.is_null()) {
                warnings.push(Warning::ConflictingOption { dropped: native.to_owned(), used: option.name().to_owned() });
            } else {
                self.values.insert(option, value);
            }
        }
        self
    }

    /// Makes one checked set out of several, later layers over earlier ones.
    ///
    /// Each layer is first freed of the backend's `synonyms`, so a native key of a later layer
    /// overrides the [`ModelOption`] of an earlier one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for a value outside of what its option allows.
    pub fn resolve<'a>(layers: impl IntoIterator<Item = &'a Self>, synonyms: &[(&str, ModelOption)]) -> Result<Resolved> {
        let mut warnings = Vec::new();
        let given = layers.into_iter().filter(|layer| !layer.is_empty());
        let merged = given.fold(Self::new(), |all, layer| all.merged(&layer.clone().canonical(synonyms, &mut warnings)));
        let mut resolved = Resolved { warnings, ..Resolved::default() };
        for (option, value) in merged.values {
            if !(value.is_null() && option != ModelOption::StreamTimeout) {
                resolved.take(option, &value)?;
            }
        }
        resolved.tools = merged.tools.unwrap_or_default();
        resolved.options.extra = merged.extra;
        Ok(resolved)
    }
}

/// What several layers of options come to.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// The options as a backend reads them.
    pub options: RequestOptions,
    /// The system message, if one was set.
    pub system_prompt: Option<String>,
    /// The tools.
    pub tools: Tools,
    /// What was given twice.
    pub warnings: Vec<Warning>,
}

/// The options of one request, checked and typed. `None` leaves a choice to the backend.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RequestOptions {
    /// See [`ModelOption::Temperature`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// See [`ModelOption::MaxNewTokens`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<u64>,
    /// See [`ModelOption::Seed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// See [`ModelOption::Thinking`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// See [`ModelOption::Stream`].
    pub stream: bool,
    /// See [`ModelOption::StreamTimeout`]; `None` waits for ever.
    pub stream_timeout: Option<Duration>,
    /// STUB
    pub timeout: Option<Duration>,
    /// See [`ModelOption::ToolChoice`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// See [`ModelOption::ContextWindow`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// See [`ModelOption::StopSequences`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// See [`ModelOption::Logits`].
    pub logits: bool,
    /// See [`ModelOption::RawLogits`].
    pub raw_logits: bool,
    /// The backend's own options, as they were given.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl fmt::Debug for ModelOptions {
    /// Without what is secret in [`extra`](Self::extra).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelOptions")
            .field("values", &self.values)
            .field("tools", &self.tools)
            .field("extra", &Shown(&self.extra))
            .finish()
    }
}

impl fmt::Debug for RequestOptions {
    /// Without what is secret in [`extra`](Self::extra).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestOptions")
            .field("temperature", &self.temperature)
            .field("max_new_tokens", &self.max_new_tokens)
            .field("seed", &self.seed)
            .field("thinking", &self.thinking)
            .field("stream", &self.stream)
            .field("stream_timeout", &self.stream_timeout)
            .field("tool_choice", &self.tool_choice)
            .field("context_window", &self.context_window)
            .field("stop_sequences", &self.stop_sequences)
            .field("logits", &self.logits)
            .field("raw_logits", &self.raw_logits)
            .field("extra", &Shown(&self.extra))
            .finish()
    }
}

/// A backend's own options without their secrets, as cassettes hold them.
struct Shown<'a>(&'a Map<String, Value>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.clone();
        Redactor::default().options(&mut all);
        all.fmt(f)
    }
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            temperature: None,
            max_new_tokens: None,
            seed: None,
            thinking: None,
            stream: false,
            stream_timeout: Some(DEFAULT_STREAM_TIMEOUT),
            timeout: None,
            tool_choice: None,
            context_window: None,
            stop_sequences: Vec::new(),
            logits: false,
            raw_logits: false,
            extra: Map::new(),
        }
    }
}

impl Resolved {
    fn take(&mut self, option: ModelOption, value: &Value) -> Result<()> {
        let to = &mut self.options;
        let bad = |expected| invalid(option, value, expected);
        match option {
            ModelOption::Temperature => {
                let number = value.as_f64().filter(|t| t.is_finite() && *t >= 0.0);
                to.temperature = Some(number.ok_or_else(|| bad("a number of at least 0"))?);
            }
            ModelOption::MaxNewTokens => {
                to.max_new_tokens = Some(positive(value).ok_or_else(|| bad("an integer of at least 1"))?)
            }
            ModelOption::ContextWindow => {
                to.context_window = Some(positive(value).ok_or_else(|| bad("an integer of at least 1"))?)
            }
            ModelOption::Seed => to.seed = Some(value.as_u64().ok_or_else(|| bad("an integer of at least 0"))?),
            ModelOption::SystemPrompt => {
                self.system_prompt = Some(value.as_str().ok_or_else(|| bad("a text"))?.to_owned());
            }
            ModelOption::Thinking => {
                to.thinking = Some(thinking(value).ok_or_else(|| bad("true, false, \"low\", \"medium\" or \"high\""))?);
            }
            ModelOption::Stream => to.stream = value.as_bool().ok_or_else(|| bad("true or false"))?,
            ModelOption::StreamTimeout => {
                to.stream_timeout = match value {
                    Value::Null => None,
                    v => {
                        let seconds = v.as_f64().filter(|s| *s > 0.0);
                        let time = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                        Some(time.ok_or_else(|| bad("a positive number of seconds, or null for none"))?)
                    }
                };
            }
            ModelOption::Tools => return Err(bad("a set of tools")),
            ModelOption::ToolChoice => {
                to.tool_choice =
                    Some(tool_choice(value).ok_or_else(|| bad("\"auto\", \"none\", \"required\" or {\"tool\": name}"))?);
            }
            ModelOption::StopSequences => {
                let texts: Option<Vec<String>> = match value {
                    Value::String(one) => Some(vec![one.clone()]),
                    Value::Array(many) => many.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
                    _ => None,
                };
                let texts = texts.filter(|t| t.iter().all(|s| !s.is_empty()));
                to.stop_sequences = texts.ok_or_else(|| bad("texts that are not empty"))?;
            }
            ModelOption::Logits => to.logits = value.as_bool().ok_or_else(|| bad("true or false"))?,
            ModelOption::RawLogits => to.raw_logits = value.as_bool().ok_or_else(|| bad("true or false"))?,
        }
        Ok(())
    }
}

fn invalid(option: ModelOption, value: &Value, expected: &str) -> Error {
    let mut shown = value.to_string();
    if let Some((end, _)) = shown.char_indices().nth(80) {
        shown.truncate(end);
        shown.push('…');
    }
    ErrorKind::InvalidOption { option: option.name().to_owned(), value: shown, expected: expected.to_owned() }.into()
}

fn positive(value: &Value) -> Option<u64> {
    value.as_u64().filter(|n| *n > 0)
}

fn thinking(value: &Value) -> Option<Thinking> {
    Some(match value {
        Value::Bool(true) => Thinking::On,
        Value::Bool(false) => Thinking::Off,
        Value::String(level) => match level.as_str() {
            "off" => Thinking::Off,
            "on" => Thinking::On,
            "low" => Thinking::Low,
            "medium" => Thinking::Medium,
            "high" => Thinking::High,
            _ => return None,
        },
        _ => return None,
    })
}

fn tool_choice(value: &Value) -> Option<ToolChoice> {
    match value {
        Value::String(s) => match s.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::None),
            "required" => Some(ToolChoice::Required),
            _ => None,
        },
        Value::Object(o) => {
            let name = o.get("tool").or_else(|| o.get("function")?.get("name"))?;
            Some(ToolChoice::Tool(name.as_str()?.to_owned()))
        }
        _ => None,
    }
}

impl<K: Into<OptionKey>, V: Into<OptionValue>> FromIterator<(K, V)> for ModelOptions {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut options = Self::new();
        for (key, value) in pairs {
            options.set(key, value);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLLAMA: &[(&str, ModelOption)] = &[("num_predict", ModelOption::MaxNewTokens)];

    #[test]
    fn a_native_key_of_the_call_beats_the_constructors_option() {
        let backend = ModelOptions::new().with(ModelOption::MaxNewTokens, 100);
        let call = ModelOptions::new().with("num_predict", 50);
        let resolved = ModelOptions::resolve([&backend, &call], OLLAMA).unwrap();
        assert_eq!(resolved.options.max_new_tokens, Some(50));
        assert!(resolved.warnings.is_empty() && resolved.options.extra.is_empty());
    }

    #[test]
    fn within_one_set_the_common_name_wins_and_both_are_named() {
        let options = ModelOptions::new().with("num_predict", 100).with(ModelOption::MaxNewTokens, 7);
        let resolved = ModelOptions::resolve([&options], OLLAMA).unwrap();
        assert_eq!(resolved.options.max_new_tokens, Some(7));
        assert_eq!(resolved.warnings.len(), 1);
        assert!(resolved.warnings[0].to_string().contains("`num_predict` and `max_new_tokens`"));
    }

    #[test]
    fn absurd_values_are_refused_by_name() {
        for (option, value, word) in [
            (ModelOption::Temperature, Value::from(-1.0), "temperature"),
            (ModelOption::MaxNewTokens, Value::from(0), "max_new_tokens"),
            (ModelOption::Seed, Value::from("x"), "seed"),
            (ModelOption::StopSequences, Value::from(vec![""]), "stop_sequences"),
            (ModelOption::Thinking, Value::from("much"), "thinking"),
            (ModelOption::StreamTimeout, Value::from(0), "stream_timeout"),
            (ModelOption::ToolChoice, Value::from(1), "tool_choice"),
        ] {
            let error = ModelOptions::resolve([&ModelOptions::new().with(option, value)], &[]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidOption { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn null_is_absent_but_switches_the_timeout_off() {
        let options =
            ModelOptions::new().with(ModelOption::Temperature, None::<f64>).with(ModelOption::StreamTimeout, None::<f64>);
        let resolved = ModelOptions::resolve([&options], &[]).unwrap().options;
        assert_eq!((resolved.temperature, resolved.stream_timeout), (None, None));
        assert_eq!(RequestOptions::default().stream_timeout, Some(DEFAULT_STREAM_TIMEOUT));
    }

    #[test]
    fn typed_values_survive_the_round_trip() {
        let options = ModelOptions::new()
            .with(ModelOption::Thinking, Thinking::High)
            .with(ModelOption::ToolChoice, ToolChoice::Tool("add".into()));
        let resolved = ModelOptions::resolve([&options], &[]).unwrap().options;
        assert_eq!(resolved.thinking, Some(Thinking::High));
        assert_eq!(resolved.tool_choice, Some(ToolChoice::Tool("add".into())));
    }
}
