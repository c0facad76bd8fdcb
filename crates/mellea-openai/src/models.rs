//! The models that a service knows.

use mellea_core::Result;
use serde_json::Value;

use crate::backend::OpenAi;

impl OpenAi {
    /// The names of the models that the service knows, in its order.
    ///
    /// # Errors
    /// If the service cannot be reached, or answers with something other than a list.
    pub async fn models(&self) -> Result<Vec<String>> {
        let request = self.with_query(self.0.client.get(self.path(self.0.dialect.models_path)));
        let read = |response: mellea_http::Response| async move {
            let place = response.place().clone();
            let body: Value = response.json().await?;
            names(&body).ok_or_else(|| place.malformed("data", "there is no list of models"))
        };
        Box::pin(self.0.client.open(request, read)).await.map_err(|error| self.explained(error))
    }
}

/// The names in a list of models: OpenAI's form, or the list alone, or under `models`.
pub(crate) fn names(body: &Value) -> Option<Vec<String>> {
    let list = body.get("data").or_else(|| body.get("models")).unwrap_or(body).as_array()?;
    let name = |entry: &Value| {
        let named = ["id", "name", "model"].iter().find_map(|key| entry.get(*key)?.as_str());
        named.or(entry.as_str()).map(str::to_owned)
    };
    Some(list.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_come_in_several_forms() {
        for body in [
            json!({"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b"}, {}]}),
            json!([{"id": "a"}, {"id": "b"}]),
            json!({"models": [{"name": "a"}, "b"]}),
        ] {
            assert_eq!(names(&body), Some(vec!["a".to_owned(), "b".to_owned()]), "{body}");
        }
        assert_eq!(names(&json!({"error": "no"})), None);
    }
}
