#![doc = include_str!("../README.md")]

#[expect(unused_extern_crates, reason = "the macros name this crate as its users do")]
extern crate self as mellea;

mod backends;
mod start;

pub use mellea_core::*;
#[doc(inline)]
pub use mellea_macros::{generative, tool};

#[cfg(feature = "hf")]
pub use mellea_hf::HuggingFace;
#[cfg(feature = "litellm")]
#[doc(inline)]
pub use mellea_litellm::{self as litellm, LiteLlm};
#[cfg(feature = "ollama")]
#[doc(inline)]
pub use mellea_ollama::{self as ollama, Ollama};
#[cfg(feature = "openai")]
#[doc(inline)]
pub use mellea_openai::{self as openai, OpenAi};
#[cfg(feature = "watsonx")]
#[doc(inline)]
pub use mellea_watsonx::{self as watsonx, WatsonX};

pub use start::{StartSession, start_session};

#[doc(hidden)]
pub use mellea_core::__private;

/// Everything that most programs need: `use mellea::prelude::*;`.
///
/// Types that a model answers with derive `Deserialize` and `JsonSchema`; for that a program needs
/// `serde` and `schemars` among its own dependencies.
pub mod prelude {
    pub use crate::{
        ChatContext, Component, Document, Error, ErrorKind, Message, ModelOption, ModelOptions, MultiTurn, Output,
        RejectionSampling, RepairTemplate, Requirement, Session, SimpleContext, Tools, ValidationResult, check, generative, req,
        start_session, tool,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// The documents' code is compiled and run with the tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/migrating-from-python.md")]
    mod migrating {}
}
