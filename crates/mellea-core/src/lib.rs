#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod join;
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
pub mod stream_check;
mod telemetry;
pub mod testing;
pub mod text;
pub mod thunk;
pub mod time;
pub mod tool;

pub use backend::{
    Backend, BackendExt, Cached, Capabilities, ChatRequest, Event, EventStream, Fallback, Format, Limited, RawRequest, RoundRobin,
};
pub use component::{
    Answer, Arg, Component, DynComponent, Instruction, Part, Query, Queryable, Refusal, Representation, Resume, SimpleComponent,
    Transform, Typed,
};
pub use content::{Audio, Content, Image, TextBlock};
pub use context::{ChatContext, Context, ContextPolicy, Entry, SimpleContext};
pub use error::{Error, ErrorKind, ProviderError, Result, TimeoutPhase};
pub use join::{join_all, try_join_all};
pub use limit::Limiter;
pub use message::{Document, Message, Messages, Role, ToolCall};
pub use model::{ModelIdentifier, ModelRef};
pub use options::{ModelOption, ModelOptions, OptionKey, OptionValue, RequestOptions, Thinking, ToolChoice};
pub use output::{FinishReason, ModelOutput, TokenLogprob, Usage, Warning};
pub use prompt::Prompts;
pub use requirement::{
    Candidate, IntoRequirement, IntoValidation, Judgement, Outcome, Requirement, ValidationResult, Validator, ValueRequirement,
    Verdict, check, ensure, req,
};
pub use sampling::{
    Attempt, Budget, MultiTurn, Next, Output, Progress, RejectionSampling, RepairTemplate, SamplingResult, SamplingStrategy,
    StopReason, ToolRound,
};
pub use schema::Schema;
pub use session::{
    Act, Bare, Complete, Generative, Instruct, OutputStream, Session, SessionBuilder, TransformCall, Transformed, Validatable,
    Validate, ValidateTyped, ValidateValue, Whole,
};
pub use stream_check::{StreamCheck, StreamVerdict};
pub use thunk::{Computed, Delta, DeltaStream, Thunk};
pub use tool::{Tool, ToolError, ToolOutcome, ToolPolicy, ToolResult, ToolSpec, Tools};

/// What the macros' expansions name. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use crate::expansion::{Answer, Returned, ReturnedError, ReturnedResult, ReturnedText, ReturnedValue, TypedAnswer};
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
