//! LiteLLM's own settings among the model options: they are about the call, not about the model.

use mellea_core::{ErrorKind, ModelOptions, Result};
use serde_json::Value;

use crate::keys::Credential;
use crate::settings::Settings;

/// The settings that can be made where a backend is built; in a call they are warned of and left out.
const SETTINGS: [&str; 11] = [
    "api_base",
    "base_url",
    "api_key",
    "azure_ad_token",
    "api_version",
    "num_retries",
    "max_retries",
    "aws_region_name",
    "vertex_location",
    "vertex_project",
    "drop_params",
];

/// What else LiteLLM takes and a provider must not see; this crate has no such thing.
const OTHERS: [&str; 13] = [
    "fallbacks",
    "context_window_fallback_dict",
    "mock_response",
    "custom_llm_provider",
    "model_list",
    "caching",
    "input_cost_per_token",
    "output_cost_per_token",
    "vertex_credentials",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "allowed_openai_params",
];

/// Whether an option is one of LiteLLM's own.
pub(crate) fn is_own(name: &str) -> bool {
    SETTINGS.contains(&name) || OTHERS.contains(&name)
}

/// LiteLLM's settings that stood among the options of a builder.
#[derive(Debug, Default)]
pub(crate) struct LiteLlmOptions {
    base_url: Option<String>,
    credential: Option<Credential>,
    vars: Vec<(&'static str, String)>,
    retries: Option<u32>,
}

impl LiteLlmOptions {
    /// Takes the settings out of the options.
    pub(crate) fn take(options: &mut ModelOptions) -> Result<Self> {
        let mut taken = Self::default();
        if !options.extra().keys().any(|name| SETTINGS.contains(&name.as_str())) {
            return Ok(taken);
        }
        let mut rest = options.clone();
        for (name, value) in options.extra() {
            if taken.set(name, value)? {
                rest.remove(name.as_str());
            }
        }
        *options = rest;
        Ok(taken)
    }

    /// Whether it was one of the settings.
    fn set(&mut self, name: &str, value: &Value) -> Result<bool> {
        if !SETTINGS.contains(&name) {
            return Ok(false);
        }
        if value.is_null() || name == "drop_params" {
            return Ok(true);
        }
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| invalid(name, "a text"));
        match name {
            "api_base" | "base_url" => self.base_url = Some(text()?),
            "api_key" => self.credential = Some(Credential::Key(text()?.into())),
            "azure_ad_token" => self.credential = Some(Credential::Token(text()?.into())),
            "api_version" => self.vars.push(("api_version", text()?)),
            "aws_region_name" | "vertex_location" => self.vars.push(("region", text()?)),
            "vertex_project" => self.vars.push(("project", text()?)),
            _ => {
                let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
                self.retries = Some(number.ok_or_else(|| invalid(name, "a number of retries"))?);
            }
        }
        Ok(true)
    }

    /// Puts them into the settings, over those already made.
    pub(crate) fn apply(self, settings: &mut Settings) {
        settings.base_url = self.base_url.or(settings.base_url.take());
        settings.credential = self.credential.or(settings.credential.take());
        settings.variables.extend(self.vars.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if let Some(retries) = self.retries {
            let retry = &mut settings.client.retry;
            *retry = Some(retry.unwrap_or_default().attempts(retries.saturating_add(1)));
        }
    }
}

/// Without the value: it may be a key.
fn invalid(option: &str, expected: &str) -> mellea_core::Error {
    let expected = expected.to_owned();
    ErrorKind::InvalidOption { option: option.to_owned(), value: "of another kind".to_owned(), expected }.into()
}

#[cfg(test)]
mod tests {
    use mellea_core::ModelOption;
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_taken_and_options_left() {
        let mut settings = Settings {
            base_url: Some("http://one".to_owned()),
            credential: Some(Credential::Key("first".into())),
            ..Settings::default()
        };
        let mut options = ModelOptions::new().with("num_retries", 0).with("api_base", "http://two");
        options = options.with("aws_region_name", "eu-west-1").with("drop_params", true);
        options = options.with("top_p", 0.5).with(ModelOption::Temperature, 0.1);
        LiteLlmOptions::take(&mut options).unwrap().apply(&mut settings);
        assert_eq!(settings.base_url.as_deref(), Some("http://two"));
        assert_eq!(settings.credential, Some(Credential::Key("first".into())));
        assert_eq!(settings.variables["region"], "eu-west-1");
        assert_eq!(settings.client.retry.unwrap().attempts, 1);
        assert_eq!(serde_json::Value::from(options.extra().clone()), json!({"top_p": 0.5}));
        assert_eq!(options.get(ModelOption::Temperature).unwrap(), 0.1);
    }

    #[test]
    fn a_setting_of_the_wrong_kind_is_named_without_its_value() {
        for name in ["api_base", "api_key", "num_retries"] {
            let error = LiteLlmOptions::take(&mut ModelOptions::new().with(name, json!(["canary"]))).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::InvalidOption { option, .. } if option == name), "{error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
