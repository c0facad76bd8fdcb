//! What a provider's form makes of address, model and credentials.

use mellea_core::{Error, Result};
use mellea_http::BaseUrl;

use crate::keys::{Address, Credential, Vars};
use crate::registry::{Form, Provider};
use crate::template::segment;

/// What is called in the end.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// The address that the path of chat is added to; its query stays.
    pub(crate) base: BaseUrl,
    /// The model's name in the body.
    pub(crate) model: String,
    /// The credentials.
    pub(crate) credential: Option<Credential>,
    /// The header for a key, without which it goes as `Authorization: Bearer`.
    pub(crate) auth: Option<String>,
    /// More headers.
    pub(crate) headers: Vec<(String, String)>,
}

/// What is called for this model of this provider.
pub(crate) fn shape(
    provider: &Provider,
    model: &str,
    address: Address,
    credential: Option<Credential>,
    vars: &Vars<'_>,
) -> Result<Shape> {
    let mut shape =
        Shape { base: address.url, model: model.to_owned(), credential, auth: provider.auth.clone(), headers: Vec::new() };
    let version = || vars.find(provider, "api_version").unwrap_or_default();
    match provider.form {
        Form::Plain => {}
        Form::Azure => shape.base = azure(&shape.base, model, &version())?,
        Form::AzureAi => {
            if !shape.base.host().ends_with(".azure.com") {
                shape.auth = None;
            }
            shape.base = azure_ai(&shape.base, &version());
        }
        Form::HuggingFace => shape.model = hugging_face(model, address.own_host.as_deref() == Some(shape.base.host())),
        Form::Clarifai => shape.model = clarifai(model),
        Form::RagFlow => (shape.base, shape.model) = rag_flow(&shape.base, model)?,
        Form::Snowflake => {
            let mut kind = "KEYPAIR_JWT";
            if let Some(token) = shape.credential.as_ref().and_then(|found| found.secret().expose().strip_prefix("pat/")) {
                kind = "PROGRAMMATIC_ACCESS_TOKEN";
                shape.credential = Some(Credential::Key(token.into()));
            }
            shape.headers.push(("x-snowflake-authorization-token-type".to_owned(), kind.to_owned()));
        }
    }
    Ok(shape)
}

/// The address without slashes at its end, with a path added and perhaps a version in its query.
fn below(base: &BaseUrl, path: &str, version: &str) -> BaseUrl {
    let has_version = base.as_url().query_pairs().any(|(name, _)| name == "api-version");
    let query = (!version.is_empty() && !has_version).then(|| ("api-version".to_owned(), version.to_owned()));
    let url = base.join(path, query.as_slice());
    // An address made out of an address is one.
    BaseUrl::parse(url.as_str()).unwrap_or_else(|_| base.clone())
}

/// With another path.
fn at(base: &BaseUrl, path: &str) -> BaseUrl {
    let mut url = base.as_url().clone();
    url.set_path(path);
    BaseUrl::parse(url.as_str()).unwrap_or_else(|_| base.clone())
}

fn azure(base: &BaseUrl, model: &str, version: &str) -> Result<BaseUrl> {
    let path = base.as_url().path().trim_end_matches('/').to_owned();
    if path.ends_with("/openai/v1") {
        return Ok(base.clone());
    }
    if path.contains("/openai/deployments/") {
        let whole = path.trim_end_matches("/chat/completions");
        return Ok(below(&at(base, whole), "", version));
    }
    let root = at(base, path.strip_suffix("/openai").unwrap_or(&path));
    match version {
        "v1" => Ok(below(&root, "openai/v1", "")),
        "preview" | "latest" => Ok(below(&root, "openai/v1", "preview")),
        _ => {
            let deployment = segment(model);
            if deployment.is_empty() {
                return Err(Error::config("model", format!("`{model}` cannot be the name of a deployment")));
            }
            Ok(below(&root, &format!("openai/deployments/{deployment}"), version))
        }
    }
}

fn azure_ai(base: &BaseUrl, version: &str) -> BaseUrl {
    let path = base.as_url().path().trim_end_matches('/').trim_end_matches("/chat/completions").to_owned();
    let base = at(base, &path);
    if path.ends_with("/models") {
        below(&base, "", version)
    } else if base.host().ends_with(".services.ai.azure.com") && !path.ends_with("/v1") {
        below(&base, "models", version)
    } else {
        base
    }
}

/// At the router, a provider before the model goes behind it; an endpoint of the user's own serves one model.
fn hugging_face(model: &str, router: bool) -> String {
    match model.split_once('/') {
        Some((provider, name)) if router && name.contains('/') => format!("{name}:{provider}"),
        _ => model.to_owned(),
    }
}

fn clarifai(model: &str) -> String {
    let mut parts = model.splitn(3, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(user), Some(app), Some(name)) if !model.contains('/') => {
            format!("https://clarifai.com/{user}/{app}/models/{name}")
        }
        _ => model.to_owned(),
    }
}

