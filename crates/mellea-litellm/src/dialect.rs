//! From a row of the registry to the dialect of OpenAI's wire.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mellea_openai::{AuthHeader, CallIds, ContentForm, Dialect, SchemaPolicy, ThinkingField};

use crate::registry::{Content, Provider, Reasoning, ResponseFormat, TokenField};

/// The dialect of this name.
pub(crate) fn named(name: &str) -> Option<Dialect> {
    Some(match name {
        "generic" => Dialect::GENERIC,
        "openai" => Dialect::OPENAI,
        // The deployment is in the address already, see `form`.
        "azure" => Dialect::AZURE_V1,
        "vllm" => Dialect::VLLM,
        "ollama" => Dialect::OLLAMA,
        "lm_studio" => Dialect::LM_STUDIO,
        "llama_cpp" => Dialect::LLAMA_CPP,
        "groq" => Dialect::GROQ,
        "deepseek" => Dialect::DEEPSEEK,
        "openrouter" => Dialect::OPENROUTER,
        "nim" => Dialect::NIM,
        _ => return None,
    })
}

/// The dialect of a provider, with this header for the key.
///
/// Address and credentials are settled before; the dialect has no part in them.
pub(crate) fn dialect(provider: &Provider, auth: Option<&str>) -> Dialect {
    let own = provider.dialect.as_deref().and_then(named);
    let mut dialect = own.unwrap_or(Dialect::GENERIC);
    let hosted = provider.base_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    if own.is_none() && hosted {
        // Arguments of a template are for servers of one's own; a hosted service refuses the field.
        dialect = dialect.thinking(ThinkingField::ReasoningEffort);
    }
    dialect = dialect.name(text(&provider.name)).base_url("").hosts(&[]);
    dialect = dialect.base_variables(&[]).key_variables(&[]).needs_key(false);
    dialect = dialect.auth(auth.map_or(AuthHeader::Bearer, |header| AuthHeader::Header(text(header))));
    if let Some(path) = &provider.path {
        dialect = dialect.chat_path(text(path));
    }
    if let Some(field) = provider.token_field {
        dialect = dialect.token_field(match field {
            TokenField::MaxTokens => mellea_openai::TokenField::MaxTokens,
            TokenField::MaxCompletionTokens => mellea_openai::TokenField::MaxCompletionTokens,
        });
    }
    if let Some(how) = provider.response_format {
        dialect = dialect.schema(match how {
            ResponseFormat::JsonSchema => SchemaPolicy::Strict,
            ResponseFormat::JsonObject => SchemaPolicy::JsonObject,
            ResponseFormat::Tool => SchemaPolicy::ForcedTool,
            ResponseFormat::None => SchemaPolicy::None,
        });
    }
    if let Some(content) = provider.content {
        dialect = dialect.content(match content {
            Content::Parts => ContentForm::Auto,
            Content::String => ContentForm::Text,
        });
    }
    if let Some(how) = provider.thinking {
        dialect = dialect.thinking(match how {
            Reasoning::Effort => ThinkingField::ReasoningEffort,
            Reasoning::Template => ThinkingField::TemplateKwargs,
            Reasoning::Both => ThinkingField::Both,
            Reasoning::ReasoningObject => ThinkingField::ReasoningObject,
            Reasoning::ThinkingObject => ThinkingField::ThinkingObject,
            Reasoning::None => ThinkingField::None,
        });
    }
    if ["mistral", "codestral"].contains(&provider.name.as_str()) {
        dialect = dialect.call_ids(CallIds::Nine);
    }
    if provider.max_temperature.is_some() {
        dialect = dialect.max_temperature(provider.max_temperature);
    }
    if let Some(asked) = provider.stream_usage {
        dialect = dialect.stream_usage(asked);
    }
    if let Some(field) = &provider.reasoning_field {
        dialect = dialect.reasoning_field(text(field));
    }
    if !provider.drop.is_empty() {
        let mut fields: Vec<&'static str> = dialect.drop.to_vec();
        fields.extend(provider.drop.iter().map(|field| text(field)));
        dialect = dialect.drop(keep(&FIELDS, &fields));
    }
    if !provider.rename.is_empty() {
        let mut pairs = dialect.rename.to_vec();
        pairs.extend(provider.rename.iter().map(|(from, to)| (text(from), text(to))));
        dialect = dialect.rename(keep(&PAIRS, &pairs));
    }
    if !provider.body.is_empty() {
        dialect = dialect.extra_body(text(&serde_json::Value::from(provider.body.clone()).to_string()));
    }
    dialect
}

// A dialect is made of texts that live as long as the program. Those of the built-in rows do anyway; a
// row of the user's adds each of its texts once, however many backends are made of it.

type Kept<T> = Mutex<BTreeSet<&'static T>>;

static TEXTS: Kept<str> = Mutex::new(BTreeSet::new());
static FIELDS: Kept<[&str]> = Mutex::new(BTreeSet::new());
static PAIRS: Kept<[(&str, &str)]> = Mutex::new(BTreeSet::new());

fn text(text: &str) -> &'static str {
    let mut kept = lock(&TEXTS);
    if let Some(known) = kept.get(text) {
        return known;
    }
    let text: &'static str = Box::leak(text.into());
    kept.insert(text);
    text
}

fn keep<T: Copy + Ord>(kept: &Kept<[T]>, list: &[T]) -> &'static [T] {
    let mut kept = lock(kept);
    if let Some(known) = kept.get(list) {
        return known;
    }
    let list: &'static [T] = Box::leak(list.into());
    kept.insert(list);
    list
}

fn lock<T: ?Sized>(kept: &Kept<T>) -> MutexGuard<'_, BTreeSet<&'static T>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::supported_providers;

    #[test]
    fn each_text_is_kept_once() {
        let provider = Provider::new("mine", "https://x.example").drop(["seed"]).rename("stop", "stop_words").auth("x-key");
        let (one, two) = (dialect(&provider, Some("x-key")), dialect(&provider.clone(), Some("x-key")));
        assert_eq!(one, two);
        assert!(std::ptr::eq(one.name, two.name));
        assert!(std::ptr::eq(one.drop, two.drop) && std::ptr::eq(one.rename, two.rename));
    }

    #[test]
    fn no_dialect_brings_an_address_or_a_key_of_its_own() {
        for provider in supported_providers() {
            let dialect = dialect(provider, None);
            assert_eq!((dialect.name, dialect.base_url), (provider.name.as_str(), ""));
            assert!(dialect.key_variables.is_empty() && dialect.base_variables.is_empty() && dialect.hosts.is_empty());
            assert!(!dialect.needs_key && dialect.query.is_empty() && !dialect.chat_path.contains('{'), "{}", provider.name);
        }
    }

    #[test]
    fn a_row_changes_only_what_it_names() {
        let groq = Provider { dialect: Some("groq".to_owned()), ..Provider::new("x", "https://x.example") };
        assert_eq!(dialect(&groq, None).thinking, Dialect::GROQ.thinking);
        let deepseek =
            Provider { dialect: Some("deepseek".to_owned()), ..Provider::new("x", "https://x.example").drop(["stop"]) };
        assert!(dialect(&deepseek, None).drop.len() > Dialect::DEEPSEEK.drop.len());
        assert_eq!(dialect(&Provider::new("x", "https://x.example"), None).thinking, ThinkingField::ReasoningEffort);
        assert_eq!(dialect(&Provider::new("x", "http://localhost:1"), None).thinking, Dialect::GENERIC.thinking);
    }
}
