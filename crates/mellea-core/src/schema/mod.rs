//! The type of an answer as a JSON schema: normalised once, told to the model, enforced, read back.

mod conform;
mod dialect;
pub(crate) mod equal;
pub(crate) mod extract;
mod hint;
mod merge;
mod normalise;
pub(crate) mod path;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex_lite::Regex;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::output::ModelOutput;

use path::Path;
use validate::{Mismatch, Validator};

/// How deep schemas and values may be nested.
pub(crate) const MAX_DEPTH: usize = 128;

/// The key under which an answer stands that is no object by itself.
const WRAPPER: &str = "result";

/// The JSON schema of an answer, in one normal form for all backends.
///
/// References are written out (only recursive types keep them, under `$defs`), properties keep
/// their declared order, and the root is always an object: a scalar, array, enum or `Option` is
/// wrapped as `{"result": …}` and unwrapped when an answer is read.
///
/// A schema is made of these keywords: `type`, `enum`, `const`, `properties`, `required`,
/// `additionalProperties`, `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems`,
/// `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `minLength`,
/// `maxLength`, `pattern` (the syntax of `regex-lite`), `anyOf`, `oneOf`, `allOf`, `$ref` into
/// `$defs` or `definitions`, and `unevaluatedProperties: false`. `title`, `description`, `default`,
/// `examples`, `format` and other annotations never decide whether a value fits. Any other keyword
/// is refused with [`SchemaUnsupported`](ErrorKind::SchemaUnsupported): nothing is left unchecked
/// in silence.
///
/// A clone costs a reference count. Serialised, it is the plain JSON schema of the type.
///
/// ```
/// use mellea_core::schema::Schema;
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct User {
///     name: String,
///     /// In years.
///     age: u8,
///     email: Option<String>,
/// }
///
/// let schema = Schema::of::<User>()?;
/// assert_eq!(
///     schema.hint(),
///     r#"{"name": string, "age": integer /* In years. */, "email": string | null}"#
/// );
/// let (user, note): (User, _) = schema.read("Sure!\n```json\n{\"name\": \"Alice\", \"age\": 31}\n```")?;
/// assert_eq!((user.name.as_str(), user.age, user.email), ("Alice", 31, None));
/// assert!(note.is_some(), "the JSON was taken out of other text");
///
/// let error = schema.parse(r#"{"name": "Alice", "age": 310}"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the answer does not fit its type at /age: expected a number of at most 255, found 310"
/// );
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schema(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    /// The normal form of the type itself.
    bare: Value,
    /// The same with an object as its root.
    plain: Value,
    wrapped: bool,
    patterns: BTreeMap<String, Regex>,
}

/// What an answer held.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed {
    /// The value, without the wrapper around types that are no object.
    pub value: Value,
    /// What surrounded the JSON, if it was not alone.
    pub lenient: Option<String>,
}

impl Schema {
    /// The schema of a Rust type, as serde reads it.
    ///
    /// # Errors
    ///
    /// [`SchemaUnsupported`](ErrorKind::SchemaUnsupported) if the type needs a keyword that cannot
    /// be checked; a map with numbers as keys does.
    pub fn of<T: JsonSchema + ?Sized>() -> Result<Self> {
        let generator = SchemaSettings::draft2020_12().into_generator();
        Self::from_value(generator.into_root_schema_for::<T>().to_value())
    }

