//! The tools of a call, in order, each name once.

use std::fmt;
use std::sync::Arc;

use super::{Tool, ToolSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Schema;

/// The tools that a model may call, in order, each name once.
///
/// A clone costs a reference count. Collecting an iterator keeps the later of two tools with the
/// same name, in the place of the earlier; [`try_insert`](Self::try_insert) refuses the second.
///
/// ```
/// use mellea_core::tool::{ToolCall, ToolPolicy, Tools, tool_fn};
/// use serde_json::json;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Pair {
///     a: i64,
///     b: i64,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let mut tools = Tools::new();
/// tools.try_insert(tool_fn("add", "Add two numbers.", |pair: Pair| Ok(pair.a + pair.b)))?;
///
/// let call = ToolCall::new("add", json!({ "a": 2, "b": "3" }));
/// let result = tools.run(&call, &ToolPolicy::default()).await;
/// assert_eq!(result.outcome.to_model_text(), "5");
///
/// let result = tools.run(&ToolCall::new("sub", json!({})), &ToolPolicy::default()).await;
/// assert_eq!(
///     result.outcome.to_model_text(),
///     "error: there is no tool \"sub\"; there are: add"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Tools(Arc<Vec<Entry>>);

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) tool: Arc<dyn Tool>,
    /// `None` if the parameters are not a schema at all.
    pub(super) schema: Option<Schema>,
}

impl Entry {
    fn new(tool: Arc<dyn Tool>) -> Self {
        let schema = Schema::from_value_partial(tool.spec().parameters.clone());
        let schema = schema.map(|(schema, unchecked)| {
            for rule in unchecked {
                tracing::debug!(tool = tool.spec().name, %rule, "a rule for arguments is not checked");
            }
            schema
        });
        if let Err(error) = &schema {
            tracing::debug!(tool = tool.spec().name, %error, "arguments are not checked");
        }
        Self { tool, schema: schema.ok() }
    }
}

impl Tools {
    /// No tools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is a tool of this name, or the name is empty.
    pub fn try_insert(&mut self, tool: impl Tool) -> Result<()> {
        let name = &tool.spec().name;
        let problem = match name.as_str() {
            "" => "a tool has no name".to_owned(),
            _ if self.get(name).is_some() => format!("there are two tools named `{name}`"),
            _ => {
                Arc::make_mut(&mut self.0).push(Entry::new(Arc::new(tool)));
                return Ok(());
            }
        };
        Err(Error::new(ErrorKind::Config(problem)))
    }

    /// With a tool; one of the same name gives way to it.
    #[must_use]
    pub fn with(mut self, tool: impl Tool) -> Self {
        self.extend([tool]);
        self
    }

    /// With the tools of another set; those of the same name give way to them.
    #[must_use]
    pub fn merged(mut self, over: &Self) -> Self {
        if self.is_empty() {
            return over.clone();
        }
        if !over.is_empty() {
            let entries = Arc::make_mut(&mut self.0);
            entries.retain(|entry| over.get(&entry.tool.spec().name).is_none());
            entries.extend(over.0.iter().cloned());
        }
        self
    }

    /// The tools, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.0.iter().map(|entry| &entry.tool)
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.entry(name).map(|entry| &entry.tool)
    }

    /// What the model is told, in order.
    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.iter().map(|tool| tool.spec())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs().map(|spec| spec.name.as_str())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.tool.spec().name == name)
    }
}

impl<T: Tool> Extend<T> for Tools {
    /// Adds tools; one with the name of an earlier one takes its place.
    fn extend<I: IntoIterator<Item = T>>(&mut self, tools: I) {
        let list = Arc::make_mut(&mut self.0);
        for tool in tools {
            let entry = Entry::new(Arc::new(tool));
            let name = &entry.tool.spec().name;
            match list.iter_mut().find(|earlier| earlier.tool.spec().name == *name) {
                Some(earlier) => *earlier = entry,
                None => list.push(entry),
            }
        }
    }
}

impl<T: Tool> FromIterator<T> for Tools {
    fn from_iter<I: IntoIterator<Item = T>>(tools: I) -> Self {
        let mut out = Self::new();
        out.extend(tools);
        out
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
