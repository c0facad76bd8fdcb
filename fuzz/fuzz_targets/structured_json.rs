//! The value of a type, read out of whatever a model wrote.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mellea_core::Schema;
use serde_json::json;

/// Schemas of different kinds; the first byte of an input says which.
static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    let all = [
        json!({
            "title": "Person",
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "age": {"type": "integer", "minimum": 0, "maximum": 255},
                "email": {"type": ["string", "null"]},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": true, "maxItems": 3},
            },
            "required": ["name", "age"],
        }),
        json!({"type": "integer", "minimum": -3, "exclusiveMaximum": 1000}),
        json!({"type": "string", "pattern": "^[a-z]{2,5}$"}),
        json!({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "boolean"}}]}}),
        json!({
            "$defs": {"Tree": {
                "type": "object",
                "properties": {"value": {"type": "number"}, "left": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]}},
                "required": ["value"],
            }},
            "$ref": "#/$defs/Tree",
        }),
        json!({"type": "object", "patternProperties": {"^[a-z]$": {"type": "integer"}}, "additionalProperties": false, "minProperties": 1}),
        json!({"type": ["string", "number"], "not": {"const": "no"}, "if": {"type": "string"}, "then": {"minLength": 2}}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "minItems": 2, "maxItems": 2}),
        json!({"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind", "x"]},
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"], "additionalProperties": false},
        ]}),
    ];
    all.map(|schema| Schema::from_value(schema).unwrap()).into()
});

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let schema = &SCHEMAS[usize::from(*which) % SCHEMAS.len()];
    match schema.parse(text) {
        Ok(parsed) => {
            if let Err(error) = schema.validate(&parsed.value) {
                panic!("what was read does not fit: {error}: {}", parsed.value);
            }
            let again = schema.wrap(parsed.value.clone()).to_string();
            let read = schema.parse(&again).unwrap_or_else(|error| panic!("what was read is not read again: {error}: {again}"));
            assert_eq!(read.lenient, None, "{again}");
        }
        // Whatever was wrong is said in one short line.
        Err(error) => {
            let told = error.to_string();
            assert!(!told.contains('\n') && told.len() < 4_000, "{told}");
        }
    }
});