    /// A schema that the caller wrote.
    ///
    /// # Errors
    ///
    /// [`SchemaUnsupported`](ErrorKind::SchemaUnsupported), with the first keyword that cannot be
    /// enforced and its place.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over a schema they made for this")]
    pub fn from_value(schema: Value) -> Result<Self> {
        let bare = normalise::normalise(&schema)?;
        let wrapped = !is_object(&bare);
        let plain = if wrapped { wrap(&bare) } else { bare.clone() };
        let mut patterns = BTreeMap::new();
        collect_patterns(&plain, &mut patterns);
        let name = bare.get("title").and_then(Value::as_str).map(safe_name).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| WRAPPER.to_owned());
        Ok(Self(Arc::new(Inner { name, bare, plain, wrapped, patterns })))
    }

    /// The type's title in letters, digits, `_` and `-`, at most 64 of them; `result` if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The normal form: an object schema that says what the type says.
    #[must_use]
    pub fn plain(&self) -> &Value {
        &self.0.plain
    }

    /// The strict dialect: every property required, optional ones nullable, no further properties,
    /// no `title`, `default` or `format`, unions as `anyOf`.
    ///
    /// # Errors
    ///
    /// [`SchemaUnsupported`](ErrorKind::SchemaUnsupported) for what the dialect lacks: maps, tuples,
    /// values of any type, unique items, the length of text, and `allOf` that cannot be merged.
    pub fn strict(&self) -> Result<Value> {
        dialect::strict(&self.0.plain)
    }

    /// Whether the type is no object by itself and its answers read `{"result": …}`.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        self.0.wrapped
    }

    /// The type as a model reads it, in the manner of TypeScript, descriptions as comments.
    #[must_use]
    pub fn hint(&self) -> String {
        hint::full(&self.0.plain)
    }

    /// A value of the type as the model is asked to write it: in the wrapper, if there is one.
    #[must_use]
    pub fn wrap(&self, value: Value) -> Value {
        if self.0.wrapped { json!({ WRAPPER: value }) } else { value }
    }

    /// Whether a value of the type fits; it stands without a wrapper, as in [`Parsed::value`].
    ///
    /// `31.0` is an integer, and `null` stands for a property that may be missing.
    ///
    /// # Errors
    ///
    /// [`SchemaMismatch`](ErrorKind::SchemaMismatch) with the first place that does not fit.
    pub fn validate(&self, value: &Value) -> Result<()> {
        let mut validator = Validator::new(&self.0.bare, &self.0.patterns);
        validator.check(&self.0.bare, value, &Path::Root).map_err(mismatch)
    }

    /// Reads the value out of an answer.
    ///
    /// The answer should be the JSON and nothing else. If it is not, the first JSON value in it
    /// that fits is taken: out of a code fence, behind a doubled brace, between prose. What was
    /// found around it is said in [`Parsed::lenient`]. Nothing is ever made up: no value, no
    /// success. The time is linear in the length of the answer.
    ///
    /// # Errors
    ///
    /// [`SchemaMismatch`](ErrorKind::SchemaMismatch) if the JSON does not fit, and
    /// [`Parse`](ErrorKind::Parse) if there is none. The answer is kept as the error's
    /// [`partial`](Error::partial) output.
    pub fn parse(&self, text: &str) -> Result<Parsed> {
        self.parse_inner(text).map_err(|error| error.with_partial(Arc::new(ModelOutput::new(text))))
    }

    /// Reads the answer as a Rust value, together with what surrounded its JSON.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); [`Parse`](ErrorKind::Parse) also if the value fits the schema but
    /// `T` refuses it.
    pub fn read<T: DeserializeOwned>(&self, text: &str) -> Result<(T, Option<String>)> {
        let parsed = self.parse(text)?;
        let value = T::deserialize(parsed.value).map_err(|error| {
            Error::new(ErrorKind::Parse(error.to_string())).with_source(error).with_partial(Arc::new(ModelOutput::new(text)))
        })?;
        Ok((value, parsed.lenient))
    }

    fn parse_inner(&self, text: &str) -> Result<Parsed> {
        let bare_text = text.trim_start_matches('\u{feff}').trim();
        let syntax = match serde_json::from_str(bare_text) {
            Ok(value) => {
                let mut parsed = self.accept(value, true).map_err(mismatch)?;
                if text.trim_start().starts_with('\u{feff}') {
                    parsed.lenient.get_or_insert_with(|| "a byte order mark".to_owned());
                }
                return Ok(parsed);
            }
            Err(error) => error,
        };
        let mut unwrapped: Option<Parsed> = None;
        let mut fault: Option<Mismatch> = None;
        for found in extract::values(text) {
            let note = || extract::surroundings(text, &found.range);
            let is_object = found.value.is_object();
            match self.accept(found.value.clone(), false) {
                Ok(parsed) => {
                    return Ok(Parsed { lenient: note(), ..parsed });
                }
                // A reference such as `[1]` in prose is no attempt at an answer.
                Err(mismatch) if is_object => {
                    fault.get_or_insert(mismatch);
                }
                Err(_) => {}
            }
            if self.0.wrapped
                && unwrapped.is_none()
                && let Ok(parsed) = self.accept(found.value, true)
            {
                let lenient = extract::surroundings(text, &found.range).or(parsed.lenient);
                unwrapped = Some(Parsed { lenient, ..parsed });
            }
        }
        match (unwrapped, fault) {
            (Some(parsed), _) => Ok(parsed),
            (None, Some(fault)) => Err(mismatch(fault)),
            (None, None) if bare_text.starts_with(['{', '[']) => {
                Err(Error::new(ErrorKind::Parse(format!("its JSON is broken: {syntax}"))).with_source(syntax))
            }
            (None, None) => Err(Error::new(ErrorKind::Parse("it holds no JSON".to_owned())).with_source(syntax)),
        }
    }

    /// Takes a value that fits, conformed and unwrapped; `bare` lets the wrapper be missing.
    fn accept(&self, mut value: Value, bare: bool) -> std::result::Result<Parsed, Mismatch> {
        let inner = &*self.0;
        let mut validator = Validator::new(&inner.plain, &inner.patterns);
        match validator.check(&inner.plain, &value, &Path::Root) {
            Ok(()) => {
                validator.conform(&inner.plain, &mut value);
                if inner.wrapped {
                    let unwrapped = value.as_object_mut().and_then(|map| map.shift_remove(WRAPPER));
                    value = unwrapped.unwrap_or(Value::Null);
                }
                Ok(Parsed { value, lenient: None })
            }
            Err(_) if inner.wrapped && bare && self.validate(&value).is_ok() => {
                Validator::new(&inner.bare, &inner.patterns).conform(&inner.bare, &mut value);
                Ok(Parsed { value, lenient: Some("the value without its wrapper".to_owned()) })
            }
            Err(mismatch) => Err(mismatch),
        }
    }
    /// The object schema and its patterns, for those who check values part by part.
    pub(crate) fn validator(&self) -> (&Value, Validator<'_>) {
        (&self.0.plain, Validator::new(&self.0.plain, &self.0.patterns))
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bare == other.0.bare
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.bare.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn mismatch(fault: Mismatch) -> Error {
    let Mismatch { path, expected, found } = fault;
    Error::new(ErrorKind::SchemaMismatch { path, expected, found })
}

/// The reference to a definition.
fn pointer_to(name: &str) -> String {
    format!("#/$defs/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|t| t == "object")
        && !["anyOf", "oneOf", "allOf", "enum", "const"].iter().any(|key| schema.get(key).is_some())
}

/// The object schema around one that is no object; what describes the type stays outside.
fn wrap(bare: &Value) -> Value {
    let mut inner = bare.as_object().cloned().unwrap_or_default();
    let mut out = serde_json::Map::new();
    for key in ["title", "description"] {
        if let Some(value) = inner.shift_remove(key) {
            out.insert(key.to_owned(), value);
        }
    }
    let defs = inner.shift_remove("$defs");
    out.insert("type".to_owned(), "object".into());
    out.insert("properties".to_owned(), json!({ WRAPPER: inner }));
    out.insert("required".to_owned(), json!([WRAPPER]));
    out.insert("additionalProperties".to_owned(), false.into());
    if let Some(defs) = defs {
        out.insert("$defs".to_owned(), defs);
    }
    Value::Object(out)
}

fn collect_patterns(schema: &Value, patterns: &mut BTreeMap<String, Regex>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect_patterns(item, patterns)),
        Value::Object(map) => {
            if let Some(Value::String(pattern)) = map.get("pattern")
                && let Ok(regex) = Regex::new(pattern)
            {
                patterns.insert(pattern.clone(), regex);
            }
            map.values().for_each(|value| collect_patterns(value, patterns));
        }
        _ => {}
    }
}

/// A title as providers take it for a schema's name.
fn safe_name(title: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }
    };
    title.chars().map(safe).take(64).collect()
}
