//! A door for suites that compare the decoder with another implementation; not part of the API.

use std::path::Path;

use candle_core::Device;
use serde_json::Value;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::hub::files::ModelFiles;
use crate::model::{Decoder, Positions, Precision, Row};
use crate::weights::Weights;

/// The logits of every position, for a checkpoint that need not have a tokenizer.
pub fn logits(directory: &Path, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
    let files = ModelFiles::in_directory(directory)?;
    let config: Value = files.require_json("config.json", "")?;
    let mut weights = Weights::open(&files, &Device::Cpu)?;
    let decoder = Decoder::load(ModelConfig::from_json(&config)?, &mut weights, Precision::F32)?;
    let mut cache = decoder.new_cache();
    let rows = decoder.forward(&mut [Row { tokens, cache: &mut cache }], Positions::All)?;
    let row = rows.first().ok_or_else(|| Error::tokenizer("there are no tokens"))?;
    row.to_vec2().map_err(Error::tokenizer)
}
