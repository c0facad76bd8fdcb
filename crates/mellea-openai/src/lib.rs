#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
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

pub use dialect::{AuthHeader, ContentForm, Dialect, Guidance, SchemaPolicy, SystemRole, ThinkingField, TokenField};
/// What the builder takes: limits of time, a policy of retries, a key, a ready client.
pub use mellea_http::{ClientSettings, Retry, Secret, Timeouts, reqwest};
