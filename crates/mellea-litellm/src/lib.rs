#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod builder;
mod dialect;
mod env;
mod exchange;
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere"))]
mod families;
mod form;
mod keys;
mod litellm_options;
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "vertex", feature = "bedrock", feature = "cohere"))]
mod native;
mod native_provider;
#[cfg(feature = "ollama")]
mod ollama;
mod openai;
mod registry;
mod route;
mod settings;
mod template;
#[cfg(feature = "watsonx")]
mod watsonx;

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
