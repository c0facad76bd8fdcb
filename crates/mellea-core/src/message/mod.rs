//! Chat messages: what a request and a context are made of.

mod call;
mod document;
mod list;
mod sequence;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::Content;

pub use call::ToolCall;
pub use document::Document;
pub use list::{Iter, Messages};

pub(crate) use call::as_object;
pub(crate) use sequence::Sequence;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The program, setting the scene.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool.
    Tool,
}

impl Role {
    /// The role's name on the wire of most providers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One message of a conversation.
///
/// ```
/// use mellea_core::{Document, Message};
///
/// let message = Message::user("What does the report say?").document(Document::new("All is well.").title("Report"));
/// assert_eq!(message.text(), "What does the report say?");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Text, images and audio, in order.
    #[serde(default)]
    pub content: Vec<Content>,
    /// Documents that belong to the message. They are rendered after the text, so the messages of a
    /// [`ChatRequest`](crate::ChatRequest) have none left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<Document>,
    /// An assistant's reasoning. It is kept only on messages that call tools: only there do
    /// providers want it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Of an assistant's message that calls tools: what its provider wants back with it, see
    /// [`ModelOutput::replay`](crate::ModelOutput::replay).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Arc<Value>>,
    /// An assistant's tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: the call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Of a tool's message: the tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
}

impl Message {
    /// A message of this role.
    pub fn new(role: Role, content: impl Into<Content>) -> Self {
        Self {
            role,
            content: vec![content.into()],
            documents: Vec::new(),
            thinking: None,
            replay: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            tool_name: None,
        }
    }

    /// A system message.
    pub fn system(content: impl Into<Content>) -> Self {
        Self::new(Role::System, content)
    }

    /// A user's message.
    pub fn user(content: impl Into<Content>) -> Self {
        Self::new(Role::User, content)
    }

    /// An assistant's message.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// The answer of a tool to a call.
    pub fn tool(call: &ToolCall, content: impl Into<Content>) -> Self {
        Self { tool_call_id: Some(call.id.clone()), tool_name: Some(call.name.clone()), ..Self::new(Role::Tool, content) }
    }

    /// With another block of content after those it has.
    #[must_use]
    pub fn content(mut self, content: impl Into<Content>) -> Self {
        self.content.push(content.into());
        self
    }

    /// With a document.
    #[must_use]
    pub fn document(mut self, document: impl Into<Document>) -> Self {
        self.documents.push(document.into());
        self
    }

    /// All text of the message; blocks are joined by a newline.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        let mut texts = self.content.iter().filter_map(Content::as_text);
        let first = texts.next().unwrap_or_default();
        match texts.next() {
            None => Cow::Borrowed(first),
            Some(second) => {
                let mut all = format!("{first}\n{second}");
                for more in texts {
                    all.push('\n');
                    all.push_str(more);
                }
                Cow::Owned(all)
            }
        }
    }

    /// Whether it carries nothing that a model could read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tool_calls.is_empty()
            && self.documents.is_empty()
            && self.content.iter().all(|c| c.as_text().is_some_and(|t| t.trim().is_empty()))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::user(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::user(text)
    }
}
