//! What each shape of Rust type becomes, and what is read out of which text.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Schema, extract};
use crate::error::ErrorKind;

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

fn sheet<T: JsonSchema>() -> String {
    let schema = Schema::of::<T>().unwrap();
    let strict = schema.strict().map_or_else(|e| e.to_string(), |s| serde_json::to_string_pretty(&s).unwrap());
    let plain = serde_json::to_string_pretty(schema.plain()).unwrap();
    format!("{}: {}\n\nplain {plain}\n\nstrict {strict}\n", schema.name(), schema.hint())
}

macro_rules! golden {
    ($($name:ident: $type:ty;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(sheet::<$type>());
        }
    )*};
}

golden! {
    shape_struct: User;
    shape_nested: Order;
    shape_enum: Status;
    shape_documented_enum: Tone;
    shape_tagged_enum: Event;
    shape_external_enum: Shape;
    shape_untagged_enum: Either;
    shape_recursive_struct: Node;
    shape_recursive_enum: Forest;
    shape_flattened: Flat;
    shape_bounded: Bounded;
    shape_map: BTreeMap<String, Line>;
    shape_tuple: (u8, String);
    shape_string: String;
    shape_option: Option<User>;
    shape_vec_of_enum: Vec<Status>;
    shape_unit: ();
    shape_any: Value;
}

