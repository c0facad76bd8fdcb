//! From the name of a model to a provider and the provider's own name for the model.

use mellea_core::{Error, ModelRef, Result};

use crate::registry::{Kind, Provider, Registry};

/// Beginnings of names that need no prefix, and the provider they mean.
const BARE: [(&str, &str); 6] =
    [("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"), ("claude-", "anthropic"), ("gemini-", "gemini")];

/// Where a model is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'r, 'm> {
    /// The provider.
    pub(crate) provider: &'r Provider,
    /// The prefix as it was written; it may be an alias.
    pub(crate) prefix: &'m str,
    /// The model, without the prefix.
    pub(crate) model: &'m str,
}

/// The model's name with its prefix.
pub(crate) fn name(model: &ModelRef) -> Result<String> {
    let identifier = match model {
        ModelRef::Name(name) => return Ok(name.trim().to_owned()),
        ModelRef::Identifier(identifier) => identifier,
    };
    if let Some(name) = identifier.ollama_name {
        return Ok(format!("ollama_chat/{name}"));
    }
    if let Some(name) = identifier.bedrock_litellm_name {
        return Ok(name.to_owned());
    }
    let known = identifier.hf_model_name.or(identifier.openai_name).unwrap_or("this model");
    let error = Error::config("model", format!("{known} has no name at Ollama or Bedrock, so its provider is unknown"));
    Err(error.with_hint("name provider and model as text: `provider/model`"))
}

/// Finds the provider of a model's name: by the text before the first slash, or by the few
/// beginnings that need none.
pub(crate) fn route<'r, 'm>(registry: &'r Registry, name: &'m str) -> Result<Route<'r, 'm>> {
    let Some((prefix, model)) = name.split_once('/') else {
        let bare = BARE.iter().find(|(start, _)| is_bare(name, start));
        return match bare.and_then(|(_, prefix)| Some((*prefix, registry.get(prefix)?))) {
            Some((prefix, provider)) => callable(Route { provider, prefix, model: name }),
            None => Err(no_prefix(registry, name)),
        };
    };
    let Some(provider) = registry.get(prefix) else { return Err(unknown(registry, prefix)) };
    if model.trim().is_empty() {
        return Err(Error::config("model", format!("`{name}` names no model: write `{prefix}/<model>`")));
    }
    callable(Route { provider, prefix, model })
}

/// Whether a name begins so; `o1` and its like must end there or go on with `-`.
fn is_bare(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| start.ends_with('-') || rest.is_empty() || rest.starts_with('-'))
}

/// The route, unless its provider cannot be called.
fn callable<'r, 'm>(route: Route<'r, 'm>) -> Result<Route<'r, 'm>> {
    let Provider { kind, feature, instead, .. } = route.provider;
    let prefix = route.prefix;
    match kind {
        Kind::ProxyOnly => {
            let message = format!("`{prefix}` has a protocol of its own that only a LiteLLM proxy speaks");
            let mut hint = "run the proxy and name the model `litellm_proxy/<alias>`".to_owned();
            if let Some(instead) = instead {
                hint.push_str(&format!(", or see whether `{instead}/` serves it"));
            }
            Err(Error::config("model", message).with_hint(hint))
        }
        Kind::Unsupported => Err(Error::config("model", format!("`{prefix}` answers no chat"))),
        Kind::Openai | Kind::Template | Kind::Native if !route.provider.is_enabled() => {
            let feature = feature.as_deref().unwrap_or_default();
            let message =
                format!("`{prefix}/` needs the feature `{feature}` of mellea-litellm, which this program was built without");
            Err(Error::config("model", message))
        }
        Kind::Openai | Kind::Template | Kind::Native => Ok(route),
    }
}

const OTHERS: &str = "`custom_openai/` takes any address of OpenAI's wire, `litellm_proxy/` what a LiteLLM proxy serves";

fn unknown(registry: &Registry, prefix: &str) -> Error {
    let mut message = format!("there is no provider `{prefix}`");
    let near: Vec<String> = registry.nearest(prefix).into_iter().map(|name| format!("`{name}`")).collect();
    if !near.is_empty() {
        message.push_str(&format!(" (did you mean {}?)", crate::keys::list(&near)));
    }
    Error::config("model", message).with_hint(OTHERS)
}

fn no_prefix(registry: &Registry, name: &str) -> Error {
    let message = match name {
        "" => "no model is named".to_owned(),
        name if registry.get(name).is_some() => format!("`{name}` is a provider: write `{name}/<model>`"),
        name => format!("`{name}` names no provider: write `<provider>/{name}`, such as `groq/llama-3.3-70b-versatile`"),
    };
    Error::config("model", message).with_hint(OTHERS)
}

#[cfg(test)]
mod tests {
    use mellea_core::model::{IBM_GRANITE_4_1_3B, MISTRALAI_DEVSTRAL_2_123B, ModelIdentifier};

    use mellea_core::ErrorKind;

    use super::*;

    fn shown(name: &str) -> String {
        let registry = Registry::builtin();
        match route(&registry, name) {
            Ok(route) => format!("{} {}", route.provider.name, route.model),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
                error.to_string()
            }
        }
    }

    #[test]
    fn the_first_slash_ends_the_prefix() {
        for (name, provider) in [
            ("groq/a/b", "groq a/b"),
            ("openrouter/meta-llama/llama-3:free", "openrouter meta-llama/llama-3:free"),
            ("litellm_proxy/my-alias", "litellm_proxy my-alias"),
            ("aiohttp_openai/m", "openai m"),
            ("openai_like/m", "custom_openai m"),
            ("ai21/jamba", "ai21_chat jamba"),
            ("gpt-4.1", "openai gpt-4.1"),
            ("o3", "openai o3"),
            ("o4-mini", "openai o4-mini"),
        ] {
            assert_eq!(shown(name), provider);
        }
    }

    #[cfg(feature = "anthropic")]
    #[test]
    fn claude_needs_no_prefix() {
        assert_eq!(shown("claude-sonnet-4-5"), "anthropic claude-sonnet-4-5");
    }

    #[test]
    fn what_has_no_provider_is_explained() {
        insta::assert_snapshot!(
            [
                "grog/x",
                "zzzzzz/x",
                "",
                "groq",
                "groq/",
                "llama3",
                "o1x",
                "o365",
                "replicate/x",
                "vllm/x",
                "deepgram/x",
                "meta-llama/x"
            ]
            .map(|name| format!("{name}: {}", shown(name)))
            .join("\n"),
        );
    }

    proptest::proptest! {
        #[test]
        fn any_name_leads_somewhere_or_is_refused(name in "[a-z_]{0,12}/{0,2}.{0,20}") {
            let registry = Registry::builtin();
            match route(&registry, &name) {
                Ok(found) => proptest::prop_assert!(name.ends_with(found.model) && !found.model.trim().is_empty()),
                Err(error) => proptest::prop_assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn identifiers_become_names_with_a_prefix() {
        assert_eq!(name(&IBM_GRANITE_4_1_3B.into()).unwrap(), "ollama_chat/granite4.1:3b");
        assert_eq!(name(&MISTRALAI_DEVSTRAL_2_123B.into()).unwrap(), "bedrock/converse/mistral.devstral-2-123b");
        let nowhere = ModelIdentifier::new().hf_model_name("me/mine");
        let error = name(&nowhere.into()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { reason, .. } if reason.contains("me/mine")), "{error}");
    }
}
