//! The backend: core's requests to the engine's, the engine's updates to core's events.

mod errors;
mod request;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use mellea_core::{
    Backend, Capabilities, ChatRequest, Event, EventStream, FinishReason, ModelOption, ModelOutput, RawRequest, ToolCall, Usage,
    Warning,
};
use tokio::sync::mpsc;

use crate::builder::HuggingFaceBuilder;
use crate::engine::{EngineHandle, Finish, Stats, Update};
use crate::error::Result;
use crate::generation_config::GenerationDefaults;
use crate::output::Piece;
use crate::template::ChatTemplate;
use crate::tokenizer::TextTokenizer;

/// The name of this provider.
const PROVIDER: &str = "huggingface";
/// Raw completions that are handed to the engine at once.
const RAW_AT_ONCE: usize = 8;

/// Whether the text of a raw completion may spell control tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawPrompts {
    /// All of it is text, whatever it spells.
    #[default]
    Plain,
    /// `<|end_of_text|>` and the like are read as tokens. Use this only for prompts that contain no untrusted text.
    WithControlTokens,
}

/// A model from the Hugging Face hub that runs in this process.
///
/// A handle: clones share the model and its engine. The model's memory is freed when the last one is dropped and the
/// answers in progress have ended.
#[derive(Clone)]
pub struct HuggingFace {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    engine: EngineHandle,
    window: usize,
    tokenizer: Arc<TextTokenizer>,
    template: Option<ChatTemplate>,
    defaults: GenerationDefaults,
    raw_prompts: RawPrompts,
}

impl fmt::Debug for HuggingFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HuggingFace").field("model", &self.shared.name).finish_non_exhaustive()
    }
}

impl HuggingFace {
    /// Loads a model by its id on the hub, or from a directory in hub layout.
    ///
    /// ```no_run
    /// # async fn example() -> mellea_hf::Result<()> {
    /// let model = mellea_hf::HuggingFace::load("ibm-granite/granite-4.0-micro").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`HuggingFaceBuilder::build`].
    pub async fn load(model: impl Into<String>) -> Result<Self> {
        Self::builder(model).build().await
    }

    /// Loads with settings: an id on the hub, or a directory in hub layout.
    pub fn builder(model: impl Into<String>) -> HuggingFaceBuilder {
        HuggingFaceBuilder::new(model.into())
    }

    /// Loads a model whose files are part of the program, by the names they have in a repository.
    pub fn in_memory(name: &str, files: &[(&str, &'static [u8])]) -> HuggingFaceBuilder {
        HuggingFaceBuilder::in_memory(name, files)
    }

    /// Loads the small demonstration model that is part of the program.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use mellea_core::{Backend, ChatRequest, Event, Message};
    /// use mellea_hf::HuggingFace;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> mellea_core::Result<()> {
    /// let model = HuggingFace::pico().await?;
    /// let mut events = model.chat(ChatRequest::new(vec![Message::user("Say hello.")])).await?;
    /// let mut text = String::new();
    /// while let Some(event) = events.next().await {
    ///     if let Event::Text(piece) = event? {
    ///         text.push_str(&piece);
    ///     }
    /// }
    /// assert!(!text.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`HuggingFaceBuilder::build`].
    #[cfg(feature = "pico")]
    #[cfg_attr(docsrs, doc(cfg(feature = "pico")))]
    pub async fn pico() -> Result<Self> {
        // For its small matrices, handing work to other threads costs more than the work.
        Self::in_memory(mellea_pico::NAME, mellea_pico::FILES).threads(1).build().await
    }

    pub(crate) fn new(
        name: &str,
        engine: EngineHandle,
        window: usize,
        tokenizer: Arc<TextTokenizer>,
        template: Option<ChatTemplate>,
        defaults: GenerationDefaults,
        raw_prompts: RawPrompts,
    ) -> Self {
        // A directory's path says more than the name of a model should.
        let path = Path::new(name);
        let last = path.file_name().filter(|_| path.is_dir());
        let name = last.map_or_else(|| name.to_owned(), |last| last.to_string_lossy().into_owned());
        Self { shared: Arc::new(Shared { name, engine, window, tokenizer, template, defaults, raw_prompts }) }
    }

    /// The prompt that the chat template makes of a request, as text.
    ///
    /// # Errors
    /// When the template refuses the conversation, or the model has none.
    pub fn render(&self, request: &ChatRequest) -> Result<String> {
        let prompt = self.shared.prompt(request)?;
        Ok(prompt.text.replace(prompt.mark, ""))
    }

    /// Tokens of a text, control tokens not recognised.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        self.shared.tokenizer.encode_plain(text).map(|tokens| tokens.len())
    }

    async fn raw(&self, request: RawRequest) -> mellea_core::Result<ModelOutput> {
        let start = std::time::Instant::now();
        let updates = self.shared.raw_request(&request).and_then(|request| self.shared.engine.submit(request));
        let mut events = events(updates?);
        let mut output = ModelOutput::default();
        output.provider = PROVIDER.to_owned();
        output.model.clone_from(&self.shared.name);
        while let Some(event) = events.next().await {
            match event? {
                Event::Text(text) => {
                    output.time_to_first_token.get_or_insert_with(|| start.elapsed());
                    output.text.push_str(&text);
                }
                Event::Usage(usage) => output.usage.update(usage),
                Event::Logits(rows) => output.logits.get_or_insert_default().extend(rows),
                Event::Finish(reason) => output.finish = reason,
                _ => {}
            }
        }
        output.latency = start.elapsed();
        Ok(output)
    }
}

#[async_trait]
impl Backend for HuggingFace {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn model(&self) -> &str {
        &self.shared.name
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.context_window = Some(self.shared.window as u64);
        capabilities.json_schema = true;
        capabilities.regex = true;
        capabilities.tools = self.shared.template.as_ref().is_some_and(|template| template.source().contains("tools"));
        capabilities.raw = true;
        capabilities
    }

