//! What there is to see while tools run.

use super::{ToolCall, ToolResult};

/// Something that happens while calls are carried out, see [`Tools::run_all_with`](super::Tools::run_all_with).
///
/// Every call starts once and ends once, also one that is refused and never reaches its tool.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ToolEvent {
    /// A call is taken up: it is checked, approved and run now.
    #[non_exhaustive]
    Started {
        /// The call, as the model made it.
        call: ToolCall,
    },
    /// A call has ended.
    #[non_exhaustive]
    Ended {
        /// The call and what became of it.
        result: ToolResult,
    },
}

impl ToolEvent {
    /// The call that it is about.
    #[must_use]
    pub fn call(&self) -> &ToolCall {
        match self {
            Self::Started { call } => call,
            Self::Ended { result } => &result.call,
        }
    }
}
