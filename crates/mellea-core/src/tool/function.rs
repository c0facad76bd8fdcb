//! Tools made from functions: the arguments' type is the description.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::parameters::Parameters;
use super::{Tool, ToolError, ToolSpec};

type Body = dyn Fn(Value) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync;
type Takes = dyn Fn(&Value, &[String]) -> Option<String> + Send + Sync;

/// A tool made from a function; see [`tool`] and [`tool_fn`]. A clone costs three reference counts.
#[derive(Clone)]
pub struct FunctionTool {
    spec: Arc<ToolSpec>,
    timeout: Option<Duration>,
    effects: bool,
    body: Arc<Body>,
    takes: Arc<Takes>,
}

impl FunctionTool {
    /// Limits the time of each call; unset, the [`ToolPolicy`](super::ToolPolicy) decides.
    #[must_use]
    pub fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Says that a call changes something, so that calls run one after the other, see
    /// [`Tool::has_effects`].
    #[must_use]
    pub fn with_effects(mut self) -> Self {
        self.effects = true;
        self
    }

    /// Gives it another name, so that a call can have the same tool twice, with different state.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.spec).name = name.into();
        self
    }

    /// Gives it another description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.spec).description = description.into();
        self
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool")
            .field("spec", &self.spec)
            .field("timeout", &self.timeout)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
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

    fn has_effects(&self) -> bool {
        self.effects
    }

    fn takes_unnamed(&self, arguments: &Value, unnamed: &[String]) -> Option<String> {
        (self.takes)(arguments, unnamed)
    }
}

/// A tool made from an async function of one struct: its fields are the parameters, their doc
/// comments the descriptions.
///
/// A function without parameters takes `()`. A type that is not a struct, such as a number or an
/// enum, stands under the name `value`. A member that the type takes although its schema does not
/// name it, such as a serde alias, is refused: nothing about it can be checked.
///
/// The closure may capture what the tool works with. It is called for every call of the tool, so
/// each future gets a handle of its own:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
/// use mellea_core::tool::{Tool, ToolError, tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Place {
///     /// Name of the city.
///     city: String,
/// }
///
/// let stations = Arc::new(BTreeMap::from([("Paris".to_owned(), 21)]));
/// let weather = tool("get_weather", "Current weather of a city.", move |place: Place| {
///     let stations = Arc::clone(&stations);
///     async move {
///         let degrees = stations.get(&place.city).ok_or_else(|| ToolError::new("no station there"))?;
///         Ok(format!("{degrees} degrees"))
///     }
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
    let parameters = Arc::new(Parameters::of::<T>());
    let reader = Arc::clone(&parameters);
    let spec = Arc::new(ToolSpec::new(name, description, parameters.schema().clone()));
    let body = move |arguments: Value| {
        // The closure is called at once: arguments that do not fit never reach it.
        match reader.read::<T>(arguments).map(&function) {
            Ok(running) => async move { Ok(serde_json::to_value(running.await?)?) }.boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    };
    let takes = move |arguments: &Value, unnamed: &[String]| parameters.takes::<T>(arguments, unnamed);
    FunctionTool { spec, timeout: None, effects: false, body: Arc::new(body), takes: Arc::new(takes) }
}

/// A tool made from an ordinary function; see [`tool`] for its parameters and what it may capture.
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