    fn synonyms(&self) -> &'static [(&'static str, ModelOption)] {
        &[
            ("max_new_tokens", ModelOption::MaxNewTokens),
            ("stop_strings", ModelOption::StopSequences),
            ("temperature", ModelOption::Temperature),
            ("seed", ModelOption::Seed),
        ]
    }

    fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        self.shared.unsupported(request)
    }

    async fn chat(&self, request: ChatRequest) -> mellea_core::Result<EventStream> {
        let place = |error: crate::Error| mellea_core::Error::from(error).at(PROVIDER, &self.shared.name);
        let request = self.shared.chat_request(&request).map_err(place)?;
        Ok(events(self.shared.engine.submit(request).map_err(place)?))
    }

    async fn complete(&self, requests: Vec<RawRequest>) -> Vec<mellea_core::Result<ModelOutput>> {
        let each = |request| async move { self.raw(request).await.map_err(|error| error.at(PROVIDER, &self.shared.name)) };
        stream::iter(requests).map(each).buffered(RAW_AT_ONCE).collect().await
    }
}

/// What the engine reports, as core's events; dropping the stream cancels the request.
fn events(updates: mpsc::UnboundedReceiver<Result<Update>>) -> EventStream {
    let state = (updates, false, false);
    let events = stream::unfold(state, |(mut updates, mut called, ended)| async move {
        if ended {
            return None;
        }
        let (events, ended): (Vec<mellea_core::Result<Event>>, bool) = match updates.recv().await {
            // The engine went away without a last word.
            None => (vec![Err(mellea_core::Error::from(mellea_core::ErrorKind::StreamInterrupted))], true),
            Some(Err(error)) => (vec![Err(error.into())], true),
            Some(Ok(Update::Logits(row))) => (vec![Ok(Event::Logits(vec![row]))], false),
            Some(Ok(Update::Piece(piece))) => {
                called |= matches!(piece, Piece::ToolCall { .. });
                (vec![Ok(event(piece))], false)
            }
            Some(Ok(Update::Finished { reason, stats })) => {
                let reason = match reason {
                    Finish::Length => FinishReason::Length,
                    Finish::Stop if called => FinishReason::ToolCalls,
                    Finish::Stop => FinishReason::Stop,
                };
                (vec![Ok(Event::Usage(usage(stats))), Ok(Event::Finish(reason))], true)
            }
        };
        Some((stream::iter(events), (updates, called, ended)))
    });
    EventStream::new(events.flatten())
}

fn event(piece: Piece) -> Event {
    match piece {
        Piece::Text(text) => Event::Text(text),
        Piece::Thinking(text) => Event::Thinking(text),
        Piece::WasThinking => Event::TextWasThinking,
        Piece::ToolCall { name, arguments } => Event::ToolCall(ToolCall::with_id(request::call_id(), name, arguments)),
    }
}

fn usage(stats: Stats) -> Usage {
    let mut usage = Usage::new(stats.prompt_tokens as u64, stats.completion_tokens as u64);
    usage.cached_tokens = Some(stats.cached_tokens as u64);
    usage
}