fn rag_flow(base: &BaseUrl, model: &str) -> Result<(BaseUrl, String)> {
    let mut parts = model.splitn(3, '/');
    let (kind, id, name) = (parts.next(), parts.next().map(segment), parts.next());
    let kind = match kind {
        Some("chat") => "chats_openai",
        Some("agent") => "agents_openai",
        _ => "",
    };
    let (Some(id), Some(name), false) = (id.filter(|id| !id.is_empty()), name.filter(|name| !name.is_empty()), kind.is_empty())
    else {
        let message = format!("`{model}` must be `chat/<id>/<model>` or `agent/<id>/<model>`");
        return Err(Error::config("model", message));
    };
    let path = base.as_url().path().trim_end_matches('/');
    let root = path.strip_suffix("/api/v1").or_else(|| path.strip_suffix("/v1")).unwrap_or(path);
    Ok((below(&at(base, root), &format!("api/v1/{kind}/{id}"), ""), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use mellea_core::ErrorKind;

    use super::*;
    use crate::env::Env;
    use crate::keys;
    use crate::registry::Registry;

    fn formed(prefix: &str, model: &str, base: Option<&str>, version: Option<&str>, key: &str) -> Result<Shape> {
        let (registry, env) = (Registry::builtin(), Env::Given(Arc::default()));
        let given: BTreeMap<String, String> = version
            .map(|v| ("api_version".to_owned(), v.to_owned()))
            .into_iter()
            .chain([("account_id".into(), "acc".into())])
            .collect();
        let (vars, provider) = (Vars { given: &given, env: &env }, registry.get(prefix).unwrap());
        let address = keys::address(provider, base, &vars).unwrap();
        shape(provider, model, address, Some(Credential::Key(key.into())), &vars)
    }

    fn url(prefix: &str, model: &str, base: Option<&str>, version: Option<&str>) -> String {
        formed(prefix, model, base, version, "k").unwrap().base.join("chat/completions", &[]).to_string()
    }

    #[test]
    fn azure_takes_the_deployment_into_the_path_or_not() {
        for (base, version, expected) in [
            ("https://x.openai.azure.com", None, "/openai/deployments/my%20gpt/chat/completions?api-version=2025-02-01-preview"),
            (
                "https://x.openai.azure.com/",
                Some("2024-10-21"),
                "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
            ),
            ("https://x.openai.azure.com/openai/", Some("1"), "/openai/deployments/my%20gpt/chat/completions?api-version=1"),
            ("https://x.openai.azure.com", Some("v1"), "/openai/v1/chat/completions"),
            ("https://x.openai.azure.com", Some("preview"), "/openai/v1/chat/completions?api-version=preview"),
            ("https://x.openai.azure.com/openai/v1/", None, "/openai/v1/chat/completions"),
            (
                "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=7",
                None,
                "/openai/deployments/d/chat/completions?api-version=7",
            ),
        ] {
            assert_eq!(url("azure", "my gpt", Some(base), version), format!("https://x.openai.azure.com{expected}"));
        }
        assert!(formed("azure", "..", Some("https://x.openai.azure.com"), None, "k").is_err());
    }

    #[test]
    fn azure_ai_depends_on_the_host() {
        for (base, expected, auth) in [
            ("https://x.services.ai.azure.com", "/models/chat/completions?api-version=2024-05-01-preview", true),
            ("https://x.services.ai.azure.com/models", "/models/chat/completions?api-version=2024-05-01-preview", true),
            ("https://x.services.ai.azure.com/openai/v1", "/openai/v1/chat/completions", true),
            ("https://m.eastus.models.ai.azure.com", "/chat/completions", true),
            ("https://gateway.example/v1", "/v1/chat/completions", false),
        ] {
            let url = url("azure_ai", "m", Some(base), None);
            assert!(url.ends_with(expected) && url.matches("models/chat").count() <= 1, "{url}");
            assert_eq!(formed("azure_ai", "m", Some(base), None, "k").unwrap().auth.is_some(), auth, "{base}");
        }
    }

    #[test]
    fn names_of_models_are_rewritten_where_the_provider_wants_it() {
        let model = |prefix, model, base| formed(prefix, model, base, None, "k").unwrap().model;
        assert_eq!(model("huggingface", "together/deepseek-ai/DeepSeek-R1", None), "deepseek-ai/DeepSeek-R1:together");
        assert_eq!(model("huggingface", "deepseek-ai/DeepSeek-R1", None), "deepseek-ai/DeepSeek-R1");
        assert_eq!(model("huggingface", "a/b/c", Some("https://x.endpoints.huggingface.cloud")), "a/b/c");
        assert_eq!(
            model("clarifai", "openai.chat-completion.gpt-4.1", None),
            "https://clarifai.com/openai/chat-completion/models/gpt-4.1"
        );
        assert_eq!(model("clarifai", "plain", None), "plain");
    }

    #[test]
    fn rag_flow_has_kind_and_id_in_the_path() {
        for base in ["http://localhost:9380", "http://localhost:9380/v1", "http://localhost:9380/api/v1/"] {
            assert_eq!(
                url("ragflow", "chat/a?b/deep/seek", Some(base), None),
                "http://localhost:9380/api/v1/chats_openai/a%3Fb/chat/completions"
            );
        }
        let formed = |model| formed("ragflow", model, Some("http://localhost:9380"), None, "k");
        assert_eq!(formed("agent/1/deep/seek").unwrap().model, "deep/seek");
        for bad in ["m", "chat/1", "chat/1/", "chat//m", "chat/../m", "other/1/m"] {
            assert!(matches!(formed(bad).unwrap_err().kind(), ErrorKind::Config { .. }), "{bad}");
        }
    }

    #[test]
    fn snowflake_says_which_kind_of_token_it_is() {
        for (key, sent, kind) in [("pat/abc", "abc", "PROGRAMMATIC_ACCESS_TOKEN"), ("eyJ", "eyJ", "KEYPAIR_JWT")] {
            let shape = formed("snowflake", "m", None, None, key).unwrap();
            assert_eq!(shape.credential.unwrap().secret().expose(), sent);
            assert_eq!(shape.headers, [("x-snowflake-authorization-token-type".to_owned(), kind.to_owned())]);
            assert_eq!(shape.base.to_string(), "https://acc.snowflakecomputing.com/api/v2/cortex/v1");
        }
    }
}
