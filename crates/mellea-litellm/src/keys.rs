//! Addresses and keys: which address is called, and which key may go there.

use std::collections::BTreeMap;

use mellea_core::{Error, Result};
use mellea_http::{BaseUrl, Secret};

use crate::env::Env;
use crate::registry::{Key, Provider, Registry, distance};
use crate::template;

/// Where a provider is called.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The address, with the path that is added to one of the user's.
    pub(crate) url: BaseUrl,
    /// The host of the provider's own address, if it has one; its domain where a part is not known.
    pub(crate) own_host: Option<String>,
    /// Whether the program gave it, in code.
    pub(crate) explicit: bool,
}

/// Settings of an address: those that were given, then the environment's.
#[derive(Clone, Debug)]
pub(crate) struct Vars<'a> {
    pub(crate) given: &'a BTreeMap<String, String>,
    pub(crate) env: &'a Env,
}

impl Vars<'_> {
    /// The value of a part of a provider's address, if there is one.
    pub(crate) fn find(&self, provider: &Provider, name: &str) -> Option<String> {
        let var = provider.vars.get(name);
        self.given
            .get(name)
            .cloned()
            .or_else(|| self.env.first(&var?.env).map(|(_, value)| value.expose().to_owned()))
            .or_else(|| var?.default.clone())
    }

    /// The same, for a part that there must be.
    pub(crate) fn need(&self, provider: &Provider, name: &str) -> Result<String> {
        let Some(value) = self.find(provider, name) else {
            let variables = provider.vars.get(name).map(|var| list(&var.env)).unwrap_or_default();
            let message = format!("the address of `{}` needs `{name}`: set {variables}, or `var(\"{name}\", ..)`", provider.name);
            return Err(Error::config(name.to_owned(), message));
        };
        template::safe(name, &value)
    }
}

/// The address of a provider: the one given, or the environment's, or its own.
pub(crate) fn address(provider: &Provider, explicit: Option<&str>, vars: &Vars<'_>) -> Result<Address> {
    let own = || {
        let text = provider.base_url.as_deref()?;
        Some(template::fill(text, |name| vars.need(provider, name)).and_then(|url| BaseUrl::parse(&url)))
    };
    let given = explicit.map(str::to_owned).or_else(|| Some(vars.env.first(&provider.base_env)?.1.expose().to_owned()));
    if let Some(given) = given {
        let url = BaseUrl::parse(&given)?;
        let url = match provider.path_of_base() {
            Some(path) => url.or_path(path),
            None => url,
        };
        // A part that is missing is no error here; what stands behind it is still the provider's.
        let own_host = own().and_then(|url| url.map_or_else(|_| domain(provider), |url| Some(url.host().to_owned())));
        return Ok(Address { url, own_host, explicit: explicit.is_some() });
    }
    match own() {
        Some(url) => {
            let url = url?;
            Ok(Address { own_host: Some(url.host().to_owned()), url, explicit: false })
        }
        None => {
            let mut message = format!("`{}` has no address of its own: give one with `base_url`", provider.name);
            if !provider.base_env.is_empty() {
                message.push_str(&format!(", or set {}", list(&provider.base_env)));
            }
            Err(Error::config("base_url", message))
        }
    }
}

/// The end of the host of a provider's address that is the same whatever its parts are.
fn domain(provider: &Provider) -> Option<String> {
    let (_, rest) = provider.base_url.as_deref()?.split_once("://")?;
    let host = rest.split('/').next()?;
    let (_, domain) = host.rsplit_once('}').unwrap_or(("", host));
    Some(domain.trim_start_matches('.').to_owned()).filter(|domain| !domain.is_empty())
}

/// The credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A key, in the provider's own header.
    Key(Secret),
    /// A token, as `Authorization: Bearer`.
    Token(Secret),
}

impl Credential {
    /// The text itself, wherever it goes.
    pub(crate) fn secret(&self) -> &Secret {
        let (Self::Key(secret) | Self::Token(secret)) = self;
        secret
    }
}

