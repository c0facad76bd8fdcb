//! Downloads of what the cache lacks, into the cache, by the hub's own client.

use std::path::Path;

use hf_hub::api::Progress;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache as HubCache, Repo, RepoType};
use serde_json::Value;

use super::cache::{Cache, shards};
use super::files::wanted;
use super::settings::HubSettings;
use super::{Download, OnProgress, Repository};
use crate::error::{Error, ErrorKind, Result};

const INDEX: &str = "model.safetensors.index.json";
const RETRIES: usize = 3;

/// Fetches configuration, tokenizer, template and weights; files that are there are left alone.
pub(super) fn download(
    repository: &Repository,
    settings: &HubSettings,
    progress: Option<OnProgress>,
) -> Result<()> {
    let fetch = Fetch { repository, settings, progress };
    let api = ApiBuilder::from_cache(HubCache::new(settings.cache.clone()))
        .with_endpoint(settings.endpoint.clone())
        .with_token(settings.token.as_ref().map(|token| token.reveal().to_owned()))
        .with_progress(false)
        .with_retries(RETRIES)
        .build()
        .map_err(|error| fetch.error("the repository", &error))?;
    let repo = Repo::with_revision(repository.id.clone(), RepoType::Model, repository.revision.clone());
    let remote = api.repo(repo);
    let info = remote.info().map_err(|error| fetch.error("repository", &error))?;
    let has = |name: &str| info.siblings.iter().any(|file| file.rfilename == name);

    for file in &info.siblings {
        // Weights may lie there in several forms; the index below says which files are the model.
        if wanted(&file.rfilename) && !file.rfilename.ends_with(".safetensors") {
            fetch.file(&remote, &file.rfilename)?;
        }
    }
    let weights = if has(INDEX) {
        let path = fetch.file(&remote, INDEX)?;
        let bytes = std::fs::read(&path).map_err(|source| ErrorKind::Io { path, source })?;
        let index: Value = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(INDEX, error))?;
        shards(&index)
    } else {
        vec!["model.safetensors".to_owned()]
    };
    for name in weights.iter().filter(|name| wanted(name)) {
        fetch.file(&remote, name)?;
    }
    Ok(())
}

struct Fetch<'a> {
    repository: &'a Repository,
    settings: &'a HubSettings,
    progress: Option<OnProgress>,
}

impl Fetch<'_> {
    fn file(&self, remote: &ApiRepo, name: &str) -> Result<std::path::PathBuf> {
        let there = Cache::new(&self.settings.cache).snapshot(self.repository).map(|snapshot| snapshot.join(name));
        if let Some(path) = there.filter(|path| path.is_file()) {
            return Ok(path);
        }
        tracing::info!(model = self.repository.id, revision = self.repository.revision, file = name, "downloading");
        let report = Report { on_progress: self.progress.clone(), state: Download { file: name.to_owned(), received: 0, total: 0 } };
        remote.download_with_progress(name, report).map_err(|error| self.error(name, &error))
    }

    fn error(&self, what: &str, error: &ApiError) -> Error {
        let (id, revision) = (self.repository.id.clone(), self.repository.revision.clone());
        let cache: &Path = &self.settings.cache;
        let kind = match status(error) {
            Some(404) => return self.repository.not_found(cache, what),
            Some(status @ (401 | 403)) => ErrorKind::Refused { id, revision, cache: cache.to_owned(), status },
            _ => ErrorKind::Network {
                id,
                revision,
                cache: cache.to_owned(),
                endpoint: without_user(&self.settings.endpoint),
                what: what.to_owned(),
                detail: self.redacted(&error.to_string()),
            },
        };
        kind.into()
    }

    /// The client's texts hold no headers, but an address may hold a password.
    fn redacted(&self, text: &str) -> String {
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(token) = &self.settings.token {
            text = text.replace(token.reveal(), "…");
        }
        text.replace(&self.settings.endpoint, &without_user(&self.settings.endpoint))
    }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

fn without_user(endpoint: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => endpoint.to_owned(),
    }
}

struct Report {
    on_progress: Option<OnProgress>,
    state: Download,
}

impl Progress for Report {
    fn init(&mut self, size: usize, _filename: &str) {
        self.state.total = size as u64;
        self.update(0);
    }

    fn update(&mut self, size: usize) {
        self.state.received += size as u64;
        if let Some(on_progress) = &self.on_progress {
            on_progress(&self.state);
        }
    }

    fn finish(&mut self) {}
}
