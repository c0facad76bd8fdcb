//! What a call is made for and billed to: a project, a space, or a deployment.

use mellea_core::{Error, Result};
use serde_json::{Map, Value};

/// One of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Project(String),
    Space(String),
    /// It names the model and the space by itself.
    Deployment(String),
}

impl Scope {
    /// A deployment; its id becomes a part of addresses.
    pub(crate) fn deployment(id: &str) -> Result<Self> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || !id.chars().all(fine) || id.chars().all(|c| c == '.') {
            return Err(Error::config("deployment_id", format!("`{id}` is no id of a deployment")));
        }
        Ok(Self::Deployment(id.to_owned()))
    }

    /// Writes what a body says about it.
    pub(crate) fn write(&self, model: &str, body: &mut Map<String, Value>) {
        let (name, id) = match self {
            Self::Project(id) => ("project_id", id),
            Self::Space(id) => ("space_id", id),
            Self::Deployment(_) => return,
        };
        body.insert("model_id".to_owned(), model.into());
        body.insert(name.to_owned(), id.as_str().into());
    }

    /// The path of a call, such as `chat`.
    pub(crate) fn path(&self, call: &str) -> String {
        match self {
            Self::Project(_) | Self::Space(_) => format!("ml/v1/text/{call}"),
            Self::Deployment(id) => format!("ml/v1/deployments/{id}/text/{call}"),
        }
    }
}
