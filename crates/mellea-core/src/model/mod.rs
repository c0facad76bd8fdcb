//! Models by name: one model, many names.

mod catalogue;

use std::borrow::Cow;

pub use catalogue::*;

/// What a model is called by each provider.
///
/// The constants of this module are the known models; a new one is a value of this type:
///
/// ```
/// use mellea_core::model::{IBM_GRANITE_4_1_3B, ModelIdentifier};
///
/// const MINE: ModelIdentifier = ModelIdentifier::new().hf_model_name("me/mine").context_length(4096);
/// assert_eq!(IBM_GRANITE_4_1_3B.ollama_name, Some("granite4.1:3b"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ModelIdentifier {
    /// On the Hugging Face hub.
    pub hf_model_name: Option<&'static str>,
    /// In Ollama's library.
    pub ollama_name: Option<&'static str>,
    /// On watsonx.ai.
    pub watsonx_name: Option<&'static str>,
    /// As an MLX conversion on the Hugging Face hub.
    pub mlx_name: Option<&'static str>,
    /// On OpenAI-compatible services.
    pub openai_name: Option<&'static str>,
    /// On Amazon Bedrock.
    pub bedrock_name: Option<&'static str>,
    /// On Amazon Bedrock, as LiteLLM spells it.
    pub bedrock_litellm_name: Option<&'static str>,
    /// Where its tokenizer is on the Hugging Face hub, if elsewhere than the model.
    pub hf_tokenizer_name: Option<&'static str>,
    /// Its window in tokens. A server may give less.
    pub context_length: Option<u64>,
}

macro_rules! setters {
    ($($field:ident: $type:ty),*) => {$(
        #[doc = concat!("With this `", stringify!($field), "`.")]
        #[must_use]
        pub const fn $field(mut self, value: $type) -> Self {
            self.$field = Some(value);
            self
        }
    )*};
}

impl ModelIdentifier {
    /// A model without any name yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            hf_model_name: None,
            ollama_name: None,
            watsonx_name: None,
            mlx_name: None,
            openai_name: None,
            bedrock_name: None,
            bedrock_litellm_name: None,
            hf_tokenizer_name: None,
            context_length: None,
        }
    }

    setters!(
        hf_model_name: &'static str,
        ollama_name: &'static str,
        watsonx_name: &'static str,
        mlx_name: &'static str,
        openai_name: &'static str,
        bedrock_name: &'static str,
        bedrock_litellm_name: &'static str,
        hf_tokenizer_name: &'static str,
        context_length: u64
    );
}

/// All models of the catalogue, each with the name of its constant.
#[must_use]
pub const fn all() -> &'static [(&'static str, ModelIdentifier)] {
    catalogue::ALL
}

/// The window of a model in tokens, by its name on the hub or in Ollama's library, with or without a
/// provider before the first slash.
#[must_use]
pub fn context_length(name: &str) -> Option<u64> {
    let bare = name.split_once('/').map(|(_, bare)| bare);
    [Some(name), bare].into_iter().flatten().find_map(|name| {
        let known = |model: &&(_, ModelIdentifier)| [model.1.hf_model_name, model.1.ollama_name].contains(&Some(name));
        all().iter().find(known)?.1.context_length
    })
}

/// A model as a caller names it: by a name that goes to the provider as it is, or by a
/// [`ModelIdentifier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelRef {
    /// The provider's own name.
    Name(String),
    /// A model of many names.
    Identifier(ModelIdentifier),
}

impl ModelRef {
    /// What this provider calls the model: `ollama`, `hf` (also `huggingface`), `openai` (the hub's
    /// name where there is none), `watsonx`, `litellm`.
    ///
    /// ```
    /// use mellea_core::{ModelRef, model::IBM_GRANITE_4_1_3B};
    ///
    /// let model = ModelRef::from(IBM_GRANITE_4_1_3B);
    /// assert_eq!(model.name_for("ollama").as_deref(), Some("granite4.1:3b"));
    /// assert_eq!(ModelRef::from("mine").name_for("ollama").as_deref(), Some("mine"));
    /// ```
    #[must_use]
    pub fn name_for(&self, provider: &str) -> Option<Cow<'_, str>> {
        let model = match self {
            Self::Name(name) => return Some(Cow::Borrowed(name)),
            Self::Identifier(model) => model,
        };
        let name = match provider {
            "ollama" => model.ollama_name,
            "hf" | "huggingface" => model.hf_model_name,
            "watsonx" => model.watsonx_name,
            "openai" => model.openai_name.or(model.hf_model_name),
            "litellm" => model.bedrock_litellm_name.or(model.hf_model_name),
            _ => None,
        };
        name.map(Cow::Borrowed)
    }

    /// The model's window in tokens, if it is known.
    #[must_use]
    pub fn context_length(&self) -> Option<u64> {
        match self {
            Self::Name(name) => context_length(name),
            Self::Identifier(model) => model.context_length,
        }
    }
}

impl From<&str> for ModelRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for ModelRef {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<ModelIdentifier> for ModelRef {
    fn from(model: ModelIdentifier) -> Self {
        Self::Identifier(model)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_model_has_a_name_and_no_two_windows() {
        assert_eq!(all().len(), 55);
        let mut windows: HashMap<&str, u64> = HashMap::new();
        for (constant, model) in all() {
            let names = [model.hf_model_name, model.ollama_name, model.openai_name, model.bedrock_name];
            assert!(names.iter().flatten().next().is_some(), "{constant}");
            for name in [model.hf_model_name, model.ollama_name].into_iter().flatten() {
                if let Some(window) = model.context_length {
                    assert_eq!(*windows.entry(name).or_insert(window), window, "{name}");
                }
            }
        }
    }

    #[test]
    fn windows_are_found_by_name_and_behind_a_provider() {
        assert_eq!(context_length("granite4.1:3b"), Some(131_072));
        assert_eq!(context_length("ollama_chat/granite4.1:3b"), Some(131_072));
        assert_eq!(context_length("microsoft/phi-4"), Some(16_384));
        assert_eq!(context_length("nobody/nothing"), None);
    }
}
