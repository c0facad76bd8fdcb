//! Tools made of functions: the arguments' type is the description.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Tool, ToolError, ToolSpec, no_parameters};
use crate::schema::Schema;

type Body = dyn Fn(Value) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync;

/// A tool made of a function; see [`tool`] and [`tool_fn`].
#[derive(Clone)]
pub struct FunctionTool {
    spec: ToolSpec,
    timeout: Option<Duration>,
    body: Arc<Body>,
}

impl FunctionTool {
    /// Limits the time of each call; unset, the [`ToolPolicy`](super::ToolPolicy) decides.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool").field("spec", &self.spec).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[async_trait]
impl Tool for FunctionTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, arguments: Value) -> Result<Value, ToolError> {
        (self.body)(arguments).await
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// A tool made of an async function of one struct: its fields are the parameters, their doc
/// comments the descriptions.
///
/// A function without parameters takes `()`. A type whose schema has keywords that cannot be
/// checked is described as it is, and its arguments are only checked by serde.
///
/// ```
/// use mellea_core::tool::{Tool, tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Place {
///     /// Name of the city.
///     city: String,
/// }
///
/// let weather = tool("get_weather", "Current weather of a city.", |place: Place| async move {
///     Ok(format!("sunny in {}", place.city))
/// });
/// assert_eq!(weather.spec().parameters["required"], serde_json::json!(["city"]));
/// ```
pub fn tool<T, R, F, Fut>(name: impl Into<String>, description: impl Into<String>, function: F) -> FunctionTool
where
    T: DeserializeOwned + JsonSchema,
    R: Serialize,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, ToolError>> + Send + 'static,
{
    let parameters = Parameters::of::<T>();
    let spec = ToolSpec::new(name, description, parameters.schema.clone());
    let body = move |arguments: Value| {
        // The closure is called at once: arguments that do not fit never reach it.
        match parameters.read::<T>(arguments).map(&function) {
            Ok(running) => async move { Ok(serde_json::to_value(running.await?)?) }.boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    };
    FunctionTool { spec, timeout: None, body: Arc::new(body) }
}

/// A tool made of an ordinary function; see [`tool`] for its parameters.
///
/// It runs on Tokio's threads for blocking work, if there is a runtime, so that it may block. Once
/// started it cannot be stopped: when the caller gives up, its result is thrown away.
///
/// ```
/// use mellea_core::tool::{Tool, tool_fn};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Pair {
///     a: i64,
///     b: i64,
/// }
///
/// let add = tool_fn("add", "Add two numbers.", |pair: Pair| Ok(pair.a + pair.b));
/// assert_eq!(add.spec().name, "add");
/// ```
pub fn tool_fn<T, R, F>(name: impl Into<String>, description: impl Into<String>, function: F) -> FunctionTool
where
    T: DeserializeOwned + JsonSchema + Send + 'static,
    R: Serialize,
    F: Fn(T) -> Result<R, ToolError> + Send + Sync + 'static,
{
    let function = Arc::new(function);
    tool(name, description, move |arguments: T| {
        let function = Arc::clone(&function);
        let work = move || -> Result<Value, ToolError> { Ok(serde_json::to_value(function(arguments)?)?) };
        async move {
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                return work();
            };
            match runtime.spawn_blocking(work).await {
                Ok(result) => result,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => Err(error.into()),
                },
            }
        }
    })
}

/// How the arguments of a function are described and read.
struct Parameters {
    schema: Value,
    shape: Shape,
}

enum Shape {
    /// The type is an object, as arguments are.
    Object,
    /// The type is no object and stands under this key.
    Member(String),
    /// There are no parameters.
    Nothing,
}

impl Parameters {
    fn of<T: JsonSchema>() -> Self {
        let Ok(schema) = Schema::of::<T>() else {
            let generator = SchemaSettings::draft2020_12().into_generator();
            let schema = generator.into_root_schema_for::<T>().to_value();
            return Self { schema, shape: Shape::Object };
        };
        let members = schema.plain().get("properties").and_then(Value::as_object);
        let only = members.and_then(|m| m.iter().next()).filter(|_| schema.is_wrapped());
        let mut parameters = schema.plain().clone();
        if let Some(map) = parameters.as_object_mut() {
            map.shift_remove("title");
            map.shift_remove("description");
            map.entry("properties").or_insert_with(|| Value::Object(serde_json::Map::new()));
        }
        match only {
            Some((_, inner)) if inner.get("type").is_some_and(|t| t == "null") => {
                Self { schema: no_parameters(), shape: Shape::Nothing }
            }
            Some((key, _)) => Self { shape: Shape::Member(key.clone()), schema: parameters },
            None => Self { schema: parameters, shape: Shape::Object },
        }
    }

    fn read<T: DeserializeOwned>(&self, mut arguments: Value) -> Result<T, ToolError> {
        let value = match &self.shape {
            Shape::Object => arguments,
            Shape::Member(key) => arguments.get_mut(key).map(Value::take).unwrap_or_default(),
            Shape::Nothing => Value::Null,
        };
        T::deserialize(value).map_err(|error| ToolError::invalid_arguments(error.to_string()))
    }
}
