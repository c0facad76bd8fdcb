//! The registry: which prefix of a model's name means which provider.

mod nearest;
mod provider;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use mellea_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::template;

pub(crate) use nearest::distance;
pub use provider::{Content, DeclaredIn, Form, Key, Kind, OAuth, Provider, Reasoning, ResponseFormat, TokenField, Var, Verified};

static TEXT: &str = include_str!("providers.toml");

static BUILTIN: LazyLock<Vec<Arc<Provider>>> = LazyLock::new(|| {
    let read = read(TEXT);
    debug_assert!(read.is_ok(), "{read:?}");
    read.unwrap_or_default().into_iter().map(Arc::new).collect()
});

/// The providers that a [`LiteLlm`](crate::LiteLlm) finds by the prefix of a model's name.
///
/// [`builtin`](Self::builtin) has those of this crate; added ones take precedence. Clones share
/// the rows.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    own: Vec<Arc<Provider>>,
    builtin: bool,
}

/// How many providers the built-in registry has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// On OpenAI's wire.
    pub openai_wire: usize,
    /// Of these, with an address built in.
    pub with_address: usize,
    /// On OpenAI's wire behind an address or a header of their own.
    pub template: usize,
    /// With a wire of their own.
    pub native: usize,
    /// Reached only through a LiteLLM proxy.
    pub proxy_only: usize,
    /// Not for chat.
    pub unsupported: usize,
    /// Further names for some of them.
    pub aliases: usize,
}

impl Counts {
    /// How many prefixes can be called, with all features on.
    #[must_use]
    pub fn callable(&self) -> usize {
        self.openai_wire + self.template + self.native
    }
}

/// The providers of the built-in registry, one for each prefix, including those that cannot be called.
///
/// ```
/// use mellea_litellm::{Kind, supported_providers};
///
/// let groq = supported_providers().find(|p| p.name == "groq").unwrap();
/// assert_eq!((groq.kind, groq.key_env.as_slice()), (Kind::Openai, ["GROQ_API_KEY".to_owned()].as_slice()));
/// ```
pub fn supported_providers() -> impl ExactSizeIterator<Item = &'static Provider> {
    BUILTIN.iter().map(|provider| &**provider)
}

/// How many providers the built-in registry has.
#[must_use]
pub fn counts() -> Counts {
    let mut counts = Counts::default();
    for provider in supported_providers() {
        counts.aliases += provider.aliases.len();
        *match provider.kind {
            Kind::Openai => {
                counts.with_address += usize::from(provider.base_url.is_some());
                &mut counts.openai_wire
            }
            Kind::Template => &mut counts.template,
            Kind::Native => &mut counts.native,
            Kind::ProxyOnly => &mut counts.proxy_only,
            Kind::Unsupported => &mut counts.unsupported,
        } += 1;
    }
    counts
}

impl Registry {
    /// The providers of this crate.
    #[must_use]
    pub fn builtin() -> Self {
        Self { own: Vec::new(), builtin: true }
    }

    /// No providers.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a provider, which takes precedence over those of the same name.
    #[must_use]
    pub fn with(mut self, provider: Provider) -> Self {
        self.own.push(Arc::new(provider));
        self
    }

    /// Adds the providers of a TOML text: tables `[[provider]]` with the fields of [`Provider`].
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for text that is not such TOML, naming the line.
    pub fn with_toml(mut self, text: &str) -> Result<Self> {
        self.own.extend(read(text)?.into_iter().map(Arc::new));
        Ok(self)
    }

    /// Adds the providers of a TOML file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it cannot be read.
    pub fn with_file(self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let at = |e: &dyn std::fmt::Display| ErrorKind::config("providers", format!("providers of {}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| at(&e))?;
        self.with_toml(&text).map_err(|e| at(&e).into())
    }

    /// The provider of a prefix or of one of its aliases; the last added one counts.
    #[must_use]
    pub fn get(&self, prefix: &str) -> Option<&Provider> {
        let found = self.iter().find(|provider| provider.prefixes().any(|name| name == prefix))?;
        match &found.alias_of {
            // One step: a row that is another's alias is no target itself.
            Some(name) => self.iter().find(|provider| provider.name == *name && provider.alias_of.is_none()),
            None => Some(found),
        }
    }

    /// All providers, the last added first, then the built-in ones.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        let builtin = if self.builtin { BUILTIN.as_slice() } else { &[] };
        self.own.iter().rev().chain(builtin).map(|provider| &**provider)
    }

    /// The prefixes most similar to this one, the closest first, at most three.
    pub(crate) fn nearest(&self, prefix: &str) -> Vec<&str> {
        let callable = self.iter().filter(|p| !matches!(p.kind, Kind::ProxyOnly | Kind::Unsupported));
        nearest::nearest(prefix, callable.flat_map(Provider::prefixes))
    }
}

fn read(text: &str) -> Result<Vec<Provider>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        provider: Vec<Provider>,
    }
    let file: File = toml::from_str(text).map_err(|e| {
        let line = e.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        Error::config("providers", format!("{place}{}", e.message().replace('\n', " ")))
    })?;
    for provider in &file.provider {
        check(provider)?;
    }
    Ok(file.provider)
}

/// What a row must have to be found and called.
pub(crate) fn check(provider: &Provider) -> Result<()> {
    let bad = |what: &str| Err(Error::config("providers", format!("provider `{}`: {what}", provider.name)));
    if provider.name.is_empty() || provider.prefixes().any(|name| name.contains('/') || name.contains(char::is_whitespace)) {
        return bad("a prefix must be a word without slashes");
    }
    let in_address = provider.base_url.iter().flat_map(|url| template::names(url));
    let in_token = provider.oauth.iter().flat_map(|oauth| template::names(&oauth.url)).filter(|name| *name != "origin");
    if let Some(name) = in_address.chain(in_token).find(|name| !provider.vars.contains_key(*name)) {
        return bad(&format!("`{{{name}}}` in the address is not among `vars`"));
    }
    if let Some(dialect) = provider.dialect.as_deref().filter(|name| crate::dialect::named(name).is_none()) {
        return bad(&format!("there is no dialect `{dialect}`"));
    }
    Ok(())
}
