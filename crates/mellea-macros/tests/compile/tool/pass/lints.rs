//! Expansions are silent under strict lints, and their own names clash with nobody's.

#![deny(warnings, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

/// A type with a name that expansions use, too.
#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
pub struct Tool {
    /// A name.
    pub name: String,
}

/// Functions.
pub mod functions {
    use super::Tool;

    /// Takes names that the expansion uses.
    ///
    /// # Errors
    /// Never.
    #[mellea::tool]
    #[must_use]
    pub async fn tool(arguments: Tool, error: u8, r#type: Option<String>) -> Result<Tool, std::fmt::Error> {
        let _ = (error, r#type);
        std::future::ready(Ok(arguments)).await
    }

    /// Gives nothing.
    #[mellea::tool(name = "nothing-at-all")]
    pub fn nothing(mut count: u8, _unused: bool) {
        count += 1;
        assert!(count > 0);
    }

    /// Gives a result that is never an error.
    ///
    /// # Errors
    /// Always.
    #[mellea::tool(timeout = std::time::Duration::from_secs(1))]
    #[cfg(not(windows))]
    pub fn fails() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("no".into())
    }
}

fn main() {
    /// Adds numbers.
    #[mellea::tool]
    fn add(a: i64, #[tool(default = 1)] b: i64) -> i64 {
        a + b
    }
    let _ = (functions::tool_tool(), functions::nothing_tool(), functions::fails_tool(), add_tool(), add(1, 2));
}
