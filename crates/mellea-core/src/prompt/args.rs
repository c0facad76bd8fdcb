//! The arguments of a template, as the engine looks them up.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

/// The arguments of one rendering. There are few, and each is looked up once or twice, so they are a list.
#[derive(Debug)]
pub(super) struct Args {
    values: Vec<(Cow<'static, str>, Value)>,
    gap: Value,
}

impl Args {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { values: Vec::with_capacity(count), gap: Value::from_object(Gap::default()) }
    }

    /// Adds an argument; it takes the place of an earlier one of this name.
    pub(super) fn push(&mut self, name: Cow<'static, str>, value: Value) {
        self.values.push((name, value));
    }
}

impl Object for Args {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let given = self.values.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        given.or_else(|| (key == "gap").then(|| self.gap.clone()))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// What stands between two sections: nothing before the first, and an empty line before every other.
#[derive(Debug, Default)]
struct Gap(AtomicBool);

impl Object for Gap {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.swap(true, Ordering::Relaxed) { f.write_str("\n\n") } else { Ok(()) }
    }
}
