//! How an answer is to be read.

use std::sync::Arc;

use crate::{Tags, ToolFormat};

/// How an answer is to be read: what the request asked for, and what the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// The tags that set reasoning apart within the text; none leave it as it is.
    pub tags: Tags,
    /// Whether the prompt has already opened the reasoning, so that the answer begins within it.
    pub thinking_open: bool,
    /// The tools that were offered. A call of one of them that is written as text is a call; without any, text is text.
    pub tools: Arc<[String]>,
    /// The form in which the model writes calls, where it is known; otherwise all forms are.
    pub tool_format: Option<ToolFormat>,
    /// Whether an object alone, such as `{"name": …, "arguments": …}`, may be a call; not where JSON is the answer.
    pub bare_calls: bool,
    /// Whether a call of [`JSON_TOOL`](crate::JSON_TOOL) is the answer's text.
    pub json_tool: bool,
    /// Whether the end of the body is the end of the answer, if nothing else says so.
    pub end_of_body: bool,
    /// Whether pieces that cannot be read are left out, with a warning, instead of being an error.
    pub skip_unreadable: bool,
}

impl Rules {
    /// Reasoning is set apart, calls that are written as text are left unchanged, and what cannot be read is an error.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tags: Tags::default(),
            thinking_open: false,
            tools: Arc::default(),
            tool_format: None,
            bare_calls: true,
            json_tool: false,
            end_of_body: false,
            skip_unreadable: false,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}
