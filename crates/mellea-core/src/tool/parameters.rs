//! How the arguments of a function are described and read.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::{Map, Value, json};

use super::known::unnamed;
use super::{ToolError, no_parameters};
use crate::schema::Schema;

/// The argument's name where the type is not an object.
const VALUE: &str = "value";

pub(super) struct Parameters {
    schema: Value,
    shape: Shape,
}

enum Shape {
    /// The type is an object, as arguments are.
    Object,
    /// The type is not an object and stands under [`VALUE`].
    Member,
    /// There are no parameters.
    Nothing,
}

impl Parameters {
    /// The parameters that a type stands for.
    pub(super) fn of<T: JsonSchema>() -> Self {
        // The normal form has fewer references, which many models read better.
        let normal = Schema::of::<T>().ok().and_then(|schema| serde_json::to_value(schema).ok());
        let mut schema =
            normal.unwrap_or_else(|| SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value());
        if schema.get("type").is_some_and(|t| t == "null") {
            return Self { schema: no_parameters(), shape: Shape::Nothing };
        }
        let Some(map) = schema.as_object_mut().filter(|map| is_object(map)) else {
            return Self { schema: wrapped(schema), shape: Shape::Member };
        };
        for key in ["$schema", "title", "description"] {
            map.shift_remove(key);
        }
        map.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        Self { schema, shape: Shape::Object }
    }

    pub(super) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The arguments as a value of the type.
    ///
    /// # Errors
    /// If they do not fit, or if the type takes a member that the schema does not name.
    pub(super) fn read<T: DeserializeOwned>(&self, mut arguments: Value) -> Result<T, ToolError> {
        if let Shape::Nothing = self.shape {
            return read(Value::Null);
        }
        let unnamed = unnamed(&self.schema, &arguments);
        let mut value = arguments.take();
        let mut inside = "";
        if let Shape::Member = self.shape {
            value = value.get_mut(VALUE).map(Value::take).unwrap_or_default();
            inside = "/value";
        }
        if unnamed.is_empty() {
            return read(value);
        }
        // What the type ignores does no harm; what it takes in spite of the schema was never checked.
        let mut ignored = BTreeSet::new();
        let value = serde_ignored::deserialize(value, |path| {
            ignored.insert(format!("{inside}{}", pointer(&path)));
        });
        let taken = unnamed.iter().filter(|path| path.starts_with(inside)).find(|path| !ignored.contains(*path));
        match (value, taken) {
            (Ok(_), Some(path)) => Err(ToolError::invalid_arguments(format!("{path}: there is no such argument"))),
            (Ok(value), None) => Ok(value),
            (Err(error), _) => Err(refused(&error)),
        }
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ToolError> {
    T::deserialize(value).map_err(|error| refused(&error))
}

fn refused(error: &serde_json::Error) -> ToolError {
    ToolError::invalid_arguments(error.to_string())
}

fn is_object(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|t| t == "object")
        && !["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "if", "not"].iter().any(|key| schema.contains_key(*key))
}

/// The object schema around one that is not an object.
fn wrapped(mut inner: Value) -> Value {
    let mut out = json!({
        "type": "object",
        "properties": { VALUE: null },
        "required": [VALUE],
        "additionalProperties": false,
    });
    if let Some(map) = inner.as_object_mut() {
        map.shift_remove("$schema");
        map.shift_remove("title");
        for key in ["$defs", "definitions"] {
            if let Some(definitions) = map.shift_remove(key) {
                out[key] = definitions;
            }
        }
    }
    out["properties"][VALUE] = inner;
    out
}

fn pointer(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", pointer(parent)),
        Path::Map { parent, key } => format!("{}/{}", pointer(parent), key.replace('~', "~0").replace('/', "~1")),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => pointer(parent),
    }
}
