//! Keys and values of options, and what becomes one.

use std::time::Duration;

use serde_json::Value;

use super::{ModelOption, Thinking, ToolChoice};
use crate::tool::Tools;

/// An option's key: a [`ModelOption`], or a backend's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionKey {
    /// An option that means the same everywhere.
    Model(ModelOption),
    /// A backend's own name.
    Native(String),
}

/// An option's value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OptionValue {
    /// A plain value.
    Json(Value),
    /// Tools.
    Tools(Tools),
    /// A number that JSON does not know: infinite, or none at all. No option takes it.
    NotFinite(f64),
}

impl OptionKey {
    /// The option's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Model(option) => option.name(),
            Self::Native(name) => name,
        }
    }
}

impl From<ModelOption> for OptionKey {
    fn from(option: ModelOption) -> Self {
        Self::Model(option)
    }
}

impl From<&str> for OptionKey {
    fn from(name: &str) -> Self {
        Self::Native(name.to_owned())
    }
}

impl From<String> for OptionKey {
    fn from(name: String) -> Self {
        Self::Native(name)
    }
}

impl From<Tools> for OptionValue {
    fn from(tools: Tools) -> Self {
        Self::Tools(tools)
    }
}

macro_rules! plain_values {
    ($($type:ty),*) => {$(
        impl From<$type> for OptionValue {
            fn from(value: $type) -> Self {
                Self::Json(Value::from(value))
            }
        }
    )*};
}

plain_values!(bool, i32, i64, u32, u64, usize, &str, String, Value, Vec<String>, Vec<Value>);

impl From<f64> for OptionValue {
    /// JSON knows no infinity: as `null` the option would silently be unset.
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Json(Value::from(number)) } else { Self::NotFinite(number) }
    }
}

impl From<f32> for OptionValue {
    fn from(number: f32) -> Self {
        if number.is_finite() { Self::Json(Value::from(number)) } else { Self::NotFinite(number.into()) }
    }
}

impl<const N: usize> From<[&str; N]> for OptionValue {
    fn from(texts: [&str; N]) -> Self {
        Self::Json(Value::from(texts.to_vec()))
    }
}

impl From<Duration> for OptionValue {
    fn from(time: Duration) -> Self {
        Self::Json(Value::from(time.as_secs_f64()))
    }
}

impl<T: Into<Self>> From<Option<T>> for OptionValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Json(Value::Null), Into::into)
    }
}

impl From<Thinking> for OptionValue {
    fn from(thinking: Thinking) -> Self {
        Self::Json(match thinking {
            Thinking::Off => Value::Bool(false),
            Thinking::On => Value::Bool(true),
            level => level.word().into(),
        })
    }
}

impl From<ToolChoice> for OptionValue {
    fn from(choice: ToolChoice) -> Self {
        Self::Json(match choice {
            ToolChoice::Auto => "auto".into(),
            ToolChoice::None => "none".into(),
            ToolChoice::Required => "required".into(),
            ToolChoice::Tool(name) => serde_json::json!({ "tool": name }),
        })
    }
}
