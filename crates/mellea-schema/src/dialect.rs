//! The dialects of servers that enforce a schema, and the strict one, which some providers ask for.

use std::fmt;

use serde_json::{Map, Value};

use crate::path::Path;

/// How servers of one kind read a schema.
///
/// The strict dialect of OpenAI and others is not among them, since not every schema has a form in it: see
/// [`Schema::strict`](crate::Schema::strict).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Servers that turn a schema into a grammar of llama.cpp's: Ollama, llama.cpp, LM Studio, llamafile.
    ///
    /// What such a server would misread, or die of, is written another way, or left out: patterns become plain
    /// classes and groups with `^…$` around them, numbers keep their bounds where they are integers, and what is
    /// beside a union moves into its branches.
    #[default]
    Grammar,
    /// The same with the members of an object as an `allOf` of objects with one member each. Servers that sort
    /// `properties` by name keep the declared order then.
    OrderedGrammar,
    /// The same with types, members and enumerations alone, for a server that has refused the schema.
    SimpleGrammar,
}

impl Dialect {
    /// The dialect to try once if a server refuses a schema in this one; `None` if there is none that says less.
    #[must_use]
    pub const fn simpler(self) -> Option<Self> {
        match self {
            Self::Grammar | Self::OrderedGrammar => Some(Self::SimpleGrammar),
            Self::SimpleGrammar => None,
        }
    }
}

/// A schema as it is sent to servers of one [`Dialect`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Wire {
    /// The schema.
    pub schema: Value,
    /// What the dialect cannot say. [`Schema::parse`](crate::Schema::parse) still checks it.
    pub left_out: Vec<LeftOut>,
}

/// A schema in the strict dialect.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Strict {
    /// The schema.
    pub schema: Value,
    /// What the dialect cannot say. [`Schema::parse`](crate::Schema::parse) still checks it.
    pub left_out: Vec<LeftOut>,
}

/// A keyword that a dialect lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The JSON Schema keyword.
    pub keyword: String,
    /// The schema that has it, as a JSON pointer into [`Schema::plain`](crate::Schema::plain).
    pub path: String,
}

/// Why a schema has no form in the strict dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the strict dialect has no {shape}{}", place(.path))]
#[non_exhaustive]
pub struct NotStrict {
    /// What the dialect cannot express.
    pub shape: Shape,
    /// Where it stands, as a JSON pointer into [`Schema::plain`](crate::Schema::plain).
    pub path: String,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" (at {path})") }
}

/// A shape of values that a dialect may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// An object whose keys are not known.
    Map,
    /// A value of any type.
    Any,
    /// An array whose items have a type each.
    Tuple,
    /// A value that fits several schemas at once.
    Intersection,
    /// A reference that cannot be followed.
    Reference,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "maps",
            Self::Any => "values of any type",
            Self::Tuple => "tuples",
            Self::Intersection => "`allOf`",
            Self::Reference => "references out of the schema",
        })
    }
}

/// A normal form in the strict dialect.
pub(crate) fn strict(root: &Value) -> Result<Strict, NotStrict> {
    let mut walk = Walk { root, left_out: Vec::new() };
    let mut out = walk.node(root, &Path::Root)?;
    if let Some(defs) = root.get("$defs").and_then(Value::as_object) {
        let group = Path::Key(&Path::Root, "$defs");
        let mut strict_defs = Map::new();
        for (name, body) in defs {
            strict_defs.insert(name.clone(), Value::Object(walk.node(body, &Path::Key(&group, name))?));
        }
        out.insert("$defs".to_owned(), Value::Object(strict_defs));
    }
    Ok(Strict { schema: Value::Object(out), left_out: walk.left_out })
}

struct Walk<'a> {
    root: &'a Value,
    left_out: Vec<LeftOut>,
}

fn lacks(shape: Shape, at: &Path<'_>) -> NotStrict {
    NotStrict { shape, path: at.pointer() }
}

