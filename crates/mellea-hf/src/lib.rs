//! mellea-hf
#![allow(dead_code)]

mod backend;
mod builder;
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

pub use backend::{HuggingFace, RawPrompts};
pub use builder::HuggingFaceBuilder;
pub use config::SUPPORTED_ARCHITECTURES;
pub use error::{Error, ErrorKind, Result};
pub use hub::Download;
pub use model::Precision;
pub use template::Clock;