#[test]
fn the_hints_of_the_prompt_form() {
    assert_eq!(Schema::of::<Status>().unwrap().hint(), r#"{"result": "open" | "paid"}"#);
    assert_eq!(Schema::of::<Vec<Status>>().unwrap().hint(), r#"{"result": ("open" | "paid")[]}"#);
    assert_eq!(Schema::of::<Vec<Line>>().unwrap().hint(), r#"{"result": {"sku": string, "weight": number}[]}"#);
    assert_eq!(Schema::of::<Option<bool>>().unwrap().hint(), r#"{"result": boolean | null}"#);
}

#[test]
fn the_same_type_gives_the_same_bytes() {
    assert_eq!(sheet::<Order>(), sheet::<Order>());
}

fn fault(schema: &Schema, value: &Value) -> (String, String, String) {
    match schema.validate(value).unwrap_err().kind() {
        ErrorKind::SchemaMismatch { path, expected, found } => (path.clone(), expected.clone(), found.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mismatch_says_where_what_and_what_instead() {
    let order = Schema::of::<Order>().unwrap();
    let mut value = json!({"buyer": {"name": "A", "age": 3}, "lines": [{"sku": "x", "weight": 1}]});
    order.validate(&value).unwrap();
    value["lines"][0]["weight"] = json!("heavy");
    assert_eq!(fault(&order, &value), ("/lines/0/weight".into(), "number".into(), "\"heavy\"".into()));
    value["lines"] = json!([]);
    value["status"] = json!("c");
    assert_eq!(fault(&order, &value), ("/status".into(), "one of \"open\", \"paid\"".into(), "\"c\"".into()));
    value["status"] = Value::Null;
    value["buyer"] = json!({"age": 3});
    assert_eq!(fault(&order, &value), ("/buyer/name".into(), "string".into(), "nothing".into()));
}

#[test]
fn a_mismatch_in_a_union_is_that_of_the_branch_that_was_meant() {
    let event = Schema::of::<Event>().unwrap();
    let value = json!({"kind": "click", "x": 1, "y": "top"});
    assert_eq!(fault(&event, &value), ("/y".into(), "integer".into(), "\"top\"".into()));
    let shape = Schema::of::<Shape>().unwrap();
    let value = json!({"Circle": "wide"});
    assert_eq!(fault(&shape, &value), ("/Circle".into(), "number".into(), "\"wide\"".into()));
    assert_eq!(fault(&shape, &json!(7)).0, "");
}

#[test]
fn bounds_are_checked() {
    let bounded = Schema::of::<Bounded>().unwrap();
    let value = |code: &str, stars: f64, tags: &[&str]| json!({"code": code, "stars": stars, "tags": tags});
    bounded.validate(&value("abc", 3.0, &["a", "b"])).unwrap();
    for (bad, path) in [
        (value("", 3.0, &[]), "/code"),
        (value("abcdef", 3.0, &[]), "/code"),
        (value("ABC", 3.0, &[]), "/code"),
        (value("abc", 6.0, &[]), "/stars"),
        (value("abc", 2.5, &[]), "/stars"),
        (value("abc", 3.0, &["a", "a"]), "/tags/1"),
    ] {
        assert_eq!(fault(&bounded, &bad).0, path, "{bad}");
    }
    let steps = Schema::from_value(json!({"type": "number", "multipleOf": 0.1, "exclusiveMaximum": 1})).unwrap();
    steps.validate(&json!(0.3)).unwrap();
    steps.validate(&json!(0.35)).unwrap_err();
    steps.validate(&json!(1.0)).unwrap_err();
}

#[test]
fn whole_floats_are_integers_and_null_stands_for_absent() {
    let order = Schema::of::<Order>().unwrap();
    let text = r#"{"buyer":{"name":"A","age":31.0},"gift_for":null,"lines":[],"status":null,"note":null,"retries":null}"#;
    let (read, note): (Order, _) = order.read(text).unwrap();
    assert_eq!((read.buyer.age, read.retries, note), (31, 0, None));
    assert!(order.parse(&text.replace("31.0", "31.5")).is_err());
}

#[test]
fn a_keyword_that_cannot_be_enforced_is_refused_with_its_place() {
    for (schema, keyword, path) in [
        (json!({"type": "object", "patternProperties": {}}), "patternProperties", ""),
        (json!({"properties": {"a/b": {"not": {}}}}), "not", "/properties/a~1b"),
        (json!({"items": {"$ref": "http://example.org/x"}}), "$ref", "/items"),
        (json!({"$ref": "#/$defs/X", "$defs": {"X": {"if": {}}}}), "if", "/$defs/X"),
        (json!({"type": "text"}), "type", ""),
        (json!({"anyOf": []}), "anyOf", ""),
        (json!({"pattern": "("}), "pattern", ""),
        (json!({"type": "string", "nullable": true}), "nullable", ""),
        (json!(false), "false", ""),
    ] {
        match Schema::from_value(schema).unwrap_err().kind() {
            ErrorKind::SchemaUnsupported { keyword: k, path: p } => assert_eq!((k.as_str(), p.as_str()), (keyword, path)),
            other => panic!("{other:?}"),
        }
    }
    assert!(Schema::of::<BTreeMap<u32, String>>().is_err());
}

#[test]
fn references_that_explode_or_circle_end() {
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string"}));
    Schema::from_value(json!({"$ref": "#/$defs/L0", "$defs": defs})).unwrap_err();

    let circle = Schema::from_value(json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}})).unwrap();
    circle.parse("{}").unwrap_err();
    let _ = (circle.hint(), circle.strict());
}

#[test]
fn a_recursive_union_costs_no_exponential_time() {
    let schema = Schema::from_value(json!({"$ref": "#/$defs/T", "$defs": {"T": {"anyOf": [
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/T"}, "a": {"const": 1}}, "required": ["n", "a"]},
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/T"}, "a": {"const": 2}}, "required": ["n", "a"]},
        {"type": "null"}
    ]}}}))
    .unwrap();
    let mut value = json!("end");
    for _ in 0..60 {
        value = json!({"n": value, "a": 3});
    }
    let start = Instant::now();
    schema.validate(&value).unwrap_err();
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn four_ways_of_hiding_json() {
    let schema = Schema::of::<User>().unwrap();
    let json = r#"{"name":"Alice","age":31}"#;
    for (text, note) in [
        (format!("```json\n{json}\n```"), "a code fence"),
        (format!("{{{json}"), "a doubled opening brace"),
        (format!("Sure! [1] {json}\nBye {{}}"), r#"text before it ("Sure! [1]"), text after it ("Bye {}")"#),
        (format!("\u{feff}{json}"), "a byte order mark"),
    ] {
        let parsed = schema.parse(&text).unwrap();
        assert_eq!(parsed.value, json!({"name": "Alice", "age": 31}), "{text}");
        assert_eq!(parsed.lenient.as_deref(), Some(note), "{text}");
    }
    let error = schema.parse("I would rather not.").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Parse(_)) && error.is_answer_fault());
    assert_eq!(error.partial().unwrap().text, "I would rather not.");
}

#[test]
fn a_broken_answer_is_an_error_that_says_how() {
    let schema = Schema::of::<User>().unwrap();
    for text in ["", "{", r#"{"name": "Al"#, "null", "[]", "```json\n```", r#"{"name": "A", "age": 300}"#] {
        assert!(schema.parse(text).is_err(), "{text}");
    }
    let cut = schema.parse(r#"{"name": "Al"#).unwrap_err().to_string();
    assert!(cut.contains("EOF while parsing a string"), "{cut}");
    let wrong = schema.parse("Here: {\"name\": \"A\", \"age\": 300} and {}").unwrap_err().to_string();
    assert!(wrong.contains("/age"), "{wrong}");
}

#[test]
fn a_wrapped_answer_may_lack_its_wrapper() {
    let schema = Schema::of::<Vec<u8>>().unwrap();
    assert_eq!(schema.parse(r#"{"result":[1,2]}"#).unwrap().lenient, None);
    let bare = schema.parse("[1, 2]").unwrap();
    assert_eq!((bare.value, bare.lenient.is_some()), (json!([1, 2]), true));
    // The wrapped value wins over a bare one that comes before it.
    assert_eq!(schema.parse("As [1] says: {\"result\": [7]}").unwrap().value, json!([7]));
}

#[test]
fn a_schema_is_stored_as_its_type() {
    for schema in [Schema::of::<Order>().unwrap(), Schema::of::<Tone>().unwrap(), Schema::of::<Vec<Node>>().unwrap()] {
        let text = serde_json::to_string(&schema).unwrap();
        let back: Schema = serde_json::from_str(&text).unwrap();
        assert_eq!((back.plain(), back.name(), back.is_wrapped()), (schema.plain(), schema.name(), schema.is_wrapped()));
        assert_eq!(back, schema);
    }
}

#[test]
fn long_hostile_texts_end_soon() {
    let schema = Schema::of::<User>().unwrap();
    let size = 1 << 17;
    for seed in ["{", "[", "{\"", "[1,", "{\"a\":", "[[1],", "{\"\\\"", "```json", "{}", "\"{", "[\"\\\","] {
        let text = seed.repeat(size / seed.len());
        let start = Instant::now();
        let _ = schema.parse(&text);
        assert!(start.elapsed().as_secs() < 20, "{seed} took {:?}", start.elapsed());
    }
}

fn user() -> impl Strategy<Value = User> {
    (any::<String>(), any::<u8>()).prop_map(|(name, age)| User { name, age })
}

fn order() -> impl Strategy<Value = Order> {
    let line = (any::<String>(), any::<i32>()).prop_map(|(sku, weight)| Line { sku, weight: f64::from(weight) / 8.0 });
    let status = prop_oneof![Just(Status::Open), Just(Status::Paid)];
    let rest = (proptest::option::of(status), proptest::option::of(any::<String>()), any::<u32>());
    (user(), proptest::option::of(user()), proptest::collection::vec(line, 0..4), rest)
        .prop_map(|(buyer, gift_for, lines, (status, note, retries))| Order { buyer, gift_for, lines, status, note, retries })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = any::<i32>().prop_map(|value| Node { value, next: None, children: Vec::new() });
    leaf.prop_recursive(4, 16, 3, |inner| {
        let next = proptest::option::of(inner.clone().prop_map(Box::new));
        (any::<i32>(), next, proptest::collection::vec(inner, 0..3)).prop_map(|(value, next, children)| Node {
            value,
            next,
            children,
        })
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<(i32, i32)>().prop_map(|(x, y)| Event::Click { x, y }),
        any::<String>().prop_map(|code| Event::Key { code }),
        Just(Event::Quit),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        any::<i32>().prop_map(|r| Shape::Circle(f64::from(r) / 4.0)),
        any::<i32>().prop_map(|side| Shape::Square { side: f64::from(side) }),
        Just(Shape::Point),
    ]
}

/// Writes the value as a model would, and reads it back; it fits both dialects.
fn round_trip<T>(value: &T) -> Result<(), TestCaseError>
where
    T: JsonSchema + Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let schema = Schema::of::<T>().unwrap();
    let json = serde_json::to_value(value).unwrap();
    prop_assert!(schema.validate(&json).is_ok(), "{:?}", schema.validate(&json));
    let answer = schema.wrap(json);
    if let Ok(strict) = schema.strict() {
        let strict = Schema::from_value(strict).unwrap();
        prop_assert!(!strict.is_wrapped());
        prop_assert!(strict.validate(&answer).is_ok(), "{:?}", strict.validate(&answer));
    }
    let (read, note): (T, _) = schema.read(&answer.to_string()).unwrap();
    prop_assert_eq!((&read, note), (value, None));
    let (read, note): (T, _) = schema.read(&format!("So:\n```json\n{answer:#}\n```\n")).unwrap();
    prop_assert_eq!((&read, note.is_some()), (value, true));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_fits_its_type_and_comes_back(
        order in order(), node in node(), event in event(), shape in shape(),
        list in proptest::collection::vec(any::<Option<bool>>(), 0..5), text in any::<String>(),
        pair in any::<(u8, String)>(), map in proptest::collection::btree_map(any::<String>(), any::<i16>(), 0..4),
    ) {
        round_trip(&order)?;
        round_trip(&node)?;
        round_trip(&event)?;
        round_trip(&shape)?;
        round_trip(&list)?;
        round_trip(&text)?;
        round_trip(&pair)?;
        round_trip(&map)?;
        round_trip(&Some(order))?;
        round_trip(&Forest { first: Tree::Branch(vec![Tree::Leaf]), second: Tree::Leaf })?;
        round_trip(&Flat { id: 1, line: Line { sku: text, weight: 0.5 }, shape })?;
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = Schema::of::<Order>().unwrap().parse(&text);
        let _ = Schema::of::<Vec<u8>>().unwrap().parse(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'),
            Just(b'`'), Just(b'1'), any::<u8>()], 0..200))
    {
        let text = String::from_utf8_lossy(&bytes);
        for found in extract::values(&text) {
            prop_assert!(serde_json::from_str::<Value>(&text[found.range.clone()]).is_ok());
            let _ = extract::surroundings(&text, &found.range);
        }
        let _ = Schema::of::<User>().unwrap().parse(&text);
    }

    #[test]
    fn json_in_prose_is_found(before in "[^{\\[]{0,40}", after in "[^{\\[]{0,40}", user in user()) {
        let json = serde_json::to_string(&user).unwrap();
        let (read, _): (User, _) = Schema::of::<User>().unwrap().read(&format!("{before}{json}{after}")).unwrap();
        prop_assert_eq!(read, user);
    }
}
