#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
#[doc(hidden)]
pub mod bench;
mod builder;
mod complete;
mod dialect;
#[cfg(fuzzing)]
pub mod fuzzing;
mod learned;
mod models;
mod request;
pub mod wire;

pub use backend::OpenAi;
pub use builder::OpenAiBuilder;

pub use dialect::{AuthHeader, CallIds, ContentForm, Dialect, Guidance, SchemaPolicy, SystemRole, ThinkingField, TokenField};
/// What the builder takes: time limits, a retry policy, a key, a `reqwest` client.
pub use mellea_http::{ClientSettings, Retry, Secret, Timeouts, reqwest};