/// What the environment has to prove the caller at an address, if it may go there.
///
/// It goes to the provider's own host, to the address that the environment itself names, and to an
/// address that the program gives, unless that one is another provider's or only looks like the own
/// one.
pub(crate) fn credential(provider: &Provider, registry: &Registry, address: &Address, env: &Env) -> Result<Option<Credential>> {
    let host = address.url.host();
    let at_home = address.own_host.as_deref().is_some_and(|own| is_at_or_below(host, own));
    let row = credentials_of(provider, registry, host);
    let (keys, tokens) = row.map(|row| (row.key_env.as_slice(), row.token_env.as_slice())).unwrap_or_default();
    let key = env.first(keys).map(|(variable, key)| (variable, Credential::Key(key)));
    let found = key.or_else(|| env.first(tokens).map(|(variable, token)| (variable, Credential::Token(token))));
    let Some((variable, credential)) = found else {
        let elsewhere = address.own_host.is_some() && !at_home;
        if provider.key == Key::Optional || elsewhere || address.url.is_local() {
            return Ok(None);
        }
        return Err(missing(provider, &[keys, tokens].concat()));
    };
    if address.explicit && !at_home && !address.url.is_local() {
        let own = address.own_host.as_deref().unwrap_or_default();
        let user = address.url.as_url().username();
        let why = if looks_like(host, own) || (!own.is_empty() && user.contains(own)) {
            Some(format!("which only looks like {own}"))
        } else {
            owner(registry, host).filter(|other| other.name != provider.name).map(|other| format!("which is `{}`'s", other.name))
        };
        if let Some(why) = why.filter(|_| !variables_of_host(registry, host).any(|other| other == variable)) {
            let error = Error::config("api_key", format!("the key in {variable} is not sent to {host}, {why}"));
            return Err(error.with_hint("give the key with `api_key` if that host may have it"));
        }
    }
    Ok(Some(credential))
}

fn missing(provider: &Provider, variables: &[String]) -> Error {
    let mut message = format!("there is no key for `{}`", provider.name);
    let mut hint = "give the key with `api_key`".to_owned();
    if let Some(first) = variables.first() {
        message.push_str(&format!(": none of {} is set", list(variables)));
        if let Some(oauth) = &provider.oauth {
            message.push_str(&format!(", nor {} with {}", list(&oauth.client_id), list(&oauth.client_secret)));
        }
        hint = format!("export {first}=..., or {hint}");
    }
    Error::config("api_key", message).with_hint(hint)
}

/// The row whose variables count: the provider's, or for one that has none that of exactly this host.
fn credentials_of<'r>(provider: &'r Provider, registry: &'r Registry, host: &str) -> Option<&'r Provider> {
    if provider.key_env.is_empty() { owner(registry, host) } else { Some(provider) }
}

fn variables_of_host<'r>(registry: &'r Registry, host: &'r str) -> impl Iterator<Item = &'r String> {
    registry.iter().filter(move |provider| is_at(provider, host)).flat_map(|provider| &provider.key_env)
}

/// The provider whose own address has exactly this host.
fn owner<'r>(registry: &'r Registry, host: &str) -> Option<&'r Provider> {
    registry.iter().find(|provider| is_at(provider, host))
}

fn is_at(provider: &Provider, host: &str) -> bool {
    let own = provider.base_url.as_deref().and_then(|url| BaseUrl::parse(url).ok());
    own.is_some_and(|own| !own.is_local() && own.host() == host)
}

/// Whether a host could be taken for another: it contains its name without being below it, or differs
/// in a letter or two.
fn looks_like(host: &str, own: &str) -> bool {
    !own.is_empty() && !is_at_or_below(host, own) && (host.contains(own) || distance(host, own) <= 2)
}

/// Whether a host is this one or one below it.
fn is_at_or_below(host: &str, own: &str) -> bool {
    host == own || host.strip_suffix(own).is_some_and(|below| below.ends_with('.'))
}

