//! The tools of a call, in order, each name once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::checks::Checks;
use super::{ArgumentPolicy, Tool, ToolOutcome, ToolSpec, plain};
use crate::error::{Error, Result};

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
pub struct Tools(Option<Arc<Vec<Entry>>>);

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) tool: Arc<dyn Tool>,
    pub(super) effects: bool,
    /// Made when they are first needed: most tools of most requests are never called.
    checks: Arc<OnceLock<Checks>>,
    /// Why nobody can check its arguments, if so.
    problem: Option<&'static str>,
}

impl Entry {
    fn new(tool: Arc<dyn Tool>) -> Self {
        Self { effects: tool.has_effects(), problem: too_large(&tool.spec().parameters), tool, checks: Arc::default() }
    }

    fn ensure(&self) -> Result<()> {
        match self.problem {
            None => Ok(()),
            Some(problem) => {
                let name = plain::name(&self.tool.spec().name);
                Err(Error::config("tools", format!("the schema of the tool `{name}` {problem}")))
            }
        }
    }

    fn checks(&self) -> &Checks {
        self.checks.get_or_init(|| Checks::of(self.tool.spec()))
    }

    /// The arguments as the tool gets them, or why it does not get them.
    pub(super) fn check(&self, arguments: Value, policy: ArgumentPolicy) -> Result<Value, ToolOutcome> {
        self.checks().check(&*self.tool, arguments, policy)
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
    /// [`Config`](crate::ErrorKind::Config) if there is a tool of this name, the name is empty, or the schema of
    /// its arguments has more than 20,000 parts or is nested more than 128 deep.
    pub fn try_insert(&mut self, tool: impl Tool) -> Result<()> {
        let name = &tool.spec().name;
        let problem = match name.as_str() {
            "" => "a tool has no name".to_owned(),
            _ if self.get(name).is_some() => format!("there are two tools named `{name}`"),
            _ => {
                let entry = Entry::new(Arc::new(tool));
                entry.ensure()?;
                self.entries_mut().push(entry);
                return Ok(());
            }
        };
        Err(Error::config("tools", problem))
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
            let entries = self.entries_mut();
            entries.retain(|entry| over.get(&entry.tool.spec().name).is_none());
            entries.extend(over.entries().iter().cloned());
        }
        self
    }

    /// The tools, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.entries().iter())
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

    /// What the schema of the tool of this name asks for and nobody can check, each with its place,
    /// such as `` `if` at /properties/a ``. Everything else is checked.
    /// [`ArgumentPolicy::Strict`] denies the calls of a tool for which this is not empty.
    #[must_use]
    pub fn unchecked(&self, name: &str) -> &[String] {
        self.entry(name).map_or(&[], |entry| entry.checks().unchecked())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Whether each can be offered to a model.
    ///
    /// # Errors
    /// As [`try_insert`](Self::try_insert), for a schema that is too large.
    pub(crate) fn ensure(&self) -> Result<()> {
        self.entries().iter().try_for_each(Entry::ensure)
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_ref().map_or(&[], |entries| entries.as_slice())
    }

    fn entries_mut(&mut self) -> &mut Vec<Entry> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.tool.spec().name == name)
    }
}

/// What keeps a schema from being sent and checked, if it is too large for both.
fn too_large(schema: &Value) -> Option<&'static str> {
    const MAX_PARTS: usize = 20_000;
    const MAX_DEPTH: usize = 128;
    let (mut parts, mut open) = (0, vec![(schema, 0)]);
    while let Some((part, depth)) = open.pop() {
        parts += 1;
        match part {
            _ if parts > MAX_PARTS => return Some("has more than 20,000 parts"),
            Value::Array(_) | Value::Object(_) if depth > MAX_DEPTH => return Some("is nested more than 128 deep"),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => open.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    None
}

impl<T: Tool> Extend<T> for Tools {
    /// Adds tools; one with the name of an earlier one takes its place. A call with a tool that
    /// [`try_insert`](Self::try_insert) refuses for its schema fails before anything is sent.
    fn extend<I: IntoIterator<Item = T>>(&mut self, tools: I) {
        let list = self.entries_mut();
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

impl<T: Tool, const N: usize> From<[T; N]> for Tools {
    fn from(tools: [T; N]) -> Self {
        tools.into_iter().collect()
    }
}

impl IntoIterator for Tools {
    type Item = Arc<dyn Tool>;
    type IntoIter = std::vec::IntoIter<Arc<dyn Tool>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl<'a> IntoIterator for &'a Tools {
    type Item = &'a Arc<dyn Tool>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The tools of a set, in order.
#[derive(Clone)]
pub struct Iter<'a>(std::slice::Iter<'a, Entry>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Arc<dyn Tool>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|entry| &entry.tool)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(|tool| &tool.spec().name)).finish()
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
