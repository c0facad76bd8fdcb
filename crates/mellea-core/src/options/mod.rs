//! Model options: what a caller may ask for, and how several layers of options become one.

mod read;
mod table;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use table::{ModelOption, RequestOptions};
pub use value::{OptionKey, OptionValue};

use crate::error::{Error, ErrorKind, Result};
use crate::output::Warning;
use crate::redact::Redactor;
use crate::tool::Tools;

/// How long a stream may be silent before it is given up, unless
/// [`ModelOption::StreamTimeout`] says otherwise.
pub const DEFAULT_STREAM_TIMEOUT: Duration = Duration::from_secs(300);

/// How long one answer may take as a whole, unless [`ModelOption::Timeout`] says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// How much a model should reason before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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

impl Thinking {
    const ALL: [Self; 5] = [Self::Off, Self::On, Self::Low, Self::Medium, Self::High];

    /// The word that stands for it in options: `off`, `on`, `low`, `medium` or `high`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Whether tools may or must be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// What cannot be a value of its option, by the option's name; it fails when a request is made.
    wrong: BTreeMap<String, String>,
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
        let key = key.into();
        self.wrong.remove(key.name());
        match (key, value.into()) {
            (OptionKey::Model(ModelOption::Tools), OptionValue::Tools(tools)) => self.tools = Some(tools),
            (OptionKey::Native(key), OptionValue::Tools(tools)) if key == ModelOption::Tools.name() => self.tools = Some(tools),
            (OptionKey::Model(key), OptionValue::Json(value)) => {
                self.values.insert(key, value);
            }
            (OptionKey::Native(key), OptionValue::Json(value)) => {
                self.extra.insert(key, value);
            }
            (key, OptionValue::Tools(_)) => {
                self.wrong.insert(key.name().to_owned(), "a set of tools".to_owned());
            }
            (key, OptionValue::NotFinite(number)) => {
                self.wrong.insert(key.name().to_owned(), number.to_string());
            }
        }
    }

    /// Takes an option out, and gives its value if it had one that is plain.
    pub fn remove(&mut self, key: impl Into<OptionKey>) -> Option<Value> {
        let key = key.into();
        self.wrong.remove(key.name());
        if key.name() == ModelOption::Tools.name() {
            self.tools = None;
        }
        match key {
            OptionKey::Model(option) => self.values.remove(&option),
            OptionKey::Native(name) => self.extra.shift_remove(&name),
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
        self.values.is_empty() && self.tools.is_none() && self.extra.is_empty() && self.wrong.is_empty()
    }

    /// These options, with those of `over` taking precedence key by key. More fields and headers of requests
    /// (`extra_body`, `extra_headers`) are put together, name by name, and so are the arguments of a chat template
    /// (`chat_template_kwargs`), on their own or among those fields.
    #[must_use]
    pub fn merged(mut self, over: &Self) -> Self {
        self.wrong.retain(|name, _| !over.sets(name));
        self.wrong.extend(over.wrong.iter().map(|(k, v)| (k.clone(), v.clone())));
        self.values.extend(over.values.iter().map(|(k, v)| (*k, v.clone())));
        put_over(&mut self.extra, &over.extra);
        if over.tools.is_some() {
            self.tools.clone_from(&over.tools);
        }
        self
    }

    /// Whether there is a value under this name.
    fn sets(&self, name: &str) -> bool {
        self.values.keys().any(|option| option.name() == name) || self.extra.contains_key(name)
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
    /// [`ErrorKind::InvalidOption`] for a value that its option does not allow.
    pub fn resolve<'a>(layers: impl IntoIterator<Item = &'a Self>, synonyms: &[(&str, ModelOption)]) -> Result<Resolved> {
        let mut warnings = Vec::new();
        let mut given = layers.into_iter().filter(|layer| !layer.is_empty()).peekable();
        if given.peek().is_none() {
            return Ok(Resolved::default());
        }
        let merged = given.fold(Self::new(), |all, layer| all.merged(&layer.clone().canonical(synonyms, &mut warnings)));
        if let Some((name, value)) = merged.wrong.first_key_value() {
            let expected = ModelOption::from_str(name).map_or("a value that JSON knows", ModelOption::expected);
            return Err(invalid_option(name, value, expected));
        }
        let mut resolved = Resolved { warnings, ..Resolved::default() };
        for (option, value) in merged.values {
            if !value.is_null() || option.takes_null() {
                resolved.take(option, &value)?;
            }
        }
        resolved.tools = merged.tools.unwrap_or_default();
        resolved.options.extra = merged.extra;
        Ok(resolved)
    }
}

/// Several layers of options, merged into one.
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

/// A backend's own options without their secrets, as cassettes hold them.
struct Shown<'a>(&'a Map<String, Value>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.clone();
        Redactor::default().options(&mut all);
        all.fmt(f)
    }
}

impl Resolved {
    fn take(&mut self, option: ModelOption, value: &Value) -> Result<()> {
        match (option, value) {
            (ModelOption::SystemPrompt, Value::String(text)) => self.system_prompt = Some(text.clone()),
            _ => self.options.take(option, value)?,
        }
        Ok(())
    }
}

/// The error for a value that an option does not take; only the value's beginning is shown.
fn invalid_option(option: &str, value: &str, expected: &str) -> Error {
    let value = match value.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    };
    ErrorKind::InvalidOption { option: option.to_owned(), value, expected: expected.to_owned() }.into()
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

/// Options that hold several settings, which layers put together.
const LAYERED: [&str; 3] = ["extra_body", "extra_headers", "chat_template_kwargs"];

/// Puts options over others, and what is in those that hold several.
fn put_over(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (name, value) in over {
        match (under.get_mut(name), value) {
            // One level down there is only one more of them, so this ends.
            (Some(Value::Object(old)), Value::Object(new)) if LAYERED.contains(&name.as_str()) => put_over(old, new),
            _ => {
                under.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
