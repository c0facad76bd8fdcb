//! How a model is loaded: where from, how precisely, for how many requests at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{HuggingFace, RawPrompts};
use crate::engine::EngineHandle;
use crate::error::{Error, ErrorKind, Result};
use crate::hub::files::ModelFiles;
use crate::hub::{self, Download, HubSettings, OnProgress, Repository, Token};
use crate::load::{LoadOptions, load};
use crate::model::Precision;
use crate::template::Clock;

#[derive(Clone)]
enum Source {
    Named(String),
    Memory { name: String, files: Vec<(String, &'static [u8])> },
}

/// Loads a model; made by [`HuggingFace::builder`].
///
/// ```no_run
/// # async fn example() -> mellea_hf::Result<()> {
/// use mellea_hf::{HuggingFace, Precision};
///
/// let model = HuggingFace::builder("ibm-granite/granite-4.0-micro")
///     .revision("main")
///     .precision(Precision::Q8)
///     .on_download(|file| println!("{}: {} of {}", file.file, file.received, file.total))
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct HuggingFaceBuilder {
    source: Source,
    revision: Option<String>,
    offline: Option<bool>,
    token: Option<Token>,
    cache: Option<PathBuf>,
    endpoint: Option<String>,
    threads: Option<usize>,
    raw_prompts: RawPrompts,
    progress: Option<OnProgress>,
    options: LoadOptions,
}

impl std::fmt::Debug for HuggingFaceBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = match &self.source {
            Source::Named(name) | Source::Memory { name, .. } => name,
        };
        f.debug_struct("HuggingFaceBuilder")
            .field("model", model)
            .field("revision", &self.revision)
            .field("offline", &self.offline)
            .field("token", &self.token)
            .field("cache", &self.cache)
            .field("threads", &self.threads)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl HuggingFaceBuilder {
    pub(crate) fn new(model: String) -> Self {
        Self::from_source(Source::Named(model))
    }

    pub(crate) fn in_memory(name: &str, files: &[(&str, &'static [u8])]) -> Self {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect();
        Self::from_source(Source::Memory { name: name.to_owned(), files })
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            revision: None,
            offline: None,
            token: None,
            cache: None,
            endpoint: None,
            threads: None,
            raw_prompts: RawPrompts::default(),
            progress: None,
            options: LoadOptions::default(),
        }
    }

    /// A branch, a tag or a commit; default `main`. A commit that is in the cache needs no network.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// `true` opens no connection, `false` allows it even if `HF_HUB_OFFLINE` is set.
    pub fn offline(mut self, offline: bool) -> Self {
        self.offline = Some(offline);
        self
    }

    /// The access token; default `HF_TOKEN` or the file that `hf auth login` writes.
    pub fn token(mut self, token: impl AsRef<str>) -> Self {
        self.token = Token::new(token.as_ref());
        self
    }

    /// The cache directory; default `HF_HUB_CACHE` or `HF_HOME/hub`, shared with Python.
    pub fn cache_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// The hub's address; default `HF_ENDPOINT` or `https://huggingface.co`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Threads for the arithmetic; default all cores. Small models are faster with one.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// How the matrices are held; default [`Precision::F32`].
    pub fn precision(mut self, precision: Precision) -> Self {
        self.options.precision = precision;
        self
    }

    /// Requests that may wait before one more is refused as busy; default 64.
    pub fn queue(mut self, requests: usize) -> Self {
        self.options.engine.queue = requests;
        self
    }

    /// Requests that are served in turn; default 8.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.options.engine.active = requests;
        self
    }

    /// Bytes of computed prompts that are kept for requests that begin alike; default 256 MiB, zero for none.
    pub fn prefix_cache_bytes(mut self, bytes: usize) -> Self {
        self.options.engine.prefix_bytes = bytes;
        self
    }

    /// The clock that chat templates read; default the system's, as UTC.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// A chat template to use instead of the model's own.
    pub fn chat_template(mut self, source: impl Into<String>) -> Self {
        self.options.template = Some(source.into());
        self
    }

    /// Whether texts given to raw completion may spell control tokens; default [`RawPrompts::Plain`].
    pub fn raw_prompts(mut self, raw_prompts: RawPrompts) -> Self {
        self.raw_prompts = raw_prompts;
        self
    }

    /// Called while files are downloaded, from another thread.
    pub fn on_download(mut self, report: impl Fn(&Download) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(report));
        self
    }

    /// Finds, reads and checks the files and starts the engine.
    ///
    /// # Errors
    /// When the model cannot be found or fetched, is of an architecture that is not supported, or one of its
    /// files is missing or damaged; the error names the file and what to do.
    pub async fn build(self) -> Result<HuggingFace> {
        let work = tokio::task::spawn_blocking(move || self.build_here());
        work.await.unwrap_or_else(|error| Err(ErrorKind::Compute { source: Box::new(error) }.into()))
    }

    fn build_here(self) -> Result<HuggingFace> {
        let files = self.files()?;
        if cfg!(debug_assertions) && matches!(self.source, Source::Named(_)) {
            tracing::warn!("a debug build computes slowly; use --release, or optimise candle-core in the dev profile");
        }
        let name = match &self.source {
            Source::Named(name) | Source::Memory { name, .. } => name.clone(),
        };
        let pool = self.threads.map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build());
        let pool = pool.transpose().map_err(|error| ErrorKind::Compute { source: Box::new(error) })?;
        let loaded = match &pool {
            Some(pool) => pool.install(|| load(&files, &self.options))?,
            None => load(&files, &self.options)?,
        };
        let window = loaded.engine.decoder.config().max_positions;
        let engine = EngineHandle::start(loaded.engine, pool)?;
        Ok(HuggingFace::new(&name, engine, window, loaded.tokenizer, loaded.template, loaded.defaults, self.raw_prompts))
    }

    fn files(&self) -> Result<ModelFiles> {
        let name = match &self.source {
            Source::Memory { name, files } => {
                let files: Vec<(&str, &'static [u8])> = files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
                return Ok(ModelFiles::in_memory(name, &files));
            }
            Source::Named(name) => name,
        };
        let path = Path::new(name);
        if path.is_dir() {
            return ModelFiles::in_directory(path);
        }
        if path.is_absolute() || name.starts_with('.') || name.starts_with('~') {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no such directory");
            return Err(Error::from(ErrorKind::Io { path: path.to_owned(), source }));
        }
        let mut settings = HubSettings::from_env();
        if let Some(cache) = &self.cache {
            settings.cache.clone_from(cache);
        }
        if let Some(endpoint) = &self.endpoint {
            settings.endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        if self.token.is_some() {
            settings.token.clone_from(&self.token);
        }
        match self.offline {
            Some(true) => settings.offline = Some("the builder says offline"),
            Some(false) => settings.offline = None,
            None => {}
        }
        hub::fetch(&Repository::new(name, self.revision.as_deref())?, &settings, self.progress.clone())
    }
}