impl Walk<'_> {
    fn node(&mut self, schema: &Value, at: &Path<'_>) -> Result<Map<String, Value>, NotStrict> {
        let empty = Map::new();
        let source = schema.as_object().unwrap_or(&empty);
        let known = ["type", "$ref", "anyOf", "oneOf", "enum", "const", "allOf"];
        if !known.iter().any(|key| source.contains_key(*key)) {
            return Err(lacks(Shape::Any, at));
        }
        let mut out = Map::new();
        for (keyword, value) in source {
            let here = Path::Key(at, keyword);
            match keyword.as_str() {
                // They never decide whether a value fits.
                "title" | "default" | "format" | "$defs" | "required" => {}
                "additionalProperties" if value == &Value::Bool(false) => {}
                "additionalProperties" | "patternProperties" => return Err(lacks(Shape::Map, at)),
                "unevaluatedProperties" if value == &Value::Bool(false) && source.contains_key("properties") => {}
                "prefixItems" => return Err(lacks(Shape::Tuple, at)),
                "allOf" => return Err(lacks(Shape::Intersection, at)),
                "properties" => self.properties(source, value.as_object().unwrap_or(&empty), &here, &mut out)?,
                "anyOf" | "oneOf" => {
                    if out.contains_key("anyOf") {
                        return Err(lacks(Shape::Intersection, at));
                    }
                    let mut branches = Vec::new();
                    for (index, branch) in value.as_array().into_iter().flatten().enumerate() {
                        branches.push(Value::Object(self.node(branch, &Path::Index(&here, index))?));
                    }
                    out.insert("anyOf".to_owned(), Value::Array(branches));
                }
                "items" if value.is_object() => {
                    out.insert(keyword.clone(), Value::Object(self.node(value, &here)?));
                }
                "const" => {
                    out.insert("enum".to_owned(), Value::Array(vec![value.clone()]));
                }
                "$ref" if !value.as_str().is_some_and(|target| target.starts_with("#/$defs/")) => {
                    return Err(lacks(Shape::Reference, at));
                }
                "type" | "enum" | "description" | "$ref" | "pattern" | "minimum" | "maximum" | "exclusiveMinimum"
                | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems" => {
                    out.insert(keyword.clone(), value.clone());
                }
                _ => self.left_out.push(LeftOut { keyword: keyword.clone(), path: at.pointer() }),
            }
        }
        let names =
            |name: &str| source.get("type").is_some_and(|t| t == name || t.as_array().is_some_and(|t| t.contains(&name.into())));
        if names("array") && !source.contains_key("items") && !source.contains_key("prefixItems") {
            return Err(lacks(Shape::Any, &Path::Key(at, "items")));
        }
        if names("object") {
            // An object of which nothing is said has any members.
            if !source.contains_key("properties") && !source.contains_key("additionalProperties") {
                return Err(lacks(Shape::Map, at));
            }
            out.entry("properties").or_insert_with(|| Value::Object(Map::new()));
            out.entry("required").or_insert_with(|| Value::Array(Vec::new()));
            out.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        // A reference may have nothing beside it.
        if out.len() > 1
            && let Some(reference) = out.shift_remove("$ref")
        {
            let branch = std::iter::once(("$ref".to_owned(), reference)).collect();
            out.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(branch)]));
        }
        Ok(out)
    }

    fn properties(
        &mut self,
        source: &Map<String, Value>,
        properties: &Map<String, Value>,
        at: &Path<'_>,
        out: &mut Map<String, Value>,
    ) -> Result<(), NotStrict> {
        let mut strict_properties = Map::new();
        let needed: Vec<&str> = required(source).collect();
        for (name, property) in properties {
            let mut strict = self.node(property, &Path::Key(at, name))?;
            if !needed.contains(&name.as_str()) && !admits_null(self.root, property) {
                strict = or_null(strict);
            }
            strict_properties.insert(name.clone(), Value::Object(strict));
        }
        let names = properties.keys().map(|name| Value::from(name.as_str())).collect();
        out.insert("properties".to_owned(), Value::Object(strict_properties));
        out.insert("required".to_owned(), Value::Array(names));
        Ok(())
    }
}

/// The names an object must have.
pub(crate) fn required(rules: &Map<String, Value>) -> impl Iterator<Item = &str> {
    rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The definition that a normal form refers to.
pub(crate) fn target<'s>(root: &'s Value, rules: &Map<String, Value>) -> Option<&'s Value> {
    let name = crate::normalise::def_name(rules.get("$ref")?.as_str()?)?;
    root.get("$defs")?.get(&name)
}

/// Whether a normal form lets `null` through.
pub(crate) fn admits_null(root: &Value, schema: &Value) -> bool {
    fn walk(root: &Value, schema: &Value, depth: usize) -> bool {
        let Some(rules) = schema.as_object() else { return true };
        if depth > 16 {
            return false;
        }
        if let Some(target) = target(root, rules) {
            return walk(root, target, depth + 1);
        }
        let typed = match rules.get("type") {
            None => true,
            Some(Value::Array(types)) => types.iter().any(|t| t == "null"),
            Some(only) => only == "null",
        };
        if !typed || rules.get("const").is_some_and(|only| !only.is_null()) {
            return false;
        }
        if let Some(Value::Array(allowed)) = rules.get("enum")
            && !allowed.contains(&Value::Null)
        {
            return false;
        }
        let parts = |key: &str| rules.get(key).and_then(Value::as_array);
        parts("allOf").is_none_or(|all| all.iter().all(|part| walk(root, part, depth + 1)))
            && ["anyOf", "oneOf"]
                .iter()
                .all(|key| parts(key).is_none_or(|any| any.iter().any(|part| walk(root, part, depth + 1))))
    }
    walk(root, schema, 0)
}

/// The same schema, `null` let through.
fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.push(null());
        return schema;
    }
    let scalar = schema.get("type").is_some_and(|t| t.is_array() || (t != "object" && t != "array"));
    if scalar {
        if let Some(types) = schema.get_mut("type") {
            *types = match types.take() {
                Value::Array(mut list) => {
                    list.push("null".into());
                    Value::Array(list)
                }
                one => Value::Array(vec![one, "null".into()]),
            };
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
        return schema;
    }
    let mut out = Map::new();
    if let Some(description) = schema.shift_remove("description") {
        out.insert("description".to_owned(), description);
    }
    out.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(schema), null()]));
    out
}

fn null() -> Value {
    Value::Object(std::iter::once(("type".to_owned(), Value::from("null"))).collect())
}
