#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod calls;
mod channel;
mod fault;
mod finish;
mod ids;
pub mod json;
mod reader;
mod reasoning;
mod repeat;
mod rules;
mod spoken;
mod system;

pub use answer::Answer;
pub use calls::{CallPiece, ToolCalls};
pub use fault::{Fault, error_in};
pub use finish::Finish;
pub use reader::{Decoder, Reader};
pub use reasoning::{Piece, Splitter, Tags};
pub use rules::Rules;
pub use spoken::{Spoken, SpokenCalls, ToolFormat};

pub use ids::short_id;
pub use system::leading_system;

/// The name of the tool through which an answer that fits a schema is asked for where a wire has no other way.
pub const JSON_TOOL: &str = "json_tool_call";
