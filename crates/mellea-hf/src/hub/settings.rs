//! The environment variables that all Hugging Face tools share.

use std::fmt;
use std::path::PathBuf;

/// An access token; it shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// White space around a token comes from files and shells, never from the hub.
    pub(crate) fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(token.to_owned()))
    }

    #[cfg_attr(not(feature = "hub"), expect(dead_code, reason = "only the hub's client needs it"))]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where the hub and its cache are.
#[derive(Debug, Clone)]
pub(crate) struct HubSettings {
    pub(crate) cache: PathBuf,
    pub(crate) endpoint: String,
    pub(crate) token: Option<Token>,
    /// Why the network must not be used, if so.
    pub(crate) offline: Option<&'static str>,
}

impl HubSettings {
    /// Reads the process's environment.
    pub(crate) fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    pub(crate) fn read(env: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| env(name).map(PathBuf::from);
        let user = path("HOME").or_else(|| path("USERPROFILE")).unwrap_or_default();
        let base = path("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache"));
        let home = path("HF_HOME").unwrap_or_else(|| base.join("huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let on = |name: &str| env(name).is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str()));
        let token = if on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
            let named = env("HF_TOKEN").or_else(|| env("HUGGING_FACE_HUB_TOKEN"));
            named.or_else(|| std::fs::read_to_string(file).ok()).as_deref().and_then(Token::new)
        };
        let offline = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(|name| on(name)).map(|name| match name {
            "HF_HUB_OFFLINE" => "HF_HUB_OFFLINE is set",
            _ => "TRANSFORMERS_OFFLINE is set",
        });
        let endpoint = env("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self { cache, endpoint: endpoint.trim_end_matches('/').to_owned(), token, offline }
    }
}
