//! What is made up fits its schema, and follows from its seed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::message::Message;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Record {
    name: String,
    age: u8,
    height: Option<f32>,
    tags: Vec<String>,
    mood: Mood,
    shape: Shape,
    attributes: BTreeMap<String, i64>,
    pair: (bool, u16),
    far: i64,
    big: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mood {
    Good,
    Bad,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    Circle { radius: f64 },
    Square { side: u32 },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    value: i32,
    children: Vec<Self>,
    next: Option<Box<Self>>,
}

fn fits<T: JsonSchema + serde::de::DeserializeOwned>() {
    let schema = Schema::of::<T>().unwrap();
    proptest!(|(seed: u64)| {
        let value = sample_value(&schema, seed).unwrap();
        schema.validate(&value).unwrap();
        let text = schema.wrap(value).to_string();
        prop_assert_eq!(schema.read::<T>(&text).unwrap().1, None, "{}", text);
    });
}

#[test]
fn values_of_rust_types_can_be_read() {
    fits::<Record>();
    fits::<Tree>();
    fits::<Vec<Option<Mood>>>();
    fits::<(u8, String)>();
    fits::<Option<i8>>();
    fits::<bool>();
    fits::<BTreeMap<String, Shape>>();
}

proptest! {
    #[test]
    fn limits_are_kept(seed: u64, low in -1000_i64..1000, width in 0_i64..50, step in 1_i64..4, least in 0_usize..5) {
        let schema = Schema::from_value(json!({
            "type": "object",
            "properties": {
                "whole": {"type": "integer", "minimum": low, "maximum": low + width},
                "open": {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + width + 1},
                "even": {"type": "integer", "multipleOf": step, "minimum": low},
                "text": {"type": "string", "minLength": least, "maxLength": least + 2},
                "list": {"type": "array", "items": {"enum": [1, 2, 3, 4, 5, 6, 7]}, "minItems": least, "maxItems": 6, "uniqueItems": true},
                "code": {"type": "string", "pattern": "^[A-Z]{2}\\d{3}$"},
                "only": {"const": "x"},
                "either": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 5}, {"type": "null"}]},
                "both": {"allOf": [
                    {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]},
                    {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
                ]},
            },
            "required": ["whole", "open", "even", "text", "list", "code", "only", "either", "both"],
        })).unwrap();
        schema.validate(&sample_value(&schema, seed).unwrap()).unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_value_and_others_differ() {
    let schema = Schema::of::<Record>().unwrap();
    let values: Vec<Value> = (0..20).map(|seed| sample_value(&schema, seed).unwrap()).collect();
    assert_eq!(sample_value(&schema, 7).unwrap(), values[7]);
    assert!(values.iter().any(|value| *value != values[0]));
}

#[test]
fn a_type_of_infinite_values_is_an_error() {
    let endless = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}}});
    assert!(sample_value(&Schema::from_value(endless).unwrap(), 1).is_err());
}

#[test]
fn every_form_of_answer_is_given() {
    let ask = |format: Option<Format>| {
        let mut request = ChatRequest::new(vec![Message::user("Hello")]);
        request.format = format;
        format!("{:?}", answer(&request, 3).unwrap())
    };
    assert_eq!(ask(None), ask(None));
    assert!(ask(Some(Format::Regex("[0-9]{4}x".into()))).contains("x"));
    assert!(ask(Some(Format::JsonSchema(Schema::of::<u8>().unwrap()))).contains("result"));
}
