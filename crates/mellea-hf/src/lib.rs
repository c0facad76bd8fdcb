//! mellea-hf
#![allow(dead_code)]

mod config;
mod detokenize;
mod engine;
mod error;
mod generation_config;
mod grammar;
mod hub;
mod load;
mod model;
mod output;
mod sampler;
mod shield;
mod template;
mod tokenizer;
mod weights;

pub use config::SUPPORTED_ARCHITECTURES;
pub use error::{Error, ErrorKind, Result};
pub use model::Precision;
pub use template::Clock;
