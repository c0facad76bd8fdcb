//! Values that fit a schema, made up: for tests that need an answer of a type and not a certain one.

mod pattern;
mod random;

use serde_json::{Map, Value};

use super::scripted::{Reply, ScriptedBackend};
use crate::backend::{ChatRequest, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{MAX_DEPTH, Schema};

use random::Random;

/// How deep optional parts and further items are made.
const DEEP: usize = 5;

/// How often a value is made anew before a schema counts as too narrow.
const TRIES: u64 = 64;

/// A value that fits the schema, without the wrapper around types that are not objects.
///
/// The same schema and seed always give the same value. Optional properties are there in about half
/// of the values, arrays have up to two items more than they must, and recursive types end after a
/// few levels. Of patterns it knows literals, classes, groups, alternatives and repetitions. Values
/// are made by looking at one keyword after the other and then checked, so several keywords that
/// leave little between them (an `allOf` of patterns, say) may be too narrow for it.
///
/// ```
/// use mellea_core::{Schema, testing::sample_value};
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct User { name: String, age: u8 }
///
/// let user: User = serde_json::from_value(sample_value(&Schema::of::<User>()?, 1)?).unwrap();
/// assert!(!user.name.is_empty());
/// # Ok::<(), mellea_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::SchemaUnsupported`] if no value was found.
pub fn sample_value(schema: &Schema, seed: u64) -> Result<Value> {
    // A wrapped type's own schema stands inside of the object around it.
    let root = schema.plain();
    let bare = if schema.is_wrapped() { root.pointer("/properties/result").unwrap_or(root) } else { root };
    let mut fault = None;
    for attempt in 0..TRIES {
        let mut random = Random::new(seed.wrapping_add(attempt.wrapping_mul(0x9e37_79b9)));
        match (Sampler { root, random: &mut random }).value(bare, 0) {
            Ok(value) => match schema.validate(&value) {
                Ok(()) => return Ok(value),
                Err(error) => fault = Some(error),
            },
            Err(error) => return Err(error),
        }
    }
    let error = unsupported("schema", "");
    Err(match fault {
        Some(fault) => error.with_hint(format!("the values that were tried do not fit: {fault}")).with_source(fault),
        None => error,
    })
}

/// A backend that answers every request for JSON with a value that fits, every request for a
/// regular expression with a text that matches, and every other with a short text.
///
/// The answer follows from the seed and the request, so equal requests get equal answers.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, testing::schema_backend};
///
/// let m = Session::new(schema_backend(7));
/// let numbers = m.instruct("Give me numbers.").format::<Vec<u8>>().await?;
/// assert!(numbers.len() < 10);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[must_use]
pub fn schema_backend(seed: u64) -> ScriptedBackend {
    ScriptedBackend::empty().answer_with(move |request| Some(answer(request, seed).unwrap_or_else(Reply::refuse)))
}

fn answer(request: &ChatRequest, seed: u64) -> Result<Reply> {
    let seed = random::hash(seed, &serde_json::to_string(&request).unwrap_or_default());
    Ok(match &request.format {
        Some(Format::JsonSchema(schema)) => Reply::text(schema.wrap(sample_value(schema, seed)?).to_string()),
        Some(Format::Regex(regex)) => Reply::text(pattern::sample(regex, &mut Random::new(seed))?),
        None => Reply::text(Random::new(seed).words(3, 8)),
    })
}

fn unsupported(keyword: &str, path: &str) -> Error {
    Error::new(ErrorKind::SchemaUnsupported { keyword: keyword.to_owned(), path: path.to_owned() })
}

/// Makes the value for one schema node after the other.
struct Sampler<'s, 'r> {
    root: &'s Value,
    random: &'r mut Random,
}

impl Sampler<'_, '_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Result<Value> {
        if depth > MAX_DEPTH {
            return Err(unsupported("$ref", "").with_hint("every value of this type is infinite"));
        }
        let Some(rules) = resolve(self.root, schema).as_object() else { return Ok(self.anything()) };
        if let Some(only) = rules.get("const") {
            return Ok(only.clone());
        }
        if let Some(all) = rules.get("enum").and_then(Value::as_array) {
            return Ok(self.random.pick(all).cloned().unwrap_or_default());
        }
        if let Some(rules) = self.flat(rules, depth) {
            return self.value(&Value::Object(rules), depth + 1);
        }
        match self.kind(rules, depth) {
            "object" => self.object(rules, depth),
            "array" => self.array(rules, depth),
            "string" => self.string(rules),
            "integer" => Ok(self.integer(rules)),
            "number" => Ok(self.number(rules)),
            "boolean" => Ok(self.random.chance().into()),
            "null" => Ok(Value::Null),
            _ => Ok(self.anything()),
        }
    }

    /// The same schema without unions and intersections at its top; `None` if it has none.
    fn flat(&mut self, rules: &Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
        let mut out = rules.clone();
        let mut changed = false;
        if let Some(Value::Array(parts)) = out.shift_remove("allOf") {
            changed = true;
            parts.iter().for_each(|part| self.overlay(&mut out, part));
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = out.shift_remove(union) {
                changed = true;
                let shallow: Vec<&Value> = branches.iter().filter(|b| depth < DEEP || !leads_on(self.root, b)).collect();
                let branch = self.random.pick(&shallow).copied().or_else(|| branches.first()).cloned();
                branch.iter().for_each(|branch| self.overlay(&mut out, branch));
            }
        }
        changed.then_some(out)
    }

    /// Adds the rules of a part. Properties come together; of other keywords the part's count.
    fn overlay(&self, rules: &mut Map<String, Value>, part: &Value) {
        let Some(part) = resolve(self.root, part).as_object() else { return };
        for (key, value) in part {
            match (rules.get_mut(key), value) {
                (Some(Value::Object(old)), Value::Object(new)) if key == "properties" => {
                    old.extend(new.iter().map(|(name, schema)| (name.clone(), schema.clone())));
                }
                (Some(Value::Array(old)), Value::Array(new)) if key == "required" => old.extend(new.iter().cloned()),
                _ => {
                    rules.insert(key.clone(), value.clone());
                }
            }
        }
    }

    /// Which type of value to make.
    fn kind<'v>(&mut self, rules: &'v Map<String, Value>, depth: usize) -> &'v str {
        match rules.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
                let flat: Vec<&str> =
                    kinds.iter().copied().filter(|k| depth < DEEP || !matches!(*k, "object" | "array")).collect();
                self.random.pick(&flat).or(kinds.first()).copied().unwrap_or_default()
            }
            _ if rules.contains_key("properties") => "object",
            _ if rules.contains_key("items") || rules.contains_key("prefixItems") => "array",
            _ if rules.contains_key("pattern") || rules.contains_key("minLength") => "string",
            _ if rules.contains_key("minimum") || rules.contains_key("maximum") => "number",
            _ => "",
        }
    }

    fn anything(&mut self) -> Value {
        self.random.words(1, 2).into()
    }

    fn object(&mut self, rules: &Map<String, Value>, depth: usize) -> Result<Value> {
        let required: Vec<&str> =
            rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut out = Map::new();
        for (name, schema) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth < DEEP && self.random.chance()) {
                out.insert(name.clone(), self.value(schema, depth + 1)?);
            }
        }
        if let Some(schema @ Value::Object(_)) = rules.get("additionalProperties")
            && depth < DEEP
        {
            for i in 0..self.random.below(3) {
                let name = format!("{}{i}", self.random.words(1, 1));
                if rules.get("properties").is_none_or(|named| named.get(&name).is_none()) {
                    out.insert(name, self.value(schema, depth + 1)?);
                }
            }
        }
        for (pattern, schema) in rules.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            let more = if depth < DEEP { self.random.below(3) } else { 0 };
            for _ in 0..more {
                let name = pattern::sample(pattern, self.random)?;
                if rules.get("properties").is_none_or(|named| named.get(&name).is_none()) {
                    out.insert(name, self.value(schema, depth + 1)?);
                }
            }
        }
        for name in required {
            if !out.contains_key(name) {
                let value = match rules.get("additionalProperties") {
                    Some(schema @ Value::Object(_)) => self.value(schema, depth + 1)?,
                    _ => self.anything(),
                };
                out.insert(name.to_owned(), value);
            }
        }
        Ok(Value::Object(out))
    }

    fn array(&mut self, rules: &Map<String, Value>, depth: usize) -> Result<Value> {
        let size = |name: &str| rules.get(name).and_then(Value::as_u64);
        let prefix = rules.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let least = size("minItems").unwrap_or(0);
        let more = if depth < DEEP { self.random.below(3) } else { 0 };
        let most = match rules.get("items") {
            Some(Value::Bool(false)) => prefix.len() as u64,
            _ => least.max(prefix.len() as u64) + more,
        };
        let count = most.min(size("maxItems").unwrap_or(u64::MAX));
        let unique = rules.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
        let mut out: Vec<Value> = Vec::new();
        for i in 0..count {
            let schema = usize::try_from(i).ok().and_then(|i| prefix.get(i)).or_else(|| rules.get("items"));
            let mut item = self.value(schema.unwrap_or(&Value::Bool(true)), depth + 1)?;
            for _ in 0..TRIES {
                if !(unique && out.contains(&item)) {
                    break;
                }
                item = self.value(schema.unwrap_or(&Value::Bool(true)), depth + 1)?;
            }
            if unique && out.contains(&item) {
                if i < least {
                    return Err(unsupported("uniqueItems", ""));
                }
                break;
            }
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn string(&mut self, rules: &Map<String, Value>) -> Result<Value> {
        if let Some(regex) = rules.get("pattern").and_then(Value::as_str) {
            return Ok(pattern::sample(regex, self.random)?.into());
        }
        let size = |name: &str| rules.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let mut text = match rules.get("format").and_then(Value::as_str).and_then(example) {
            Some(text) => text.to_owned(),
            None => self.random.words(1, 3),
        };
        let least = size("minLength").unwrap_or(0);
        while text.chars().count() < least {
            text.push(' ');
            text.push_str(&self.random.words(1, 3));
        }
        if let Some(most) = size("maxLength") {
            text = text.chars().take(most.max(least)).collect();
        }
        Ok(text.into())
    }

    fn integer(&mut self, rules: &Map<String, Value>) -> Value {
        let limit = |name: &str| rules.get(name).and_then(Value::as_f64);
        // Within what `f64` counts exactly; schemas of 64-bit numbers state limits beyond.
        const FAR: f64 = 9_007_199_254_740_992.0;
        let (low, high) = range(
            limit("minimum").map(f64::ceil).into_iter().chain(limit("exclusiveMinimum").map(|n| n.floor() + 1.0)),
            limit("maximum").map(f64::floor).into_iter().chain(limit("exclusiveMaximum").map(|n| n.ceil() - 1.0)),
            100.0,
        );
        let (low, high) = (low.clamp(-FAR, FAR), high.clamp(-FAR, FAR));
        let step =
            limit("multipleOf").filter(|step| *step > 0.0).map_or(1.0, |step| if step.fract() == 0.0 { step } else { 1.0 });
        let (first, last) = ((low / step).ceil(), (high / step).floor());
        let count = (last - first).clamp(0.0, 1e6);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is exact")]
        let value = ((first + self.random.below(count as u64 + 1) as f64) * step) as i64;
        value.into()
    }

    fn number(&mut self, rules: &Map<String, Value>) -> Value {
        let limit = |name: &str| rules.get(name).and_then(Value::as_f64);
        let (low, high) = range(
            limit("minimum").into_iter().chain(limit("exclusiveMinimum")),
            limit("maximum").into_iter().chain(limit("exclusiveMaximum")),
            100.0,
        );
        if let Some(step) = limit("multipleOf").filter(|step| *step > 0.0) {
            let first = (low / step).ceil();
            return ((first + self.random.below(3) as f64) * step).min(high).into();
        }
        // Never quite at either end, which may be excluded.
        let part = (self.random.below(7) + 1) as f64 / 8.0;
        (low + (high - low) * part).into()
    }
}

/// The limits that hold, or a range of this width where one is missing.
fn range(low: impl Iterator<Item = f64>, high: impl Iterator<Item = f64>, width: f64) -> (f64, f64) {
    match (low.reduce(f64::max), high.reduce(f64::min)) {
        (Some(low), Some(high)) => (low, high),
        (Some(low), None) => (low, low + width),
        (None, Some(high)) => (high - width, high),
        (None, None) => (0.0, width),
    }
}

/// The schema itself, or the definition that it refers to.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut here = schema;
    for _ in 0..MAX_DEPTH {
        let target = here.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(next) => here = next,
            None => break,
        }
    }
    here
}

/// Whether a value of this schema holds values of others.
fn leads_on(root: &Value, schema: &Value) -> bool {
    let rules = resolve(root, schema);
    ["properties", "items", "prefixItems", "anyOf", "oneOf", "allOf"].iter().any(|key| rules.get(key).is_some())
}

/// A text of a well-known form.
fn example(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "2024-02-29",
        "time" => "12:30:00Z",
        "date-time" => "2024-02-29T12:30:00Z",
        "duration" => "PT1H30M",
        "email" => "alice@example.com",
        "uuid" => "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "uri" | "url" => "https://example.com/",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
