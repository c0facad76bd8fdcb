//! Schemas of Rust types and of JSON: what they say, what fits them, and what is read out of which text.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Schema, SchemaError, extract};

mod checking;
mod properties;
mod reading;
mod shapes;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct User {
    name: String,
    /// In whole
    /// years.
    age: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Order {
    /// Who pays.
    buyer: User,
    gift_for: Option<User>,
    lines: Vec<Line>,
    status: Option<Status>,
    note: Option<String>,
    #[serde(default)]
    retries: u32,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Line {
    sku: String,
    weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Paid,
}

/// How it sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Tone {
    /// Praise.
    Positive,
    /// Blame.
    Negative,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Event {
    Click { x: i32, y: i32 },
    Key { code: String },
    Quit,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Shape {
    Circle(f64),
    Square { side: f64 },
    Point,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Words(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Node {
    value: i32,
    next: Option<Box<Self>>,
    children: Vec<Self>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Forest {
    first: Tree,
    second: Tree,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Tree {
    Leaf,
    Branch(Vec<Self>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    line: Line,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Bounded {
    #[schemars(length(min = 1, max = 5), regex(pattern = "^[a-z]+$"))]
    code: String,
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
    tags: HashSet<String>,
}
