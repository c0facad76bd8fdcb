//! From files to a model that can be run: configuration, weights, tokenizer, template and defaults together.

use std::sync::Arc;

use candle_core::Device;
use serde_json::Value;

use crate::config::ModelConfig;
use crate::engine::{Engine, EngineOptions};
use crate::error::Result;
use crate::generation_config::GenerationDefaults;
use crate::hub::files::ModelFiles;
use crate::model::{Decoder, Precision};
use crate::template::{ChatTemplate, Clock};
use crate::tokenizer::TextTokenizer;
use crate::weights::Weights;

/// A model in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) tokenizer: Arc<TextTokenizer>,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) defaults: GenerationDefaults,
}

/// How to load.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadOptions {
    pub(crate) precision: Precision,
    pub(crate) engine: EngineOptions,
    pub(crate) clock: Clock,
    /// A chat template to use instead of the model's own.
    pub(crate) template: Option<String>,
}

/// Reads the small files first, so that what is wrong with them shows before gigabytes are read.
pub(crate) fn load(files: &ModelFiles, options: &LoadOptions) -> Result<Loaded> {
    let config: Value = files.require_json("config.json", "give the directory or the id of a model in hub layout")?;
    let config = ModelConfig::from_json(&config)?;
    let defaults = GenerationDefaults::load(files)?;
    let tokenizer = Arc::new(TextTokenizer::load(files)?);
    let template = match &options.template {
        Some(source) => Some(ChatTemplate::new(&[("default", source)], &options.clock)?),
        None => ChatTemplate::load(files, &options.clock)?,
    };
    let mut weights = Weights::open(files, &Device::Cpu)?;
    let eos = ends(&defaults, &config, &tokenizer);
    tracing::debug!(
        model = files.model(),
        architecture = config.architecture,
        layers = config.layers(),
        hidden = config.hidden,
        vocabulary = config.vocab,
        "loading weights"
    );
    let decoder = Decoder::load(config, &mut weights, options.precision)?;
    let engine = Engine::new(decoder, Arc::clone(&tokenizer), eos, options.engine);
    Ok(Loaded { engine, tokenizer, template, defaults })
}

/// The generation settings come before the configuration; the tokenizer's own end always counts.
fn ends(defaults: &GenerationDefaults, config: &ModelConfig, tokenizer: &TextTokenizer) -> Vec<u32> {
    let mut eos = if defaults.eos.is_empty() { config.eos.clone() } else { defaults.eos.clone() };
    eos.extend(tokenizer.eos());
    eos.sort_unstable();
    eos.dedup();
    eos.retain(|id| usize::try_from(*id).is_ok_and(|id| id < config.vocab));
    eos
}

#[cfg(test)]
pub(crate) mod tests;
