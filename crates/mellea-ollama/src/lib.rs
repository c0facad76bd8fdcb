#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod builder;
mod error;
mod estimate;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod manage;
mod options;
mod progress;
mod pull;
mod raw;
mod request;
mod stream;
mod watch;
pub mod wire;

pub use backend::Ollama;
pub use builder::{OllamaBuilder, Truncation};
pub use host::{DEFAULT_HOST, address};
pub use options::{KNOWN_OPTIONS, TOP_LEVEL};
pub use progress::PullProgress;
pub use pull::Pull;
pub use stream::Decoder;
pub use wire::{LocalModel, ModelInfo, RunningModel};

/// What the builder takes: time limits, a retry policy, a key, a `reqwest` client.
pub use mellea_http::{ClientSettings, Retry, Secret, Timeouts, reqwest};
