//! Where models come from: a directory, the hub's cache, the hub itself.

mod cache;
#[cfg(feature = "hub")]
mod client;
pub(crate) mod files;
mod settings;

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use cache::Cache;
use files::ModelFiles;
pub(crate) use settings::{HubSettings, Token};

/// The progress of one file's download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Download {
    /// The file's name in its repository.
    pub file: String,
    /// Bytes that have arrived.
    pub received: u64,
    /// The file's size.
    pub total: u64,
}

/// Called while files are downloaded.
pub(crate) type OnProgress = Arc<dyn Fn(&Download) + Send + Sync>;

/// A model's repository at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) id: String,
    pub(crate) revision: String,
}

impl Repository {
    /// Refuses names that are no repository's, before they become part of a path.
    pub(crate) fn new(id: &str, revision: Option<&str>) -> Result<Self> {
        let sane = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.chars().all(allowed) && !part.starts_with('.') && !part.contains("..")
        };
        let revision = revision.unwrap_or("main");
        let good = id.split('/').count() <= 2 && id.split('/').all(sane) && revision.split('/').all(sane);
        if good {
            Ok(Self { id: id.to_owned(), revision: revision.to_owned() })
        } else {
            Err(ErrorKind::Unsupported {
                what: format!("the model name {id:?} at revision {revision:?}"),
                hint: "give an existing directory, or an id such as ibm-granite/granite-4.1-3b".to_owned(),
            }
            .into())
        }
    }

    #[cfg_attr(not(feature = "hub"), expect(dead_code, reason = "only the hub's client finds out"))]
    fn not_found(&self, cache: &Path, what: &str) -> Error {
        ErrorKind::NotFound {
            id: self.id.clone(),
            revision: self.revision.clone(),
            cache: cache.to_owned(),
            what: what.to_owned(),
        }
        .into()
    }
}

/// Finds a model's files: in the cache if they are complete there, otherwise on the hub.
///
/// A cached revision is used unchanged, without asking the hub for a newer one.
pub(crate) fn fetch(repository: &Repository, settings: &HubSettings, progress: Option<OnProgress>) -> Result<ModelFiles> {
    let cache = Cache::new(&settings.cache);
    let missing = match cache.files(repository)? {
        Ok(files) => return Ok(files),
        Err(missing) => missing,
    };
    let offline = |reason| -> Error {
        ErrorKind::Offline {
            id: repository.id.clone(),
            revision: repository.revision.clone(),
            cache: settings.cache.clone(),
            what: missing.clone(),
            reason,
        }
        .into()
    };
    if let Some(reason) = settings.offline {
        return Err(offline(reason));
    }
    #[cfg(feature = "hub")]
    {
        client::download(repository, settings, progress)?;
        match cache.files(repository)? {
            Ok(files) => Ok(files),
            Err(missing) => Err(repository.not_found(&settings.cache, &missing)),
        }
    }
    #[cfg(not(feature = "hub"))]
    {
        drop(progress);
        Err(offline("this program was built without the feature `hub`"))
    }
}

#[cfg(test)]
mod tests;
