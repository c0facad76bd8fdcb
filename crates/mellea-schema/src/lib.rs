#![doc = include_str!("../README.md")]

mod check;
mod compile;
mod conform;
mod dialect;
mod equal;
mod error;
mod explain;
mod extract;
mod grammar;
mod hint;
mod lenient;
mod mend;
mod merge;
mod node;
mod normalise;
mod path;
mod pattern;
mod reading;
mod resolve;
mod strict;
mod tags;
mod words;

#[cfg(test)]
mod tests;

use std::any::type_name;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

pub use dialect::{Dialect, LeftOut, NotStrict, Shape, Strict, Wire};
pub use error::{Mismatch, Mismatches, SchemaError, Unchecked};
pub use extract::{Found, JsonValues, json_values};
pub use pattern::Pattern;

use check::Checker;
use mend::Slips;
use node::{Id, Node, ObjectRules, Program, Property, Types};
use path::Path;

/// How deep schemas and values may be nested.
pub const MAX_DEPTH: usize = 128;

/// The key under which an answer stands that is not an object by itself.
const WRAPPER: &str = "result";

/// The result of a fallible operation on schemas.
pub type Result<T, E = SchemaError> = std::result::Result<T, E>;

/// The JSON schema of an answer, in one normal form for all backends.
///
/// In the normal form, references are written out (only recursive types keep them, under `$defs`),
/// properties keep their declared order, and the root is always an object: a scalar, array, enum, union or
/// `Option` is wrapped as `{"result": …}` and unwrapped when an answer is read.
///
/// Values are checked against the schema as it was given, by the rules of draft 2020-12. All of its
/// keywords are understood but `$dynamicRef`, references out of the schema, and patterns with look-around
/// or references back ([`Pattern`]). `nullable` and boolean `exclusiveMinimum` are read as in OpenAPI 3.0,
/// `items` with a list, `additionalItems` and `dependencies` as in older drafts. `format` never decides
/// whether a value fits. [`from_value`](Self::from_value) refuses what it does not understand: nothing is
/// left unchecked. [`from_value_partial`](Self::from_value_partial) names it instead.
///
/// A clone costs a reference count. Serialised, it is the plain JSON schema of the type.
///
/// ```
/// use mellea_schema::Schema;
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct User {
///     name: String,
///     /// In years.
///     #[schemars(range(max = 120))]
///     age: u8,
///     email: Option<String>,
/// }
///
/// let schema = Schema::of::<User>()?;
/// assert_eq!(
///     schema.hint(),
///     r#"{"name": string, "age": integer /* In years. 0 to 120 */, "email": string | null}"#
/// );
/// let parsed = schema.parse("Sure!\n```json\n{\"name\": \"Alice\", \"age\": 31}\n```")?;
/// let user: User = parsed.read()?;
/// assert_eq!((user.name.as_str(), user.age, user.email), ("Alice", 31, None));
/// assert!(parsed.lenient.is_some(), "the JSON was taken out of other text");
///
/// let error = schema.parse(r#"{"name": 7, "age": 310}"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the answer does not fit its type at /name: expected string, found 7; \
///      at /age: expected a number of at most 120, found 310"
/// );
/// # Ok::<(), mellea_schema::SchemaError>(())
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
    program: Program,
    /// The node of an answer: an object.
    root: Id,
    /// The node of the type itself.
    bare_root: Id,
    /// The names that an answer's object may have.
    names: HashSet<String>,
    /// The same of the type's own object; `None` if it may have others.
    members: Option<HashSet<String>>,
    unchecked: Vec<Unchecked>,
    hint: OnceLock<String>,
    strict: OnceLock<Result<Strict, NotStrict>>,
    /// In the dialects [`Dialect::Grammar`], `OrderedGrammar` and `SimpleGrammar`.
    wires: [OnceLock<Wire>; 3],
}

/// How exactly the text of an answer must be JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reading {
    /// JSON is found between other text, and slips are read over where they have one meaning: a comma too
    /// many, single quotes, comments, raw line breaks, `None`, names without quotes; a word of an
    /// enumeration in another case; one value where a list is due. Each is noted.
    #[default]
    Lenient,
    /// The text is the JSON and nothing else, and the value is as the schema says.
    Strict,
}

/// What an answer held.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed {
    /// The value, which fits, without the wrapper around types that are not objects.
    pub value: Value,
    /// What surrounded the JSON if it was not alone, and what was read over or mended in it.
    pub lenient: Option<String>,
}

