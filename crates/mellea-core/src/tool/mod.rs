//! Tools that a model can call: what they are, how they are described, how they are run.

mod args;
mod checks;
mod error;
mod event;
mod function;
mod known;
mod outcome;
mod parameters;
mod plain;
mod policy;
mod run;
mod set;
mod text;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use crate::message::ToolCall;
pub use args::{ArgumentError, ArgumentPolicy, CheckedArguments, check_arguments};
pub use error::ToolError;
pub use event::ToolEvent;
pub use function::{FunctionTool, tool, tool_fn};
pub use outcome::{ToolOutcome, ToolResult};
pub use policy::{ToolPolicy, ToolVerdict};
pub use set::{Iter, Tools};
pub use text::calls_in_text;

/// What a model is told about a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name it is called by.
    pub name: String,
    /// What it does, and when to use it.
    #[serde(default)]
    pub description: String,
    /// The JSON schema of its arguments, an object schema.
    pub parameters: Value,
}

impl ToolSpec {
    /// A description of a tool; `parameters` is the JSON schema of its arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: impl Into<Value>) -> Self {
        Self { name: name.into(), description: description.into(), parameters: parameters.into() }
    }

    /// The description of a tool that takes no arguments.
    pub fn without_parameters(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self::new(name, description, no_parameters())
    }

    /// The form in which OpenAI and most other providers take it.
    #[must_use]
    pub fn to_openai(&self) -> Value {
        json!({
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": self.parameters,
            },
        })
    }
}

fn no_parameters() -> Value {
    json!({ "type": "object", "properties": Map::new() })
}

/// Something that a model can call.
///
/// Most tools are made from a function with `#[tool]`, [`tool`] or [`tool_fn`]. Implement the trait
/// for a tool whose description is only known at run time.
///
/// A tool is shared: calls run side by side and on several threads, so it takes `&self`. What
/// changes between calls belongs behind a lock, a channel or a pool.
///
/// [`Tools::run`] checks the arguments against [`ToolSpec::parameters`] before it calls the tool,
/// limits the time, and turns a panic into an outcome.
#[async_trait]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "not a tool",
    note = "`#[tool] fn add(…)` adds the function `add_tool`, which makes the tool: pass `add_tool()` instead of `add`",
    note = "closures become tools with `mellea::tool::tool` (async) and `mellea::tool::tool_fn`"
)]
pub trait Tool: Debug + Send + Sync + 'static {
    /// What the model is told about the tool. It must not change.
    fn spec(&self) -> &ToolSpec;

    /// Does the work. The future is dropped when the caller gives up.
    ///
    /// # Errors
    ///
    /// Whatever the model should read about why it did not work.
    async fn call(&self, arguments: Value) -> Result<Value, ToolError>;

    /// How long a call may take; `None` leaves it to the [`ToolPolicy`].
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether a call changes something, so that the order of calls matters. [`Tools::run_all`] runs
    /// such calls one after the other. It must not change. `false` by default.
    fn has_effects(&self) -> bool {
        false
    }

    /// Which of these members of the arguments, given as JSON pointers, the tool takes although its
    /// schema does not name them. Not part of the API.
    #[doc(hidden)]
    fn takes_unnamed(&self, arguments: &Value, unnamed: &[String]) -> Option<String> {
        let _ = (arguments, unnamed);
        None
    }
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: Tool + ?Sized> Tool for $pointer<T> {
            fn spec(&self) -> &ToolSpec {
                (**self).spec()
            }

            async fn call(&self, arguments: Value) -> Result<Value, ToolError> {
                (**self).call(arguments).await
            }

            fn timeout(&self) -> Option<Duration> {
                (**self).timeout()
            }

            fn has_effects(&self) -> bool {
                (**self).has_effects()
            }

            fn takes_unnamed(&self, arguments: &Value, unnamed: &[String]) -> Option<String> {
                (**self).takes_unnamed(arguments, unnamed)
            }
        }
    )*};
}

forward!(Arc, Box);
