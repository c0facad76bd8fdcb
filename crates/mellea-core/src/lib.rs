//! The core of Mellea: sessions, components, requirements, sampling, and the backend trait.

pub mod error;
pub mod output;
pub mod schema;
pub mod tool;

pub use error::{Error, ErrorKind, Result};
pub use output::{FinishReason, ModelOutput, Usage, Warning};
pub use schema::{Parsed, Schema};
pub use tool::{Tool, ToolCall, Tools};

/// Scripted backends (filled later).
pub mod testing {
    /// Refuses real calls.
    pub fn forbid_real_calls() {}
}
/// Option keys (filled later).
#[derive(Debug)]
pub enum ModelOption { /// .
    RawLogits, /// .
    Logits }
/// Builder (filled later).
#[derive(Debug)]
pub struct SessionBuilder;
impl SessionBuilder { /// .
    pub fn strict(&self) {} }
