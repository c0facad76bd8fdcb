#![doc = include_str!("../README.md")]

mod backend;
mod builder;
mod control;
mod dialect;
mod env;
mod families;
mod form;
mod keys;
mod native;
mod openai;
mod registry;
mod route;
mod template;

pub use backend::LiteLlm;
pub use builder::LiteLlmBuilder;
pub use registry::{
    Content, Counts, DeclaredIn, Form, Key, Kind, Provider, Reasoning, Registry, ResponseFormat, TokenField, Var, Verified,
    counts, supported_providers,
};
