//! A component of named parts.

use serde_json::Value;

use super::{Answer, Arg, Component, Representation, sorted};
use crate::error::{ErrorKind, Result};

/// Named parts, one to a line, which may be components or answers on their way.
///
/// ```
/// use mellea_core::{SimpleComponent, Thunk};
///
/// let facts = SimpleComponent::new().part("city", "Paris").part("weather", Thunk::from("sunny"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimpleComponent(Vec<(String, Arg)>);

impl SimpleComponent {
    /// No parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another part.
    #[must_use]
    pub fn part(mut self, name: impl Into<String>, value: impl Into<Arg>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }
}

impl Component for SimpleComponent {
    type Output = String;

    fn representation(&self) -> Result<Representation> {
        if self.0.is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        const LINES: &str = "{% for name, value in parts %}{{ name|label }}: {{ value|item }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}";
        Ok(Representation::inline("simple", LINES).arg("parts", Arg::Pairs(self.0.clone())))
    }

    fn read(&self, answer: &Answer<'_>) -> Result<String> {
        Ok(answer.text().to_owned())
    }
}

impl From<Value> for SimpleComponent {
    /// One part for each entry of an object, sorted by name; anything else is one part named `value`.
    fn from(value: Value) -> Self {
        match sorted(value) {
            Value::Object(map) => Self(map.into_iter().map(|(name, value)| (name, Arg::Json(value))).collect()),
            other => Self(vec![("value".to_owned(), Arg::Json(other))]),
        }
    }
}
