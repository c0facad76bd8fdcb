//! The dialect of servers on llama.cpp's grammar: what is sent means the same, or less, and nothing that harms them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this is tests")]

mod patterns;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mellea_schema::{Dialect, Schema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[expect(dead_code, reason = "they are made for their schemas")]
mod types {
    use super::*;
    include!("../../../../tests/corpus/ollama/shapes.rs");

    pub(super) fn all() -> Vec<(&'static str, Schema)> {
        macro_rules! each {
            ($($name:ident = $type:ty),* $(,)?) => { vec![$((stringify!($name), Schema::of::<$type>().unwrap())),*] };
        }
        shapes!(each)
    }
}

/// What the grammar would misread, or stumble over.
fn misreads(schema: &Value, found: &mut Vec<String>) {
    const KNOWN: [&str; 22] = [
        "title",
        "description",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "pattern",
        "format",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
    ];
    let Some(rules) = schema.as_object() else {
        found.push(format!("{schema} in the place of a schema"));
        return;
    };
    let has = |key: &str| rules.contains_key(key);
    found.extend(rules.keys().filter(|key| !KNOWN.contains(&key.as_str())).map(|key| format!("`{key}`")));
    if !["type", "$ref", "anyOf", "enum", "const", "properties", "allOf"].iter().any(|key| has(key)) {
        found.push(format!("no type in {schema}"));
    }
    for alone in ["$ref", "anyOf", "allOf"] {
        let beside = ["properties", "additionalProperties", "items", "prefixItems", "pattern", "enum", "const", "minimum"];
        if has(alone) && beside.iter().any(|key| has(key)) {
            found.push(format!("something beside `{alone}`"));
        }
    }
    if has("prefixItems") && has("items") {
        found.push("`items` beside `prefixItems`".to_owned());
    }
    if let Some(pattern) = rules.get("pattern").and_then(Value::as_str) {
        found.extend(patterns::is_harmless(pattern).err());
    }
    for group in ["properties", "$defs"] {
        rules.get(group).and_then(Value::as_object).into_iter().flatten().for_each(|(_, part)| misreads(part, found));
    }
    for list in ["anyOf", "allOf", "prefixItems"] {
        rules.get(list).and_then(Value::as_array).into_iter().flatten().for_each(|part| misreads(part, found));
    }
    for part in ["items", "additionalProperties"] {
        rules.get(part).filter(|part| !part.is_boolean() || part == &"items").into_iter().for_each(|part| misreads(part, found));
    }
}

const DIALECTS: [Dialect; 3] = [Dialect::Grammar, Dialect::OrderedGrammar, Dialect::SimpleGrammar];

/// Nothing in it may be misread, and a value that fits must fit there too.
fn is_told(name: &str, schema: &Schema, fits: &[Value]) {
    for dialect in DIALECTS {
        let wire = schema.wire(dialect);
        let mut found = Vec::new();
        misreads(&wire.schema, &mut found);
        assert!(found.is_empty(), "{name} {dialect:?}: {found:?}\n{}", wire.schema);
        // Patterns match the text of the JSON there, which the checks of patterns see to.
        let mut there = wire.schema.clone();
        without_patterns(&mut there);
        let (there, _) = Schema::from_value_partial(there).unwrap();
        for value in fits {
            schema.validate(value).unwrap_or_else(|e| panic!("{name}: {e}"));
            there.validate(&schema.wrap(value.clone())).unwrap_or_else(|e| panic!("{name} {dialect:?}: {e}\n{}", wire.schema));
        }
    }
}

fn without_patterns(schema: &mut Value) {
    match schema {
        Value::Object(rules) => {
            if rules.get("pattern").is_some_and(Value::is_string) {
                rules.shift_remove("pattern");
            }
            rules.values_mut().for_each(without_patterns);
        }
        Value::Array(parts) => parts.iter_mut().for_each(without_patterns),
        _ => {}
    }
}

#[test]
fn every_shape_of_rust_types_is_told() {
    let shapes = types::all();
    assert_eq!(shapes.len(), 45);
    let fits: HashMap<&str, Value> = [
        ("nmap", json!({"1": "x", "20": "y"})),
        ("digits", json!({"ym": "2024-05"})),
        ("loose", json!({"has": "room 7, \"left\""})),
        ("ratio", json!({"score": 0.5})),
        ("tup", json!([1, "x"])),
        ("arr", json!([1, 2, 3])),
        ("ext", json!({"C": {"x": 1}})),
        ("tagged", json!({"kind": "Square", "side": 2.0})),
        ("flatmap", json!({"a": "x", "other": 7})),
        ("flat", json!({"a": "x", "x": 1.0, "y": 2.0})),
        ("tree", json!({"v": 1, "kids": [{"v": 2, "kids": []}]})),
        ("expr", json!({"op": "+", "left": {"op": "-", "left": null}})),
        ("lim", json!({"age": 20, "name": "Ann", "tags": ["x"], "code": "AB123"})),
        ("value", json!({"v": [1, {"x": null}]})),
        ("res", json!({"Ok": 3})),
        ("opts", json!({"a": null, "b": 3, "c": {"x": 1.5, "y": 0.0}})),
        ("dflt", json!({"the b": "x"})),
        ("map", json!({"a": 1})),
        ("email", json!({"mail": "a@b.c", "url": "http://x"})),
    ]
    .into();
    assert!(fits.keys().all(|name| shapes.iter().any(|(shape, _)| shape == name)));
    for (name, schema) in &shapes {
        is_told(name, schema, fits.get(name).map_or(&[], std::slice::from_ref));
    }
    let all: Vec<String> =
        shapes.iter().map(|(name, schema)| format!("{name} {}", schema.wire(Dialect::Grammar).schema)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

/// A schema, a value that fits it, and the keywords that are left out.
type Case = (&'static str, Value, Value, &'static [&'static str]);

/// Schemas that callers write themselves.
fn cases() -> Vec<Case> {
    let text = json!({"type": "string"});
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let v = |schema: Value| json!({"type": "object", "properties": {"v": schema}});
    let tuple = json!({"type": "array", "prefixItems": [text, {"type": "integer"}], "items": false});
    let more = json!({"type": "array", "prefixItems": [text], "items": {"type": "integer"}, "minItems": 3});
    let mut names = json!({"type": "object", "patternProperties": {"^x": text}, "additionalProperties": false});
    let mut odd = object(json!({"a-b": text}));
    odd["additionalProperties"] = json!({"type": "integer"});
    let mut union = object(json!({"a": text}));
    union["required"] = json!(["a"]);
    union["anyOf"] = json!([{"properties": {"b": text}, "required": ["b"]}, {"properties": {"c": text}}]);
    let mut named = v(json!({"$ref": "#/$defs/A~1B ü"}));
    named["$defs"] = json!({"A/B ü": object(json!({"n": {"anyOf": [{"$ref": "#/$defs/A~1B ü"}, {"type": "null"}]}}))});
    names["description"] = "Names.".into();
    vec![
        ("a tuple and nothing behind", tuple, json!(["a", 1]), &[]),
        ("a tuple and more", more, json!(["a", 1, 2]), &["prefixItems"]),
        ("any item", json!({"type": "array", "minItems": 1, "items": true}), json!([{"a": 1}]), &[]),
        ("any value", v(json!({"description": "Anything."})), json!({"v": [1]}), &[]),
        ("no type", v(json!({"pattern": "^a$"})), json!({"v": 7}), &[]),
        ("names by pattern", names, json!({"x1": "y"}), &["patternProperties"]),
        ("odd names beside others", odd, json!({"a-b": "x"}), &["additionalProperties"]),
        ("a union beside members", union, json!({"a": "x", "b": "y"}), &[]),
        ("long texts", v(json!({"type": "string", "maxLength": 100_000})), json!({"v": "x"}), &["maxLength"]),
        ("many items", v(json!({"type": "array", "items": text, "maxItems": 5_000})), json!({"v": []}), &["maxItems"]),
        ("nothing fits", v(json!({"type": "string", "minLength": 5, "maxLength": 2})), json!({}), &["minLength", "maxLength"]),
        ("large", v(json!({"type": "integer", "minimum": 0, "maximum": u64::MAX})), json!({"v": 3}), &["maximum"]),
        (
            "floats",
            v(json!({"type": "number", "minimum": 0.5, "multipleOf": 0.25})),
            json!({"v": 0.75}),
            &["minimum", "multipleOf"],
        ),
        ("exclusive", v(json!({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 3.0})), json!({"v": 2}), &[]),
        ("a set", json!({"type": "array", "items": text, "uniqueItems": true}), json!(["a"]), &["uniqueItems"]),
        ("not", v(json!({"type": "string", "not": {"const": "x"}})), json!({"v": "y"}), &["not"]),
        ("two rules", v(json!({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3})), json!({"v": "abc"}), &["maxLength"]),
        ("null", v(json!({"type": ["string", "null"], "pattern": r"^\d$"})), json!({"v": null}), &[]),
        ("a definition of any name", named, json!({"v": {"n": {"n": null}}}), &[]),
    ]
}

#[test]
fn what_the_grammar_would_misread_is_written_another_way() {
    for (name, schema, fits, left_out) in cases() {
        let schema = Schema::from_value(schema).unwrap();
        let wire = schema.wire(Dialect::Grammar);
        let told: Vec<&str> = wire.left_out.iter().map(|left| left.keyword.as_str()).collect();
        assert_eq!(told, left_out, "{name}: {}", wire.schema);
        is_told(name, &schema, &[fits]);
    }
}

#[test]
fn bounds_are_told_as_integers_at_both_ends() {
    let v = json!({"type": "integer", "minimum": 0, "exclusiveMinimum": 1, "exclusiveMaximum": 3.0, "maximum": 9});
    let schema = Schema::from_value(json!({"type": "object", "properties": {"v": v}})).unwrap();
    let wire = &schema.wire(Dialect::Grammar).schema;
    assert_eq!(wire["properties"]["v"], json!({"type": "integer", "minimum": 2, "maximum": 2}));
}

#[test]
fn the_declared_order_is_kept_where_names_would_be_sorted() {
    let ordered = |schema: Value| Schema::from_value(schema).unwrap().wire(Dialect::OrderedGrammar).schema.clone();
    let text = json!({"type": "string"});
    let properties = json!({"reasoning": text, "answer": text, "note": text});
    let all = json!([
        {"properties": {"reasoning": text}, "required": ["reasoning"]},
        {"properties": {"answer": text}, "required": ["answer"]},
        {"anyOf": [{"properties": {"note": text}}]},
    ]);
    let schema = json!({"type": "object", "properties": properties, "required": ["reasoning", "answer"]});
    assert_eq!(ordered(schema), json!({"allOf": all, "type": "object"}));
    let sorted = json!({"type": "object", "properties": {"a": text, "b": text}, "required": ["a"]});
    assert_eq!(ordered(sorted)["properties"].as_object().unwrap().len(), 2);
    let open = json!({"type": "object", "properties": {"b": text, "a": text}, "additionalProperties": {"type": "integer"}});
    assert!(ordered(open).get("allOf").is_none(), "others could not be told then");
}

#[test]
fn a_refused_schema_has_a_simpler_form_once() {
    let v = json!({"type": "string", "pattern": r"^\d+$", "maxLength": 9});
    let n = json!({"type": "array", "items": {"type": "integer", "minimum": 3}, "minItems": 2});
    let schema = json!({"type": "object", "properties": {"v": v, "n": n}, "required": ["v"]});
    let schema = Schema::from_value(schema).unwrap();
    let simple = schema.wire(Dialect::Grammar.simpler().unwrap());
    let properties = json!({"v": {"type": "string"}, "n": {"items": {"type": "integer"}, "type": "array"}});
    assert_eq!(simple.schema, json!({"properties": properties, "required": ["v"], "type": "object"}));
    let left: Vec<&str> = simple.left_out.iter().map(|left| left.keyword.as_str()).collect();
    assert_eq!(left, ["pattern", "maxLength", "minItems", "minimum"]);
    assert_eq!(Dialect::OrderedGrammar.simpler(), Some(Dialect::SimpleGrammar));
    assert_eq!(Dialect::SimpleGrammar.simpler(), None);
}

#[test]
fn what_servers_do_not_enforce_is_stated_in_the_hint() {
    let properties = json!({
        "score": {"type": "number", "minimum": 0.0, "maximum": 1.0},
        "step": {"type": "number", "multipleOf": 0.25},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
        "mail": {"type": "string", "format": "email"},
        "site": {"type": "string", "format": "uri"},
    });
    let schema = Schema::from_value(json!({"type": "object", "properties": properties})).unwrap();
    let hint = schema.hint();
    for words in ["0.0 to 1.0", "a multiple of 0.25", "no item twice", "e-mail address", "URI"] {
        assert!(hint.contains(words), "{words}: {hint}");
    }
}
