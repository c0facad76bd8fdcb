#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod builder;
mod control;
mod dialect;
mod env;
mod exchange;
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere"))]
mod families;
mod form;
mod keys;
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere"))]
mod native;
mod openai;
mod own_wire;
mod registry;
mod route;
#[cfg(any(feature = "ollama", feature = "watsonx"))]
mod siblings;
mod template;

pub use backend::LiteLlm;
pub use builder::LiteLlmBuilder;

/// What the builder takes: time limits, a retry policy, a key, a `reqwest` client.
pub use mellea_http::{ClientSettings, Retry, Secret, Timeouts, reqwest};
#[cfg(all(fuzzing, any(feature = "anthropic", feature = "gemini", feature = "bedrock", feature = "cohere")))]
pub use native::fuzzing;
pub use registry::{
    Content, Counts, DeclaredIn, Form, Key, Kind, OAuth, Provider, Reasoning, Registry, ResponseFormat, TokenField, Var,
    Verified, counts, supported_providers,
};
