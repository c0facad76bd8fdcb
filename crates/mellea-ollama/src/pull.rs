//! Pulling a model.

use mellea_core::{Error, ErrorKind, Result};
use mellea_http::{Frames, LineFramer};
use serde_json::json;

use crate::backend::Ollama;
use crate::progress::{Layers, PullProgress};
use crate::wire::PullLine;

/// When [`connect`](crate::OllamaBuilder::connect) pulls the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// Never: a missing model is an error.
    Never,
    /// If the server does not have it.
    #[default]
    IfMissing,
    /// Each time, to have the newest version.
    Always,
}

impl Ollama {
    /// Pulls the model from its registry. Progress goes to
    /// [`on_progress`](crate::OllamaBuilder::on_progress) and
    /// [`progress_bar`](crate::OllamaBuilder::progress_bar). Dropping the future stops the pull; what has
    /// arrived is kept, and the next pull continues from it.
    ///
    /// # Errors
    /// [`ErrorKind::ModelNotFound`] if the registry does not have it, and whatever else the server
    /// says. A pull that ends without success is an error.
    pub async fn pull(&self) -> Result<()> {
        let model = &self.settings().model;
        let body = json!({ "model": model, "stream": true });
        let request = self.client().post("api/pull").model(model).json(&body)?;
        let frames = self.client().open(request, async |response| response.ndjson()).await;
        let frames = frames.map_err(|error| match error.kind() {
            ErrorKind::Provider(_) => self.failed(error),
            _ => self.explain(error),
        })?;
        self.follow(frames).await
    }

    async fn follow(&self, mut frames: Frames<LineFramer>) -> Result<()> {
        let model = &self.settings().model;
        let mut layers = Layers::default();
        while let Some(line) = frames.next().await {
            let line = line.map_err(|e| self.explain(e))?;
            let line: PullLine<'_> = frames.json(&line)?;
            if let Some(error) = line.error.filter(|e| !e.is_null()) {
                return Err(self.failed(frames.place().refused(&json!({ "error": error }))));
            }
            let (completed, total) = layers.take(&line.digest, line.total, line.completed);
            let progress = PullProgress {
                status: line.status.into_owned(),
                digest: (!line.digest.is_empty()).then(|| line.digest.into_owned()),
                completed,
                total,
            };
            tracing::debug!(target: "mellea::ollama", model, status = progress.status, completed, total, "pull");
            for listener in &self.settings().listeners {
                (listener.0)(&progress);
            }
            if progress.status == "success" {
                return Ok(());
            }
        }
        Err(frames
            .place()
            .interrupted()
            .with_hint(format!("the pull ended without success: try again, or `ollama pull {model}`")))
    }

    fn failed(&self, error: Error) -> Error {
        let model = &self.settings().model;
        let words = error.response().map(|said| said.message.to_lowercase()).unwrap_or_default();
        if ["file does not exist", "not found", "invalid model name"].iter().any(|w| words.contains(w)) {
            let missing = Error::from(ErrorKind::ModelNotFound(model.clone())).at("ollama", model);
            let missing = match error.response() {
                Some(said) => missing.with_response(said.clone()),
                None => missing,
            };
            return missing.with_hint("the registry does not have it: check the name at https://ollama.com/library");
        }
        error.with_hint(format!("the pull failed: `ollama pull {model}` tries it by hand"))
    }
}
