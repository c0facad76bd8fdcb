//! Tools that a model can call.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call of a tool, as a model asks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The call's id, unique in its conversation.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: an object, or a string with what the model wrote if that is no JSON.
    pub arguments: Value,
}
