//! The address that a client's calls start from.

use std::sync::{Mutex, PoisonError};

use mellea_core::{Error, Result};
use url::{Host, Url};

/// An address to which paths are added, with or without a trailing slash.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads an address; without a scheme it is taken to be `http` on this machine and `https`
    /// elsewhere.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](mellea_core::ErrorKind::Config) if it is not an http or https address.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad =
            |reason: &str| Error::config("base_url", format!("`{}` is no address of a service: {reason}", without_user(text)));
        let parsed = if text.contains("://") {
            Url::parse(text)
        } else {
            Url::parse(&format!("http://{text}"))
                .and_then(|url| if is_local(&url) { Ok(url) } else { Url::parse(&format!("https://{text}")) })
        };
        let url = parsed.map_err(|e| bad(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("the scheme must be http or https"));
        }
        Ok(Self(url))
    }

    /// With this path if it has none: `http://host` becomes `http://host/v1` for `or_path("v1")`.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if self.0.path().trim_matches('/').is_empty() {
            self.0.set_path(path);
        }
        self
    }

    /// The address of a path below, with more query parameters.
    #[must_use]
    pub fn join(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        if !path.is_empty() {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address as it was read.
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local(&self.0)
    }

    /// Whether a key may be sent there: over https, or within this machine or a private network.
    #[must_use]
    pub(crate) fn may_have_key(&self) -> bool {
        self.0.scheme() == "https" || is_local(&self.0) || is_private(&self.0)
    }
}

impl std::fmt::Display for BaseUrl {
    /// Without user, password and query.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut url = self.0.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        f.write_str(url.as_str().trim_end_matches('/'))
    }
}

impl std::fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// The address of the latest call: most calls of a client go to one place.
#[derive(Debug, Default)]
pub(crate) struct Latest(Mutex<Option<Joined>>);

struct Joined {
    path: String,
    query: Vec<(String, String)>,
    url: Url,
}

impl Latest {
    /// [`BaseUrl::join`], done again only where path or query are others than the last time.
    pub(crate) fn join(&self, base: &BaseUrl, path: &str, query: &[(String, String)]) -> Url {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(joined) = latest.as_ref().filter(|joined| joined.path == path && joined.query == query) {
            return joined.url.clone();
        }
        let url = base.join(path, query);
        *latest = Some(Joined { path: path.to_owned(), query: query.to_owned(), url: url.clone() });
        url
    }
}

impl std::fmt::Debug for Joined {
    /// Without the query.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}

fn without_user(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, host)| host).split(['?', '#']).next().unwrap_or_default()
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            !name.contains('.') || [".local", ".internal", ".lan", ".home.arpa", ".svc"].iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_with_or_without_slashes() {
        for base in ["https://h/v1", "https://h/v1/", "https://h/v1//"] {
            let url = BaseUrl::parse(base).unwrap().join("/chat/completions", &[]);
            assert_eq!(url.as_str(), "https://h/v1/chat/completions");
        }
        let base = BaseUrl::parse("https://h/x?api-version=1").unwrap();
        let url = base.join("y", &[("a b".into(), "c&d".into())]);
        assert_eq!(url.as_str(), "https://h/x/y?api-version=1&a+b=c%26d");
        assert_eq!(BaseUrl::parse("https://h").unwrap().or_path("v1").join("models", &[]).path(), "/v1/models");
        assert_eq!(BaseUrl::parse("https://h/openai").unwrap().or_path("v1").join("models", &[]).path(), "/openai/models");
    }

    #[test]
    fn the_latest_address_is_that_of_its_path_and_query() {
        let (base, latest) = (BaseUrl::parse("https://h/v1").unwrap(), Latest::default());
        let query = [("a".to_owned(), "b".to_owned())];
        for (path, query) in [("x", &[][..]), ("x", &[]), ("x", &query), ("x", &query), ("y", &query), ("x", &[])] {
            assert_eq!(latest.join(&base, path, query), base.join(path, query));
        }
    }

    #[test]
    fn a_scheme_may_be_left_out() {
        for (text, url) in [
            ("localhost:8000", "http://localhost:8000/"),
            ("example.com/v1", "https://example.com/v1"),
            ("[::1]:1", "http://[::1]:1/"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().as_url().as_str(), url);
        }
    }

    #[test]
    fn a_bad_address_is_named_without_its_password() {
        for text in ["ftp://u:canary@h", "http://u:canary@h:99999", "", "http://"] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        let base = BaseUrl::parse("https://u:canary@h/v1?key=canary").unwrap();
        assert_eq!(format!("{base} {base:?}"), "https://h/v1 https://h/v1");
    }

    #[test]
    fn keys_stay_off_the_open_network() {
        for (text, may) in [
            ("https://example.com", true),
            ("http://example.com", false),
            ("http://8.8.8.8", false),
            ("http://localhost:1", true),
            ("http://127.0.0.1", true),
            ("http://[::1]", true),
            ("http://10.1.2.3", true),
            ("http://vllm:8000", true),
            ("http://vllm.default.svc:8000", true),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().may_have_key(), may, "{text}");
        }
    }
}