/// Names in a row: `A`, `B` or `C`.
pub(crate) fn list(names: &[String]) -> String {
    let mut out = String::new();
    for (at, name) in names.iter().enumerate() {
        if at > 0 {
            out.push_str(if at + 1 == names.len() { " or " } else { ", " });
        }
        out.push_str(name);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mellea_core::ErrorKind;

    use super::*;

    const KEY: &str = "sk-canary";

    fn env(variables: &[&str]) -> Env {
        let value = |name: &str| match name.ends_with("_BASE") || name.ends_with("_URL") {
            true => "http://127.0.0.1:9/base".to_owned(),
            false if name.contains("REGION") => "eu-west-1".to_owned(),
            false => format!("{KEY}-{name}"),
        };
        Env::Given(Arc::new(variables.iter().map(|name| ((*name).to_owned(), Secret::new(value(name)))).collect()))
    }

    /// The address and the key, or the error.
    fn find(prefix: &str, base: Option<&str>, variables: &[&str]) -> Result<(String, Option<String>)> {
        let (registry, env) = (Registry::builtin(), env(variables));
        let given = BTreeMap::new();
        let provider = registry.get(prefix).unwrap();
        let address = address(provider, base, &Vars { given: &given, env: &env })?;
        let found = credential(provider, &registry, &address, &env)?;
        Ok((address.url.to_string(), found.map(|found| found.secret().expose().to_owned())))
    }

    fn refusal(prefix: &str, base: Option<&str>, variables: &[&str]) -> String {
        let error = find(prefix, base, variables).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
        error.to_string()
    }

    #[test]
    fn a_missing_key_names_all_variables() {
        let error = refusal("together_ai", None, &[]);
        for name in
            ["TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY or TOGETHER_AI_TOKEN", "export TOGETHER_API_KEY="]
        {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_first_variable_counts() {
        let (_, key) = find("together_ai", None, &["TOGETHER_AI_TOKEN", "TOGETHERAI_API_KEY"]).unwrap();
        assert_eq!(key.unwrap(), format!("{KEY}-TOGETHERAI_API_KEY"));
    }

    #[test]
    fn an_address_is_given_or_the_environments_or_the_rows() {
        let address = |base, variables: &[&str]| find("groq", base, variables).unwrap().0;
        assert_eq!(address(Some("http://localhost:1/x"), &["GROQ_API_BASE"]), "http://localhost:1/x");
        assert_eq!(address(None, &["GROQ_API_BASE"]), "http://127.0.0.1:9/base");
        assert_eq!(address(None, &["GROQ_API_KEY"]), "https://api.groq.com/openai/v1");
    }

    #[test]
    fn a_missing_address_names_all_ways_to_give_one() {
        let error = refusal("litellm_proxy", None, &[]);
        assert!(error.contains("base_url") && error.contains("LITELLM_PROXY_API_BASE"), "{error}");
        assert!(refusal("custom_openai", None, &[]).contains("base_url"));
        let error = refusal("cloudflare", None, &["CLOUDFLARE_API_KEY"]);
        assert!(error.contains("CLOUDFLARE_ACCOUNT_ID") && error.contains("account_id"), "{error}");
    }

    #[test]
    fn regions_are_part_of_the_host() {
        let region = |variables: &[&str]| find("bedrock_mantle", None, variables).unwrap().0;
        assert_eq!(region(&["AWS_BEARER_TOKEN_BEDROCK"]), "https://bedrock-mantle.us-east-1.api.aws/v1");
        assert_eq!(region(&["AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION"]), "https://bedrock-mantle.eu-west-1.api.aws/v1");
    }

    #[test]
    fn a_key_of_the_environment_goes_home_and_where_the_user_says() {
        for base in [
            None,
            Some("https://api.groq.com/openai/v1"),
            Some("https://API.GROQ.COM/openai/v1"),
            Some("https://eu.api.groq.com/openai/v1"),
            Some("https://gateway.example/groq"),
            Some("http://127.0.0.1:4000"),
        ] {
            assert!(find("groq", base, &["GROQ_API_KEY"]).unwrap().1.is_some(), "{base:?}");
        }
        assert!(find("groq", None, &["GROQ_API_KEY", "GROQ_API_BASE"]).unwrap().1.is_some());
    }

    #[test]
    fn a_host_that_only_looks_right_gets_no_key() {
        for host in [
            "https://api.groq.com.evil.example/v1",
            "https://api.groq.com-evil.example/v1",
            "https://xapi.groq.com/v1",
            "https://api.qroq.com/v1",
            "https://api.groq.co/v1",
            "https://api.groq.com./v1",
            "https://api.groq.com@evil.example/v1",
        ] {
            let error = refusal("groq", Some(host), &["GROQ_API_KEY"]);
            assert!(error.contains("only looks like api.groq.com") && error.contains("GROQ_API_KEY"), "{error}");
        }
    }

    #[test]
    fn a_domain_is_enough_to_look_like_it() {
        let key = ["SNOWFLAKE_JWT"];
        for (base, may) in [
            ("https://acc.snowflakecomputing.com/api", true),
            ("https://gateway.example", true),
            ("https://acc.snowflakecomputing.com.evil.example", false),
            ("https://acc-snowflakecomputing.com", false),
        ] {
            assert_eq!(find("snowflake", Some(base), &key).is_ok(), may, "{base}");
        }
        assert!(refusal("snowflake", Some("https://acc.snowflakecomputing.com/api"), &[]).contains("SNOWFLAKE_JWT"));
    }

    #[test]
    fn another_providers_host_gets_no_key_of_this_one() {
        let error = refusal("groq", Some("https://api.openai.com/v1"), &["GROQ_API_KEY"]);
        assert!(error.contains("is not sent to api.openai.com, which is `openai`'s"), "{error}");
        let own = find("qwencloud", Some("https://dashscope.aliyuncs.com/compatible-mode/v1"), &["DASHSCOPE_API_KEY"]);
        assert!(own.unwrap().1.is_some());
    }

    #[test]
    fn a_token_of_the_environment_is_no_key() {
        let (registry, env, given) = (Registry::builtin(), env(&["AZURE_AD_TOKEN"]), BTreeMap::new());
        let provider = registry.get("azure").unwrap();
        let address = address(provider, Some("https://x.openai.azure.com"), &Vars { given: &given, env: &env }).unwrap();
        let found = credential(provider, &registry, &address, &env).unwrap().unwrap();
        assert_eq!(found, Credential::Token(Secret::new(format!("{KEY}-AZURE_AD_TOKEN"))));
    }

    #[test]
    fn no_key_is_needed_where_there_may_be_none() {
        for (prefix, base) in [
            ("groq", Some("http://localhost:8000/v1")),
            ("groq", Some("https://gateway.example/v1")),
            ("litellm_proxy", Some("http://localhost:4000")),
            ("hosted_vllm", Some("https://vllm.example/v1")),
            ("llamafile", None),
            ("azure", Some("http://127.0.0.1:1")),
        ] {
            assert_eq!(find(prefix, base, &[]).unwrap().1, None, "{prefix} {base:?}");
        }
        assert!(refusal("azure", Some("https://mine.openai.azure.com"), &[]).contains("AZURE_API_KEY"));
    }

    #[test]
    fn a_custom_address_gets_the_key_of_the_provider_that_has_exactly_that_host() {
        let base = Some("https://api.groq.com/openai/v1");
        assert_eq!(find("custom_openai", base, &["GROQ_API_KEY"]).unwrap().1.unwrap(), format!("{KEY}-GROQ_API_KEY"));
        let base = Some("https://api.groq.com.evil.example/openai/v1");
        assert_eq!(find("custom_openai", base, &["GROQ_API_KEY"]).unwrap().1, None);
    }
}
