//! The files of one model, wherever they lie: in a directory, in the hub's cache or in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// A file of a model: a path or bytes.
#[derive(Clone)]
pub(crate) enum Entry {
    Path(PathBuf),
    Bytes(&'static [u8]),
}

/// The files that make up one model, by the name they have in its repository.
#[derive(Clone)]
pub(crate) struct ModelFiles {
    model: String,
    entries: Vec<(String, Entry)>,
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelFiles").field("model", &self.model).field("files", &self.entries.len()).finish()
    }
}

impl ModelFiles {
    /// Files already found, as the hub's cache yields them.
    pub(crate) fn new(model: impl Into<String>, entries: Vec<(String, Entry)>) -> Self {
        Self { model: model.into(), entries }
    }

    /// All files of a directory that a model may consist of.
    pub(crate) fn in_directory(directory: &Path) -> Result<Self> {
        let listing = std::fs::read_dir(directory).map_err(|source| io(directory, source))?;
        let mut entries = Vec::new();
        for file in listing {
            let file = file.map_err(|source| io(directory, source))?;
            if let Some(name) = file.file_name().to_str()
                && wanted(name)
            {
                entries.push((name.to_owned(), Entry::Path(file.path())));
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self::new(directory.display().to_string(), entries))
    }

    /// Files that are part of the program.
    pub(crate) fn in_memory(model: &str, files: &[(&str, &'static [u8])]) -> Self {
        let entries = files.iter().map(|(name, bytes)| ((*name).to_owned(), Entry::Bytes(bytes))).collect();
        Self::new(model, entries)
    }

    /// The model's id or directory.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// The names of all files, sorted where they come from a directory.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|(own, _)| own == name).map(|(_, entry)| entry)
    }

    /// A whole file, or `None` where the model has no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        match self.entry(name) {
            None => Ok(None),
            Some(Entry::Bytes(bytes)) => Ok(Some(Cow::Borrowed(bytes))),
            Some(Entry::Path(path)) => {
                let bytes = std::fs::read(path).map_err(|source| io(path, source))?;
                Ok(Some(Cow::Owned(bytes)))
            }
        }
    }

    /// A text file.
    pub(crate) fn read_text(&self, name: &str) -> Result<Option<String>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        match String::from_utf8(bytes.into_owned()) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(Error::malformed(name, error.utf8_error())),
        }
    }

    /// A JSON file.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| Error::malformed(name, error))
    }

    /// A JSON file without which the model cannot be loaded.
    pub(crate) fn require_json<T: DeserializeOwned>(&self, name: &str, hint: &'static str) -> Result<T> {
        self.read_json(name)?.ok_or_else(|| self.missing(name, hint))
    }

    /// The error that says which file is missing.
    pub(crate) fn missing(&self, file: &str, hint: &'static str) -> Error {
        ErrorKind::MissingFile { model: self.model.clone(), file: file.to_owned(), hint }.into()
    }

    /// Opens a file for reading at chosen places, so that large weights need not be held twice.
    pub(crate) fn open(&self, name: &str) -> Result<Option<Reader>> {
        Ok(match self.entry(name) {
            None => None,
            Some(Entry::Bytes(bytes)) => Some(Reader::Bytes(bytes)),
            Some(Entry::Path(path)) => {
                let file = File::open(path).map_err(|source| io(path, source))?;
                Some(Reader::File { file, path: path.clone() })
            }
        })
    }
}

/// A file that can be read at any offset.
pub(crate) enum Reader {
    File { file: File, path: PathBuf },
    Bytes(&'static [u8]),
}

impl Reader {
    /// The file's length in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File { file, path } => file.metadata().map(|data| data.len()).map_err(|source| io(path, source)),
        }
    }

    /// `length` bytes from `offset`; the caller has checked them against [`len`](Self::len).
    pub(crate) fn read_at(&mut self, offset: u64, length: usize) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let piece = bytes.get(start..start.saturating_add(length));
                piece.map(Cow::Borrowed).ok_or_else(|| {
                    let cause = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    io(Path::new("bytes in memory"), cause)
                })
            }
            Self::File { file, path } => {
                let mut buffer = vec![0; length];
                file.seek(SeekFrom::Start(offset))
                    .and_then(|_| file.read_exact(&mut buffer))
                    .map_err(|source| io(path, source))?;
                Ok(Cow::Owned(buffer))
            }
        }
    }
}

/// Whether a repository's file belongs to what is loaded or downloaded: never pickled weights, never code.
pub(crate) fn wanted(name: &str) -> bool {
    const NAMES: [&str; 4] =
        ["config.json", "generation_config.json", "special_tokens_map.json", "chat_template.jinja"];
    if name.contains('/') {
        return false;
    }
    NAMES.contains(&name)
        || (name.starts_with("tokenizer") && name.ends_with(".json"))
        || name.ends_with(".safetensors")
        || name.ends_with(".safetensors.index.json")
}

fn io(path: &Path, source: std::io::Error) -> Error {
    ErrorKind::Io { path: path.to_owned(), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_code_and_folders_are_not_wanted() {
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model-00001-of-00002.safetensors"] {
            assert!(wanted(name), "{name}");
        }
        for name in ["pytorch_model.bin", "modeling.py", "onnx/model.safetensors", "README.md", "tokenizer.model"] {
            assert!(!wanted(name), "{name}");
        }
    }

    #[test]
    fn a_json_error_names_the_file() {
        let files = ModelFiles::in_memory("m", &[("config.json", b"{")]);
        let error = files.read_json::<serde_json::Value>("config.json").unwrap_err();
        assert!(error.to_string().starts_with("config.json is malformed"), "{error}");
    }
}
