#![doc = include_str!("../README.md")]

#[expect(unused_extern_crates, reason = "the macros name this crate as its users do")]
extern crate self as mellea_core;

pub mod backend;
pub mod blocking;
pub mod component;
pub mod content;
pub mod context;
pub mod error;
mod expansion;
pub mod functional;
mod generate;
pub mod limit;
pub mod message;
pub mod model;
pub mod options;
pub mod output;
pub mod prompt;
pub mod redact;
pub mod requirement;
pub mod sampling;
pub mod schema;
pub mod session;
mod telemetry;
pub mod testing;
pub mod thunk;
pub mod time;
pub mod tool;

pub use backend::{
    Backend, BackendExt, Cached, Capabilities, ChatRequest, Event, EventStream, Fallback, Format, Limited, RawRequest, RoundRobin,
};
pub use component::{Component, Document, DynComponent, Instruction, Query, Queryable, Resume, SimpleComponent, Transform};
pub use content::{Audio, Content, Image, TextBlock};
pub use context::{ChatContext, Context, Entry, SimpleContext};
pub use error::{Error, ErrorKind, ProviderError, Result, TimeoutPhase};
pub use limit::Limiter;
pub use message::{Message, Role};
pub use model::{ModelIdentifier, ModelRef};
pub use options::{ModelOption, ModelOptions, OptionKey, OptionValue, RequestOptions, Thinking, ToolChoice};
pub use output::{FinishReason, ModelOutput, TokenLogprob, Usage, Warning};
pub use prompt::{Arg, Part, Prompts, Representation};
pub use requirement::{
    Candidate, IntoValidation, Judgement, Outcome, Requirement, ValidationResult, Validator, Verdict, check, req,
};
pub use sampling::{
    Attempt, Budget, MultiTurn, Next, Output, RejectionSampling, RepairTemplate, SamplingResult, SamplingStrategy, StopReason,
};
pub use schema::Schema;
pub use session::{
    Act, Bare, Complete, Generative, Instruct, OutputStream, Session, SessionBuilder, TransformCall, Transformed, Validate, Whole,
};
pub use thunk::{Delta, DeltaStream, Thunk};
pub use tool::{Tool, ToolCall, ToolError, ToolOutcome, ToolPolicy, ToolResult, ToolSpec, Tools};

/// What the macros' expansions name. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::expansion::{Answer, Returned, ReturnedError, ReturnedResult, ReturnedText, ReturnedValue, TypedAnswer};
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
