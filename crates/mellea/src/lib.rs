#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[expect(unused_extern_crates, reason = "the macros name this crate as its users do")]
extern crate self as mellea;

mod backends;
mod start;

// The modules of the core. The root names what most programs need; everything else is in its module.
#[doc(inline)]
pub use mellea_core::{
    backend, blocking, component, content, context, error, functional, limit, message, model, options, output, prompt, redact,
    requirement, sampling, schema, session, stream_check, testing, text, thunk, time, tool,
};

// Sessions and what their calls give.
pub use mellea_core::{
    Delta, Error, ErrorKind, ModelOutput, Output, Result, Session, SessionBuilder, Thunk, join_all, try_join_all,
};
// What a call is made of.
pub use mellea_core::{
    Answer, Component, Document, Message, ModelOption, ModelOptions, Prompts, Queryable, Representation, Role, Schema, Tool,
    ToolError, Tools,
};
// What must hold, and how often to try.
pub use mellea_core::{
    Attempt, MultiTurn, RejectionSampling, RepairTemplate, Requirement, SamplingResult, SamplingStrategy, StreamCheck,
    StreamVerdict, ValidationResult, check, ensure, req,
};
// What a session remembers, and who answers.
pub use mellea_core::{Backend, BackendExt, ChatContext, Context, SimpleContext};

// Returned by expansions of `#[generative]`.
pub use mellea_core::Generative;
#[doc(inline)]
pub use mellea_macros::{generative, tool};

// The macro that runs the suite of `testing::conformance`.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use mellea_core::backend_conformance;

#[cfg(feature = "hf")]
#[cfg_attr(docsrs, doc(cfg(feature = "hf")))]
#[doc(inline)]
pub use mellea_hf::{self as hf, HuggingFace};
#[cfg(feature = "litellm")]
#[cfg_attr(docsrs, doc(cfg(feature = "litellm")))]
#[doc(inline)]
pub use mellea_litellm::{self as litellm, LiteLlm};
#[cfg(feature = "ollama")]
#[cfg_attr(docsrs, doc(cfg(feature = "ollama")))]
#[doc(inline)]
pub use mellea_ollama::{self as ollama, Ollama};
#[cfg(feature = "openai")]
#[cfg_attr(docsrs, doc(cfg(feature = "openai")))]
#[doc(inline)]
pub use mellea_openai::{self as openai, OpenAi};
#[cfg(feature = "watsonx")]
#[cfg_attr(docsrs, doc(cfg(feature = "watsonx")))]
#[doc(inline)]
pub use mellea_watsonx::{self as watsonx, WatsonX};

pub use start::{StartSession, start_session};

#[doc(hidden)]
pub use mellea_core::__private;

/// Everything that most programs need: `use mellea::prelude::*;`.
///
/// A type that a model answers with derives `Deserialize` and `JsonSchema`. The derives need `serde` and
/// `schemars` among the program's own dependencies.
///
/// No method of its traits hides one of the standard library:
///
/// ```
/// use mellea::prelude::*;
///
/// let answer = String::from("42");
/// assert_eq!(answer.parse::<u32>(), Ok(42));
/// assert_eq!("42".parse::<u32>(), Ok(42));
/// ```
pub mod prelude {
    pub use crate::{
        ChatContext, Component, Document, Error, ErrorKind, Message, ModelOption, ModelOptions, MultiTurn, Output,
        RejectionSampling, RepairTemplate, Requirement, Session, SimpleContext, Tools, ValidationResult, check, ensure,
        generative, join_all, req, start_session, tool, try_join_all,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// The code in the documents is compiled and run with the tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/migrating-from-python.md")]
    mod migrating {}
    #[doc = include_str!("../../mellea-macros/README.md")]
    mod macros {}
}
