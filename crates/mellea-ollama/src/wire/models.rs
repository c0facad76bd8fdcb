//! What the server says about models: those it has, those it runs, one in detail, one being pulled.

use std::borrow::Cow;

use mellea_wire::json::{Accept, maybe, or_default};
use mellea_wire::objects;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A list of models.
#[derive(Debug, Deserialize)]
#[serde(default, bound(deserialize = "T: Accept<'de>"))]
pub(crate) struct Models<T> {
    #[serde(deserialize_with = "or_default")]
    pub(crate) models: Vec<T>,
}

impl<T> Default for Models<T> {
    fn default() -> Self {
        Self { models: Vec::new() }
    }
}

/// The server's version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    #[serde(deserialize_with = "or_default")]
    pub(crate) version: String,
}

/// A model that the server has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LocalModel {
    /// Its name with its tag, such as `granite4.1:3b`.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its size in bytes.
    #[serde(deserialize_with = "maybe")]
    pub size: Option<u64>,
    /// What it is made of.
    #[serde(deserialize_with = "or_default")]
    pub digest: String,
    /// When it last changed, as the server writes it.
    #[serde(deserialize_with = "or_default")]
    pub modified_at: String,
}

/// A model that the server has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunningModel {
    /// Its name with its tag.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The memory it takes, in bytes.
    #[serde(deserialize_with = "maybe")]
    pub size: Option<u64>,
    /// How much of that is on the GPU.
    #[serde(deserialize_with = "maybe")]
    pub size_vram: Option<u64>,
    /// The window it was loaded with, in tokens; 0 while it is being loaded.
    #[serde(deserialize_with = "maybe")]
    pub context_length: Option<u64>,
    /// When it will be unloaded, as the server writes it.
    #[serde(deserialize_with = "or_default")]
    pub expires_at: String,
}

objects!(LocalModel, RunningModel);

/// A model in detail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelInfo {
    /// What it can do: `completion`, `tools`, `vision`, `thinking`, `insert`, `embedding` and others.
    #[serde(deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
    /// The parameters that its Modelfile sets, one on each line.
    #[serde(deserialize_with = "or_default")]
    pub parameters: String,
    /// Its chat template.
    #[serde(deserialize_with = "or_default")]
    pub template: String,
    /// What its file says about it, such as `granite.context_length`.
    #[serde(deserialize_with = "or_default")]
    pub model_info: Map<String, Value>,
}

impl ModelInfo {
    /// Whether it can do this; `None` if the server does not say what it can do.
    #[must_use]
    pub fn can(&self, capability: &str) -> Option<bool> {
        (!self.capabilities.is_empty()).then(|| self.capabilities.iter().any(|c| c == capability))
    }

    /// The longest window that the model was made for, in tokens.
    #[must_use]
    pub fn context_length(&self) -> Option<u64> {
        let family = self.model_info.get("general.architecture").and_then(Value::as_str);
        let own = family.and_then(|family| self.model_info.get(&format!("{family}.context_length")));
        let any = || self.model_info.iter().find(|(key, _)| key.ends_with(".context_length")).map(|(_, value)| value);
        own.or_else(any)?.as_u64().filter(|length| *length > 0)
    }

    /// The window that its Modelfile asks for, in tokens.
    #[must_use]
    pub fn num_ctx(&self) -> Option<u64> {
        let mut words = self.parameters.lines().map(str::split_whitespace);
        words.find_map(|mut line| (line.next()? == "num_ctx").then(|| line.next())?)?.parse().ok().filter(|n| *n > 0)
    }
}

/// One line of a pull.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PullLine<'a> {
    /// What is being done.
    #[serde(borrow, deserialize_with = "or_default")]
    pub status: Cow<'a, str>,
    /// The layer it is done to.
    #[serde(borrow, deserialize_with = "or_default")]
    pub digest: Cow<'a, str>,
    /// Bytes of the layer.
    #[serde(deserialize_with = "maybe")]
    pub total: Option<u64>,
    /// Bytes of the layer that are here.
    #[serde(deserialize_with = "maybe")]
    pub completed: Option<u64>,
    /// Why it failed.
    pub error: Option<Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_window_is_read_from_wherever_it_stands() {
        let info = |value: Value| serde_json::from_value::<ModelInfo>(value).unwrap();
        let model_info = json!({"clip.context_length": 77, "general.architecture": "granite", "granite.context_length": 131_072});
        let full = info(json!({"capabilities": ["completion", "tools", 7], "model_info": model_info,
            "parameters": "stop \"<|end|>\"\nnum_ctx                        32768\ntemperature 0"}));
        assert_eq!((full.context_length(), full.num_ctx()), (Some(131_072), Some(32_768)));
        assert_eq!((full.can("tools"), full.can("vision")), (Some(true), Some(false)));
        assert_eq!(info(json!({"model_info": {"x.context_length": 9}})).context_length(), Some(9));
        for none in [json!({}), json!({"model_info": null, "parameters": "num_ctx x"}), json!({"model_info": {"a": 1}})] {
            let info = info(none);
            assert_eq!((info.context_length(), info.num_ctx(), info.can("tools")), (None, None, None));
        }
    }
}
