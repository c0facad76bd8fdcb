#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod bench;
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
mod parity;
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

/// For the benchmarks and the parity suite. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::bench::{MaskBench, MaskState};
    pub use crate::parity::logits;
}
