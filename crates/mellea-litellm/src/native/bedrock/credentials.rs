//! Where a region and credentials for AWS come from.

use mellea_core::{Error, Result};
use mellea_http::Secret;

use super::super::Settings;

/// The variables that name a region, the first that is set counts.
const REGIONS: [&str; 3] = ["AWS_REGION_NAME", "AWS_DEFAULT_REGION", "AWS_REGION"];

/// The variable with a Bedrock API key.
const BEARER: &str = "AWS_BEARER_TOKEN_BEDROCK";

/// The credentials.
#[derive(Debug)]
pub(super) enum Credentials {
    /// A Bedrock API key.
    Bearer(Secret),
    /// Access keys that sign each call.
    #[cfg(feature = "bedrock-sigv4")]
    Keys(Keys),
}

/// Access keys.
#[cfg(feature = "bedrock-sigv4")]
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: Secret,
    pub(super) secret: Secret,
    /// Of temporary keys.
    pub(super) token: Option<Secret>,
}

/// The region: of the settings, of the environment, or of the model's ARN.
pub(super) fn region(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name: &&str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let of_arn = || settings.model.strip_prefix("arn:")?.split(':').nth(2).map(str::to_owned);
    settings.region.clone().filter(|region| !region.is_empty()).or_else(of_arn).or_else(|| REGIONS.iter().find_map(set))
}

pub(super) fn no_region(settings: &Settings) -> Error {
    settings.config("region", "there is no AWS region").with_hint(format!("set {}", REGIONS.join(", or ")))
}

/// The credentials: a key of the settings, a Bedrock API key of the environment, access keys of the
/// environment.
pub(super) fn find(settings: &Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<Credentials> {
    let set = |name: &str| env(name).map(Secret::new).filter(|secret| !secret.is_empty());
    if let Some(key) = settings.api_key.clone().filter(|key| !key.is_empty()).or_else(|| set(BEARER)) {
        return Ok(Credentials::Bearer(key));
    }
    #[cfg(feature = "bedrock-sigv4")]
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        return Ok(Credentials::Keys(Keys { id, secret, token: set("AWS_SESSION_TOKEN") }));
    }
    let hint = if cfg!(feature = "bedrock-sigv4") {
        format!("set {BEARER}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    } else {
        format!("set {BEARER}; access keys need the feature `bedrock-sigv4`")
    };
    Err(settings.config("api_key", "there are no credentials for Bedrock").with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_regions_are_tried_in_order() {
        let all = env(&[("AWS_REGION", "c"), ("AWS_DEFAULT_REGION", "b"), ("AWS_REGION_NAME", "a")]);
        let mut settings = Settings::new("bedrock", "m");
        assert_eq!(region(&settings, &all).as_deref(), Some("a"));
        assert_eq!(region(&settings, &env(&[("AWS_REGION", "c"), ("AWS_DEFAULT_REGION", "b")])).as_deref(), Some("b"));
        assert_eq!(region(&settings, &env(&[("AWS_REGION", "c"), ("AWS_DEFAULT_REGION", " ")])).as_deref(), Some("c"));
        assert_eq!(region(&settings, &env(&[])), None);
        settings.region = Some("x".to_owned());
        assert_eq!(region(&settings, &all).as_deref(), Some("x"));
        let arn = Settings::new("bedrock", "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc");
        assert_eq!(region(&arn, &all).as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn a_bedrock_key_comes_before_access_keys() {
        let settings = Settings::new("bedrock", "m");
        let found = find(&settings, &env(&[(BEARER, "b"), ("AWS_ACCESS_KEY_ID", "i"), ("AWS_SECRET_ACCESS_KEY", "s")]));
        assert!(matches!(found.unwrap(), Credentials::Bearer(key) if key.expose() == "b"));
        let error = find(&settings, &env(&[("AWS_ACCESS_KEY_ID", "i")])).unwrap_err();
        assert!(error.hint().unwrap().contains(BEARER), "{error:?}");
        #[cfg(feature = "bedrock-sigv4")]
        {
            let found =
                find(&settings, &env(&[("AWS_ACCESS_KEY_ID", "i"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")]));
            let shown = format!("{found:?}");
            assert!(matches!(found.unwrap(), Credentials::Keys(keys) if keys.token.is_some()));
            assert!(!shown.contains("\"s\"") && shown.contains("redacted"), "{shown}");
        }
    }
}
