//! Where settings come from: the environment, or a substitute.

use std::collections::BTreeMap;
use std::sync::Arc;

use mellea_http::Secret;

/// A source of environment variables.
#[derive(Clone, Debug, Default)]
pub(crate) enum Env {
    /// Those of the process.
    #[default]
    Process,
    /// Only these.
    Given(Arc<BTreeMap<String, Secret>>),
}

impl Env {
    /// The value of a variable, if it is set and not blank.
    pub(crate) fn get(&self, name: &str) -> Option<Secret> {
        match self {
            Self::Process => Secret::from_env(name),
            Self::Given(all) => all.get(name).filter(|value| !value.is_empty()).cloned(),
        }
    }

    /// The first of these variables that is set, and its value.
    pub(crate) fn first<'n>(&self, names: &'n [String]) -> Option<(&'n str, Secret)> {
        names.iter().find_map(|name| Some((name.as_str(), self.get(name)?)))
    }
}
