//! Keys and values of options, and what becomes one.

use std::time::Duration;

use serde_json::Value;

use super::{ModelOption, Thinking, ToolChoice};
use crate::tool::Tools;

/// An option's key: a [`ModelOption`], or a backend's own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionKey {
    /// An option that means the same everywhere.
    Model(ModelOption),
    /// A backend's own name.
    Native(String),
}

/// An option's value.
#[derive(Clone, Debug)]
pub enum OptionValue {
    /// A plain value.
    Json(Value),
    /// Tools.
    Tools(Tools),
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

plain_values!(bool, i32, i64, u32, u64, usize, f32, f64, &str, String, Value, Vec<String>, Vec<Value>);

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
            Thinking::Low => "low".into(),
            Thinking::Medium => "medium".into(),
            Thinking::High => "high".into(),
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