impl Parsed {
    /// The Rust value; nothing is parsed or checked again.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Refused`] if `T` refuses a value that fits the schema.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        value_as(&self.value)
    }

    fn note(&mut self, note: String) {
        self.lenient = Some(match self.lenient.take() {
            Some(earlier) => format!("{earlier}, {note}"),
            None => note,
        });
    }

    fn note_first(&mut self, note: &str) {
        if !note.is_empty() {
            self.lenient = Some(match self.lenient.take() {
                Some(later) => format!("{note}, {later}"),
                None => note.to_owned(),
            });
        }
    }
}

/// A value that was checked before, as a Rust value.
///
/// # Errors
///
/// [`SchemaError::Refused`] if `T` refuses it.
pub fn value_as<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(SchemaError::Refused)
}

/// The arguments of a call after they were checked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arguments {
    /// The arguments: those that fit, mended where that is allowed, and the others as given.
    pub value: Value,
    /// Those that do not fit; none if all do.
    pub faults: Mismatches,
}

/// What identifies a type: how its schema is made, and its names. Two types of one name in one function
/// still differ in the first.
type Key = (usize, &'static str, String);

/// The schemas of the program's types, each made once.
static TYPES: RwLock<Option<HashMap<Key, Schema>>> = RwLock::new(None);

impl Schema {
    /// The schema of a Rust type, as serde reads it. It is made once for each type of a program.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Unsupported`] if the type needs a keyword that cannot be checked.
    pub fn of<T: JsonSchema + ?Sized>() -> Result<Self> {
        let make: fn(&mut SchemaGenerator) -> schemars::Schema = T::json_schema;
        let key = (make as usize, type_name::<T>(), T::schema_id().into_owned());
        let known = TYPES.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known.as_ref().and_then(|known| known.get(&key)) {
            return Ok(schema.clone());
        }
        drop(known);
        let generator = SchemaSettings::draft2020_12().into_generator();
        let schema = Self::from_value(generator.into_root_schema_for::<T>().to_value())?;
        let mut known = TYPES.write().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().insert(key, schema.clone());
        Ok(schema)
    }

    /// A schema that the caller wrote.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Unsupported`], with the first keyword that cannot be checked and its place.
    pub fn from_value(schema: Value) -> Result<Self> {
        let (schema, mut unchecked) = Self::from_value_partial(schema)?;
        if unchecked.is_empty() { Ok(schema) } else { Err(SchemaError::Unsupported(unchecked.swap_remove(0))) }
    }

    /// A schema of which everything is checked that can be, and the rest.
    ///
    /// A rule that cannot be checked lets everything through. So that it never refuses a good value, a rule
    /// that turns it around (`not`, `if`, the "exactly" of `oneOf`) is given up with it.
    ///
    /// ```
    /// use mellea_schema::Schema;
    /// use serde_json::json;
    ///
    /// let amount = json!({"type": "integer", "maximum": 100});
    /// let code = json!({"type": "string", "pattern": "^(?=x)", "maxLength": 3});
    /// let properties = json!({"amount": amount, "code": code});
    /// let (schema, unchecked) = Schema::from_value_partial(json!({"type": "object", "properties": properties}))?;
    /// assert_eq!(unchecked[0].to_string(), "`pattern` at /properties/code (look-around cannot be checked)");
    /// assert!(schema.validate(&json!({"amount": 1000})).is_err());
    /// assert!(schema.validate(&json!({"code": "long"})).is_err());
    /// # Ok::<(), mellea_schema::SchemaError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SchemaError::Unsupported`] if the schema is nested too deep or too large.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over a schema they made for this")]
    pub fn from_value_partial(schema: Value) -> Result<(Self, Vec<Unchecked>)> {
        let bare = normalise::normalise(&schema).map_err(SchemaError::Unsupported)?;
        let compile::Compiled { mut program, root: bare_root, unchecked } = compile::compile(&schema);
        let wrapped = !is_object(&bare);
        let plain = if wrapped { wrap(&bare) } else { bare.clone() };
        let root = object_root(&mut program, bare_root, wrapped);
        let name = bare.get("title").and_then(Value::as_str).map(safe_name).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| WRAPPER.to_owned());
        let names = names(&program, root).0;
        let (members, open) = self::names(&program, bare_root);
        let members = (!open).then_some(members);
        let (hint, strict, wires) = (OnceLock::new(), OnceLock::new(), Default::default());
        let told = unchecked.clone();
        let inner =
            Inner { name, bare, plain, wrapped, program, root, bare_root, names, members, unchecked, hint, strict, wires };
        Ok((Self(Arc::new(inner)), told))
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

    /// What [`from_value_partial`](Self::from_value_partial) could not understand.
    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.0.unchecked
    }

    /// The strict dialect: every property required, optional ones nullable, no further properties, no
    /// `title`, `default` or `format`, unions as `anyOf`. It is made once.
    ///
    /// A keyword that the dialect lacks (the length of text, unique items, `not` and the like) is left out
    /// and named in [`Strict::left_out`]: [`parse`](Self::parse) checks it all the same.
    ///
    /// # Errors
    ///
    /// The first shape that the dialect cannot express at all: a map, a tuple, a value of any type, an
    /// `allOf` that cannot be merged. Such a schema is sent as it is ([`plain`](Self::plain)).
    pub fn strict(&self) -> Result<&Strict, &NotStrict> {
        self.0.strict.get_or_init(|| dialect::strict(&self.0.plain)).as_ref()
    }

    /// The schema as servers of a dialect are told it. It says less than the schema at most, never something
    /// else, and every schema has such a form. It is made once for each dialect.
    ///
    /// ```
    /// use mellea_schema::{Dialect, Schema};
    /// use serde_json::json;
    ///
    /// let when = json!({"type": "string", "pattern": "^\\d{4}-\\d{2}$"});
    /// let schema = Schema::from_value(json!({"type": "object", "properties": {"when": when}}))?;
    /// let wire = schema.wire(Dialect::Grammar);
    /// assert_eq!(wire.schema["properties"]["when"]["pattern"], "^[0-9]{4}-[0-9]{2}$");
    /// assert!(wire.left_out.is_empty());
    /// # Ok::<(), mellea_schema::SchemaError>(())
    /// ```
    #[must_use]
    pub fn wire(&self, dialect: Dialect) -> &Wire {
        let [plain, ordered, simple] = &self.0.wires;
        let (place, options) = match dialect {
            Dialect::Grammar => (plain, grammar::Options { rules: true, ordered: false }),
            Dialect::OrderedGrammar => (ordered, grammar::Options { rules: true, ordered: true }),
            Dialect::SimpleGrammar => (simple, grammar::Options { rules: false, ordered: false }),
        };
        place.get_or_init(|| grammar::grammar(&self.0.plain, options))
    }

    /// Whether the type is not an object by itself and its answers read `{"result": …}`.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        self.0.wrapped
    }

    /// The type as a model reads it, in the style of TypeScript, with descriptions and rules as comments.
    /// It is made once.
    #[must_use]
    pub fn hint(&self) -> &str {
        self.0.hint.get_or_init(|| hint::full(&self.0.plain))
    }

    /// A value of the type as the model is asked to write it: in the wrapper, if there is one.
    #[must_use]
    pub fn wrap(&self, value: Value) -> Value {
        if self.0.wrapped { json!({ WRAPPER: value }) } else { value }
    }

    /// Whether a value of the type fits; it stands without a wrapper, as in [`Parsed::value`].
    ///
    /// # Errors
    ///
    /// [`SchemaError::Mismatch`] with every place that does not fit.
    pub fn validate(&self, value: &Value) -> Result<()> {
        let inner = &*self.0;
        let mut checker = Checker::new(&inner.program, false, reading::fuel(1 << 20));
        if checker.fits(inner.bare_root, value) {
            return Ok(());
        }
        Err(SchemaError::Mismatch(explain::explain(&mut checker, inner.bare_root, value, &Path::Root)))
    }

    /// Reads the value out of an answer, leniently.
    ///
    /// The answer should be the JSON and nothing else. If it is not, reasoning is cut off, and the last
    /// value that fits, or the one in a code fence, is taken. What was found around it and what was read
    /// over in it is said in [`Parsed::lenient`]. `31.0` is an integer, and `null` stands for a property
    /// that may be missing. Nothing is ever made up: no value, no success. The time is linear in the length
    /// of the answer.
    ///
    /// # Errors
    ///
    /// [`SchemaError::Mismatch`] with every place where the JSON does not fit,
    /// [`SchemaError::Ambiguous`] if the answer holds two different values that do,
    /// [`SchemaError::Broken`] or [`SchemaError::NoJson`] if there is nothing to read.
    pub fn parse(&self, text: &str) -> Result<Parsed> {
        self.parse_with(text, Reading::Lenient)
    }

    /// Reads the value out of an answer, as exactly as is asked.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_with(&self, text: &str, reading: Reading) -> Result<Parsed> {
        reading::parse(&self.0, text, reading)
    }

    /// Reads the answer as a Rust value, together with what surrounded its JSON.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); [`SchemaError::Refused`] if the value fits the schema but `T` refuses it.
    pub fn read<T: DeserializeOwned>(&self, text: &str) -> Result<(T, Option<String>)> {
        let parsed = self.parse(text)?;
        Ok((parsed.read()?, parsed.lenient))
    }

    /// Checks the arguments of a call against the schema, all at once.
    ///
    /// Leniently, small slips are mended (`"3"` for `3`, `"yes"` for `true`, a word in another case), and
    /// members that the schema does not speak of are left out, unless it says that there may be others.
    /// Strictly, nothing is mended, and such members are faults.
    ///
    /// No default is filled in: that is serde's work.
    #[must_use]
    pub fn check_arguments(&self, arguments: Map<String, Value>, reading: Reading) -> Arguments {
        let inner = &*self.0;
        let mut value = Value::Object(arguments);
        let mut exact = Checker::new(&inner.program, false, reading::fuel(1 << 20));
        let nulls = !exact.fits(inner.bare_root, &value);
        let mut checker = Checker::new(&inner.program, nulls, exact.fuel());
        if reading == Reading::Lenient {
            mend::mend(&mut checker, inner.bare_root, &mut value, Slips::Arguments, &mut Vec::new());
            checker.forget();
        }
        let mut faults = Mismatches::default();
        let fits = checker.fits(inner.bare_root, &value);
        if !fits {
            faults = explain::explain(&mut checker, inner.bare_root, &value, &Path::Root);
        }
        checker.forget();
        if reading == Reading::Strict {
            let seen = checker.evaluated_by_others(inner.bare_root, &value);
            for (at, (name, member)) in value.as_object().into_iter().flatten().enumerate() {
                let known = if fits { seen.has(at) } else { inner.members.as_ref().is_none_or(|members| members.contains(name)) };
                if !known && faults.faults.iter().all(|fault| !fault.found.contains(&words::quoted(name))) {
                    let path = Path::Key(&Path::Root, name).pointer();
                    faults.push(Mismatch::new(path, "no such argument", words::shown(member)));
                }
            }
            checker.forget();
        }
        if faults.faults.is_empty() {
            conform::conform(&mut checker, inner.bare_root, &mut value, reading == Reading::Lenient);
            let mut exact = Checker::new(&inner.program, false, checker.fuel());
            if !exact.fits(inner.bare_root, &value) {
                faults = explain::explain(&mut exact, inner.bare_root, &value, &Path::Root);
            }
        }
        Arguments { value, faults }
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

/// The reference to a definition.
fn pointer_to(name: &str) -> String {
    format!("#/$defs/{}", path::escape(name))
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").is_some_and(|t| t == "object")
        && !["anyOf", "oneOf", "allOf", "enum", "const"].iter().any(|key| schema.get(key).is_some())
}

/// The node of an answer: the wrapper's, or the type's own, which must be an object.
fn object_root(program: &mut Program, bare: Id, wrapped: bool) -> Id {
    let mut add = |node: Node| {
        program.nodes.push(node);
        program.nodes.len() - 1
    };
    if !wrapped {
        return add(Node { types: Types::OBJECT, reference: Some(bare), ..Node::any() });
    }
    let never = add(Node { types: Types::NONE, ..Node::any() });
    let member = Property { id: bare, required: true, null_is_absent: false };
    let rules = ObjectRules { properties: vec![(WRAPPER.to_owned(), member)], additional: Some(never), ..ObjectRules::default() };
    add(Node { types: Types::OBJECT, object: Some(Box::new(rules)), ..Node::any() })
}

/// The names of an object's properties, those of its unions included, and whether there may be others.
fn names(program: &Program, root: Id) -> (HashSet<String>, bool) {
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    let (mut names, mut others) = (HashSet::new(), false);
    while let Some(id) = open.pop() {
        let node = program.node(id);
        if let Some(rules) = &node.object {
            let rest = rules.additional.or(rules.unevaluated);
            others |= rest.is_some_and(|rest| program.node(rest).types != Types::NONE) || !rules.patterns.is_empty();
            names.extend(rules.properties.iter().map(|(name, _)| name.clone()).chain(rules.required.iter().cloned()));
        }
        open.extend(node.in_place().filter(|next| seen.insert(*next)));
    }
    (names, others)
}

/// The object schema around one that is not an object; what describes the type stays outside.
fn wrap(bare: &Value) -> Value {
    let mut inner = bare.as_object().cloned().unwrap_or_default();
    let mut out = Map::new();
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

/// A title as providers take it for a schema's name.
fn safe_name(title: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }
    };
    title.chars().map(safe).take(64).collect()
}
