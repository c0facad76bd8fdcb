//! A cassette: recorded calls as a file of stable bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::file;
use crate::backend::{Capabilities, ChatRequest, Event, RawRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{ModelOption, ModelOptions};
use crate::output::{ModelOutput, Warning};
use crate::redact::Redactor;

/// The version of the form that this program writes and reads.
const VERSION: u32 = 1;

/// Recorded calls of a backend: what was asked, and what came back.
///
/// A cassette holds no times, and no values of headers or of options that are not known to be
/// harmless, see [`Recorder`](super::Recorder). Recording the same answers to the same calls gives
/// the same bytes, so a cassette can be kept beside the test that uses it and read in a review.
///
/// A [`Recorder`](super::Recorder) makes one, a [`Replayer`](super::Replayer) answers from one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cassette {
    version: u32,
    pub(super) provider: String,
    pub(super) model: String,
    #[serde(with = "CapabilitiesForm")]
    pub(super) capabilities: Capabilities,
    #[serde(default)]
    pub(super) default_options: StoredOptions,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) synonyms: Vec<(String, ModelOption)>,
    #[serde(default)]
    pub(super) chats: Vec<Chat>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) completions: Vec<Completion>,
}

/// A recorded chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Chat {
    /// The request, cleaned. It stays JSON: it is only compared.
    pub(super) request: Value,
    /// What of the request the backend could not honour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Warning>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) events: Vec<Event>,
    pub(super) ended: Ended,
}

/// How a recorded chat ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// The stream came to its end.
    Complete,
    /// The caller did not wait for the end.
    Dropped,
    /// The request was refused.
    Refused(Fault),
    /// The stream broke.
    Failed(Fault),
}

/// A recorded raw completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Completion {
    pub(super) request: Value,
    pub(super) result: Completed,
}

/// How a recorded raw completion ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Completed {
    Output(Box<ModelOutput>),
    Error(Fault),
}

/// A backend's default options without their tools.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredOptions {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<ModelOption, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

/// The stored form of [`Capabilities`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Capabilities")]
struct CapabilitiesForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    json_schema: bool,
    regex: bool,
    tools: bool,
    #[serde(default)]
    tools_with_format: bool,
    images: bool,
    audio: bool,
    raw: bool,
}

impl Cassette {
    pub(super) fn new(provider: &str, model: &str) -> Self {
        Self {
            version: VERSION,
            provider: provider.to_owned(),
            model: model.to_owned(),
            capabilities: Capabilities::default(),
            default_options: StoredOptions::default(),
            synonyms: Vec::new(),
            chats: Vec::new(),
            completions: Vec::new(),
        }
    }

    /// Reads a cassette from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`] if there is none, or none that this version can read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = file::read(path).map_err(|e| at_path("cannot be read", path, e))?;
        Self::from_json(&text).map_err(|e| e.with_hint(format!("record {} again", path.display())))
    }

    /// Writes the cassette to a file; missing folders are made. Only the user may read the file. It is
    /// written beside its place first and then moved there, so it is never there in part.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`] if it cannot be written, or if a symbolic link stands in its place.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = self.to_json()?;
        file::write(path, &text).map_err(|e| at_path("cannot be written", path, e))
    }

    /// The cassette as JSON, one value to a line.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`] if it holds something that is not JSON.
    pub fn to_json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|e| unreadable(&e))?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a cassette from its JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Testing`] if it is none, or of another version.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let Head { version } = serde_json::from_str(text).map_err(|e| unreadable(&e))?;
        if version != VERSION {
            let message = format!("the cassette has version {version}; this program reads version {VERSION}");
            return Err(ErrorKind::Testing(message).into());
        }
        serde_json::from_str(text).map_err(|e| unreadable(&e))
    }

    /// How many calls are recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chats.len() + self.completions.len()
    }

    /// Whether no call is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn at_path(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Testing(format!("the cassette {} {what}: {error}", path.display()))).with_source(error)
}

fn unreadable(error: &serde_json::Error) -> Error {
    ErrorKind::Testing(format!("this is not a cassette: {error}")).into()
}

impl StoredOptions {
    pub(super) fn record(options: &ModelOptions, redactor: &Redactor) -> Self {
        let clean = |mut value: Value| {
            redactor.json(&mut value);
            value
        };
        let values = ModelOption::ALL.into_iter().filter_map(|key| Some((key, clean(options.get(key)?.clone()))));
        let mut extra = options.extra().clone();
        redactor.options(&mut extra);
        Self { values: values.collect(), extra }
    }

    pub(super) fn replay(&self) -> ModelOptions {
        let values: ModelOptions = self.values.iter().map(|(key, value)| (*key, value.clone())).collect();
        values.merged(&self.extra.iter().map(|(key, value)| (key.as_str(), value.clone())).collect())
    }
}

/// A request as it is recorded and compared.
pub(super) fn clean_request(request: &ChatRequest, redactor: &Redactor) -> Result<Value> {
    clean(serde_json::to_value(request), redactor)
}

/// As [`clean_request`].
pub(super) fn clean_raw_request(request: &RawRequest, redactor: &Redactor) -> Result<Value> {
    clean(serde_json::to_value(request), redactor)
}

fn clean(request: serde_json::Result<Value>, redactor: &Redactor) -> Result<Value> {
    let mut request = request.map_err(|e| Error::new(ErrorKind::Testing(format!("the request is not JSON: {e}"))))?;
    let Value::Object(parts) = &mut request else { return Ok(request) };
    for (name, part) in parts {
        match name.as_str() {
            "tools" | "format" => redactor.schema(part),
            "options" => clean_options(part, redactor),
            _ => redactor.json(part),
        }
    }
    Ok(request)
}

/// The common options are typed; what a provider's own hold is not known.
fn clean_options(options: &mut Value, redactor: &Redactor) {
    let Value::Object(options) = options else { return };
    for (name, value) in options {
        match value {
            Value::Object(extra) if name == "extra" => redactor.options(extra),
            value => redactor.json(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_by_number() {
        let text = Cassette::new("p", "m").to_json().unwrap().replace("\"version\": 1", "\"version\": 9");
        let error = Cassette::from_json(&text).unwrap_err();
        assert!(error.to_string().contains("version 9"), "{error}");
        assert!(Cassette::from_json("[]").is_err());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Cassette::load("no/such/cassette.json").unwrap_err();
        assert!(error.to_string().contains("no/such/cassette.json"), "{error}");
    }

    #[test]
    fn default_options_come_back() {
        let options = ModelOptions::new().with(ModelOption::Temperature, 0.5).with("top_p", 0.9).with("api_key", "x");
        let stored = StoredOptions::record(&options, &Redactor::default());
        let again = stored.replay();
        assert_eq!(again.get(ModelOption::Temperature), options.get(ModelOption::Temperature));
        assert_eq!((&again.extra()["top_p"], &again.extra()["api_key"]), (&0.9.into(), &"[redacted]".into()));
    }
}
