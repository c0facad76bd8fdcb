//! stub
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// .
    pub id: String,
    /// .
    pub name: String,
    /// .
    pub arguments: Value,
}
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// .
    pub name: String,
    /// .
    pub description: String,
    /// .
    pub parameters: Value,
}
/// .
#[derive(Debug)]
pub struct ToolError(String);
/// .
#[async_trait]
pub trait Tool: Send + Sync + std::fmt::Debug + 'static {
    /// .
    fn spec(&self) -> &ToolSpec;
    /// .
    async fn call(&self, arguments: Value) -> Result<Value, ToolError>;
}
#[async_trait]
impl<T: Tool + ?Sized> Tool for Arc<T> {
    fn spec(&self) -> &ToolSpec {
        (**self).spec()
    }
    async fn call(&self, a: Value) -> Result<Value, ToolError> {
        (**self).call(a).await
    }
}
/// .
#[derive(Clone, Debug, Default)]
pub struct Tools(Vec<Arc<dyn Tool>>);
impl Tools {
    /// .
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.0.iter().map(|t| t.spec().clone()).collect()
    }
    /// .
    pub async fn run_all(&self, _c: &[ToolCall], _p: &ToolPolicy) -> Vec<ToolResult> {
        vec![]
    }
}
impl Extend<Arc<dyn Tool>> for Tools {
    fn extend<I: IntoIterator<Item = Arc<dyn Tool>>>(&mut self, i: I) {
        self.0.extend(i)
    }
}
impl IntoIterator for Tools {
    type Item = Arc<dyn Tool>;
    type IntoIter = std::vec::IntoIter<Arc<dyn Tool>>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
/// .
#[derive(Clone, Debug, Default)]
pub struct ToolPolicy;
/// .
#[derive(Clone, Debug)]
pub enum ToolOutcome {
    /// .
    Ok(Value),
}
impl ToolOutcome {
    /// .
    pub fn to_model_text(&self) -> String {
        String::new()
    }
}
/// .
#[derive(Clone, Debug)]
pub struct ToolResult {
    /// .
    pub call: ToolCall,
    /// .
    pub outcome: ToolOutcome,
    /// .
    pub elapsed: Duration,
}
