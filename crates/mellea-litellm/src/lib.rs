#![doc = include_str!("../README.md")]

mod backend;
mod builder;
mod control;
mod dialect;
mod env;
mod exchange;
mod families;
mod form;
mod keys;
mod native;
mod openai;
mod registry;
mod route;
#[cfg(any(feature = "ollama", feature = "watsonx"))]
mod siblings;
mod template;

pub use backend::LiteLlm;
pub use builder::LiteLlmBuilder;
pub use registry::{
    Content, Counts, DeclaredIn, Form, Key, Kind, OAuth, Provider, Reasoning, Registry, ResponseFormat, TokenField, Var,
    Verified, counts, supported_providers,
};
