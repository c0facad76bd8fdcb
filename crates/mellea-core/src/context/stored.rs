//! Contexts as JSON.

use std::any::Any;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{ChatContext, Context, ContextPolicy, Entry, SimpleContext};
use crate::error::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Stored<E> {
    /// The policy's name, or an object with its settings under its name.
    policy: Value,
    #[serde(default, skip_serializing_if = "is_zero")]
    dropped: usize,
    entries: Vec<E>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The stored form of a policy.
pub(super) fn of_policy(policy: &dyn ContextPolicy) -> Result<Value, String> {
    let Some(name) = policy.name() else {
        return Err(format!("the context policy {policy:?} has no name to be stored under"));
    };
    let any: &dyn Any = policy;
    if matches!(name, "simple" | "chat") && !any.is::<SimpleContext>() && !any.is::<ChatContext>() {
        return Err(format!("the context policy {policy:?} has the name `{name}`, which another policy has"));
    }
    Ok(match policy.settings() {
        Value::Null => name.into(),
        settings => Map::from_iter([(name.to_owned(), settings)]).into(),
    })
}

fn name_and_settings(stored: &Value) -> Option<(&str, &Value)> {
    match stored {
        Value::String(name) => Some((name, &Value::Null)),
        Value::Object(one) if one.len() == 1 => one.iter().next().map(|(name, settings)| (name.as_str(), settings)),
        _ => None,
    }
}

/// The policy that was stored, if it is one of this crate's.
fn known(stored: &Value) -> Result<Arc<dyn ContextPolicy>, String> {
    match name_and_settings(stored) {
        Some(("simple", _)) => Ok(Arc::new(SimpleContext)),
        Some(("chat", Value::Null)) => Ok(Arc::new(ChatContext::new())),
        Some(("chat", settings)) => {
            let policy: ChatContext = serde_json::from_value(settings.clone()).map_err(|e| e.to_string())?;
            Ok(Arc::new(policy))
        }
        Some((name, _)) => Err(format!("the context was stored with the policy `{name}`, which must be given to read it")),
        None => Err("the stored context does not name its policy".to_owned()),
    }
}

impl Stored<Entry> {
    fn restore(self, policy: Arc<dyn ContextPolicy>) -> Context {
        // Nothing is dropped here: what was stored comes back as it was.
        let start = Context::empty(policy);
        // Whatever stands there, there is room for the positions of more entries than can ever come.
        let dropped = self.dropped.min(usize::MAX / 2);
        self.entries.into_iter().zip(dropped..).fold(start, |context, (entry, position)| context.with(entry, position))
    }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let policy = of_policy(&*self.policy).map_err(S::Error::custom)?;
        Stored { policy, dropped: self.dropped(), entries: self.entries() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::<Entry>::deserialize(deserializer)?;
        let policy = known(&stored.policy).map_err(D::Error::custom)?;
        Ok(stored.restore(policy))
    }
}

impl Context {
    /// The context as JSON: the name and settings of its policy, and its entries.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if its policy has no name of its own, see [`ContextPolicy::name`].
    pub fn to_json(&self) -> Result<String> {
        of_policy(&*self.policy).map_err(|reason| refused(reason, "implement `ContextPolicy::name`"))?;
        serde_json::to_string(self).map_err(|e| refused(format!("the context cannot be stored: {e}"), "store plain data only"))
    }

    /// A context that [`to_json`](Self::to_json) wrote, with one of this crate's policies.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it is not a stored context, or was stored with another policy.
    pub fn from_json(json: &str) -> Result<Self> {
        let stored = read(json)?;
        let policy = known(&stored.policy).map_err(|reason| refused(reason, "read it with `Context::restore_with`"))?;
        Ok(stored.restore(policy))
    }

    /// A stored context, with this policy. The settings that were stored are not read: the policy has
    /// its own.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if it is not a stored context, or was stored with a policy of another name.
    pub fn restore_with(json: &str, policy: impl ContextPolicy) -> Result<Self> {
        let stored = read(json)?;
        match (name_and_settings(&stored.policy), policy.name()) {
            (Some((stored, _)), Some(given)) if stored != given => {
                let reason = format!("the context was stored with the policy `{stored}`, not `{given}`");
                Err(refused(reason, "give the policy it was stored with, and change it with `Context::with_policy`"))
            }
            _ => Ok(stored.restore(Arc::new(policy))),
        }
    }
}

fn read(json: &str) -> Result<Stored<Entry>> {
    serde_json::from_str(json).map_err(|e| refused(format!("this is not a stored context: {e}"), "see `Context::to_json`"))
}

fn refused(reason: String, hint: &'static str) -> Error {
    Error::config("context", reason).with_hint(hint)
}
