//! What a [`LiteLlm`](crate::LiteLlm) is built from, as a plain value.

use std::collections::BTreeMap;

use mellea_core::{ModelOptions, Result};
use mellea_http::ClientSettings;

use crate::env::Env;
use crate::keys::{self, Address, Credential, Vars};
use crate::registry::{Provider, Registry};

/// The settings of a backend, but for its model.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Where all else is looked for.
    pub(crate) env: Env,
    /// The key or token, instead of the environment's.
    pub(crate) credential: Option<Credential>,
    /// The address, instead of the environment's and the provider's own.
    pub(crate) base_url: Option<String>,
    /// Parts of the address, such as the region.
    pub(crate) variables: BTreeMap<String, String>,
    /// Options that every request has unless the call says otherwise.
    pub(crate) options: ModelOptions,
    /// The settings of its client.
    pub(crate) client: ClientSettings,
}

impl Settings {
    /// The parts of an address, given or in the environment.
    pub(crate) const fn vars(&self) -> Vars<'_> {
        Vars { given: &self.variables, env: &self.env }
    }

    /// The credential for this address of a provider, given or in the environment.
    ///
    /// # Errors
    /// If what the environment holds must not go there, or one is missing that is needed.
    pub(crate) fn credential_for(
        &self,
        provider: &Provider,
        registry: &Registry,
        address: &Address,
    ) -> Result<Option<Credential>> {
        match &self.credential {
            Some(given) => Ok(Some(given.clone())),
            None => keys::credential(provider, registry, address, &self.env),
        }
    }
}
