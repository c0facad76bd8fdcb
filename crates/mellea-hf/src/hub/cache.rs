//! The hub's cache as Python's library lays it out: `models--org--name/{refs,snapshots,blobs}`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Repository;
use super::files::{Entry, ModelFiles, wanted};
use crate::error::Result;

/// Reads a cache; never writes to it.
#[derive(Debug)]
pub(super) struct Cache<'a> {
    root: &'a Path,
}

impl<'a> Cache<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// All files of a revision, or the name of the first one that is missing.
    pub(super) fn files(&self, repository: &Repository) -> Result<Result<ModelFiles, String>> {
        let Some(snapshot) = self.snapshot(repository) else { return Ok(Err("config.json".to_owned())) };
        let entries = list(&snapshot);
        let files = ModelFiles::new(repository.id.clone(), entries);
        let has = |name: &str| files.names().any(|own| own == name);
        for name in ["config.json", "tokenizer.json"] {
            if !has(name) {
                return Ok(Err(name.to_owned()));
            }
        }
        let weights = match files.read_json::<Value>("model.safetensors.index.json")? {
            Some(index) => shards(&index),
            None => vec!["model.safetensors".to_owned()],
        };
        let missing = weights.into_iter().find(|name| !has(name));
        Ok(missing.map_or(Ok(files), Err))
    }

    /// The directory of a revision: a commit that is there, or what a branch or tag points to.
    pub(super) fn snapshot(&self, repository: &Repository) -> Option<PathBuf> {
        let folder = self.root.join(format!("models--{}", repository.id.replace('/', "--")));
        let revision = &repository.revision;
        let pinned = folder.join("snapshots").join(revision);
        if is_commit(revision) && pinned.is_dir() {
            return Some(pinned);
        }
        let commit = std::fs::read_to_string(folder.join("refs").join(revision)).ok()?;
        let commit = commit.trim();
        let snapshot = folder.join("snapshots").join(commit);
        (is_commit(commit) && snapshot.is_dir()).then_some(snapshot)
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Links that point nowhere are downloads that were broken off: they do not count.
fn list(snapshot: &Path) -> Vec<(String, Entry)> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(snapshot).into_iter().flatten().flatten() {
        if let Some(name) = file.file_name().to_str()
            && wanted(name)
            && file.path().is_file()
        {
            entries.push((name.to_owned(), Entry::Path(file.path())));
        }
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    entries
}

/// The files that an index names.
pub(super) fn shards(index: &Value) -> Vec<String> {
    let map = index.get("weight_map").and_then(Value::as_object);
    let mut names: Vec<String> = map.into_iter().flat_map(|map| map.values()).filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}
