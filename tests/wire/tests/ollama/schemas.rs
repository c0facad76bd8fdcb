//! Schemas on the server: none may be refused, none may end it, and what is enforced must fit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mellea_core::{Backend, ErrorKind, Format, Schema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ask, events, text};

#[expect(dead_code, reason = "they are made for their schemas")]
mod types {
    use super::*;
    include!("../../../corpus/ollama/shapes.rs");

    pub(super) fn all() -> Vec<(&'static str, Schema)> {
        macro_rules! each {
            ($($name:ident = $type:ty),* $(,)?) => { vec![$((stringify!($name), Schema::of::<$type>().unwrap())),*] };
        }
        shapes!(each)
    }
}

/// What came of answers under a schema.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) fit: usize,
    /// Whole answers that do not fit.
    pub(crate) misfit: Vec<String>,
    /// Cut at the limit, or ended by the server since a token came again and again.
    pub(crate) cut: usize,
}

/// Asks for values of a schema with some seeds; a refusal or a dead runner is a failure.
pub(crate) async fn sample(backend: &dyn Backend, name: &str, schema: &Schema, seeds: u64) -> Count {
    let mut count = Count::default();
    for seed in 0..seeds {
        // The model's window is 1,024 tokens; the form is enforced without the hint as well.
        let hint = Some(schema.hint()).filter(|hint| hint.len() < 1500);
        let hint = hint.map(|hint| format!("\n\nAnswer with JSON: {hint}")).unwrap_or_default();
        let mut request = ask(&format!("Make one up.{hint}"));
        request = request.format(Format::JsonSchema(schema.clone()));
        request.options.max_new_tokens = Some(80);
        (request.options.temperature, request.options.seed) = (Some(0.9), Some(seed));
        match events(backend, request).await {
            Ok(events) if super::finish(&events) == Some(&mellea_core::FinishReason::Length) => count.cut += 1,
            Ok(events) => match schema.parse(&text(&events)) {
                Ok(_) => count.fit += 1,
                Err(error) => count.misfit.push(format!("{error}: {}", text(&events))),
            },
            Err(error) if error.is_answer_fault() || matches!(error.kind(), ErrorKind::StreamInterrupted { .. }) => {
                count.cut += 1
            }
            Err(error) => panic!("{name} with seed {seed}: {error}\n{}", schema.plain()),
        }
    }
    count
}

/// What is left to the check here, and so may come back wrong.
const UNENFORCED: [&str; 5] = ["ratio", "email", "bset", "set", "nmap"];

pub(crate) async fn shapes(backend: &dyn Backend, seeds: u64) {
    for (name, schema) in types::all() {
        let count = sample(backend, name, &schema, seeds).await;
        assert!(count.misfit.is_empty() || UNENFORCED.contains(&name), "{name}: {count:?}");
    }
}

pub(crate) async fn patterns(backend: &dyn Backend, seeds: u64) {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../../corpus/ollama/patterns.json")).unwrap();
    for case in &cases {
        let pattern = case["pattern"].as_str().unwrap();
        let v = json!({"type": "string", "pattern": pattern});
        let schema = json!({"type": "object", "properties": {"v": v}, "required": ["v"]});
        let (schema, _) = Schema::from_value_partial(schema).unwrap();
        let wire = schema.wire(mellea_core::schema::Dialect::OrderedGrammar);
        let enforced = !wire.left_out.iter().any(|left| left.keyword == "pattern");
        let count = sample(backend, pattern, &schema, seeds).await;
        assert!(count.misfit.is_empty() || !enforced, "{pattern}: {count:?}");
    }
}

/// Schemas that a program might write, of the kinds that the server is known to stumble over.
pub(crate) async fn odd_ones(backend: &dyn Backend) {
    let v = |schema: Value| json!({"type": "object", "properties": {"v": schema}, "required": ["v"]});
    let many: serde_json::Map<String, Value> = (0..150).map(|i| (format!("name_{i}"), json!({"type": "integer"}))).collect();
    for (name, schema) in [
        ("tuple", v(json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": false}))),
        ("any", v(json!({"description": "Anything."}))),
        ("true", v(json!(true))),
        (
            "names",
            json!({"type": "object", "properties": {"a-b": {"type": "integer"}, "ü]": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
        ),
        ("length", v(json!({"type": "string", "minLength": 3, "maxLength": 4_000}))),
        ("count", v(json!({"type": "array", "items": {"type": "integer"}, "maxItems": 100_000}))),
        ("bound", v(json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}))),
        ("bounds", v(json!({"type": "integer", "minimum": -999_999_999_999_999_i64, "maximum": 999_999_999_999_999_i64}))),
        ("quote", v(json!({"type": "string", "pattern": "^\"[^\"]{2}\"\\\\$"}))),
        ("optional", v(json!({"type": "string", "pattern": "^(a|b|)(x+y*)?$"}))),
        ("empty", v(json!({"type": "string", "pattern": "^$"}))),
        ("twice", v(json!({"type": "string", "pattern": "^(a*)*$"}))),
        ("long", v(json!({"type": "string", "pattern": "^[a-z]{500}$"}))),
        ("many", json!({"type": "object", "properties": many})),
    ] {
        let schema = Schema::from_value(schema).unwrap();
        let count = sample(backend, name, &schema, 1).await;
        // A repetition of what may be empty is not sent, only checked.
        assert!(count.misfit.is_empty() || name == "twice", "{name}: {count:?}");
    }
}
