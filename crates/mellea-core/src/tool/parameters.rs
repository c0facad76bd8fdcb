//! How the arguments of a function are described and read.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::{Map, Value, json};

use super::{ToolError, known, no_parameters};
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
    /// If they do not fit.
    pub(super) fn read<T: DeserializeOwned>(&self, arguments: Value) -> Result<T, ToolError> {
        T::deserialize(self.value(arguments)).map_err(|error| ToolError::invalid_arguments(error.to_string()))
    }

    /// Which of these members, given as JSON pointers, the type takes. What it ignores does no harm;
    /// what it takes although the schema does not name it was never checked.
    pub(super) fn takes<T: DeserializeOwned>(&self, arguments: &Value, unnamed: &[String]) -> Option<String> {
        let inside = if let Shape::Member = self.shape { "/value" } else { "" };
        let mut ignored = BTreeSet::new();
        let value = serde_ignored::deserialize::<_, _, T>(self.value(arguments.clone()), |path| {
            ignored.insert(format!("{inside}{}", pointer(&path)));
        });
        if value.is_ok() {
            return unnamed.iter().find(|path| path.starts_with(inside) && !ignored.contains(*path)).cloned();
        }
        // An alias beside the field itself is a field twice.
        let mut named = arguments.clone();
        unnamed.iter().for_each(|path| known::remove(&mut named, path));
        self.read::<T>(named).is_ok().then(|| unnamed.first().cloned())?
    }

    fn value(&self, mut arguments: Value) -> Value {
        match self.shape {
            Shape::Object => arguments,
            Shape::Member => arguments.get_mut(VALUE).map(Value::take).unwrap_or_default(),
            Shape::Nothing => Value::Null,
        }
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|t| t == "object")
        && !["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "if", "not"].iter().any(|key| schema.contains_key(*key))
}

/// The object schema around one that is not an object.
fn wrapped(mut inner: Value) -> Value {
    let mut definitions = Vec::new();
    if let Some(map) = inner.as_object_mut() {
        map.shift_remove("$schema");
        map.shift_remove("title");
        // References lead into the root.
        let found = ["$defs", "definitions"].iter().filter_map(|key| map.shift_remove_entry(*key));
        definitions.extend(found);
    }
    let mut out = Map::new();
    out.insert("type".to_owned(), "object".into());
    out.insert("properties".to_owned(), json!({ VALUE: inner }));
    out.insert("required".to_owned(), json!([VALUE]));
    out.insert("additionalProperties".to_owned(), false.into());
    out.extend(definitions);
    Value::Object(out)
}

fn pointer(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", pointer(parent)),
        Path::Map { parent, key } => format!("{}/{}", pointer(parent), key.replace('~', "~0").replace('/', "~1")),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => pointer(parent),
    }
}
