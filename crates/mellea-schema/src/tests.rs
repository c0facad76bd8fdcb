//! What each shape of Rust type becomes, and what is read out of which text.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Schema, SchemaError, extract};

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
    let strict = schema.strict().map_or_else(ToString::to_string, |strict| {
        let left_out: String = strict.left_out.iter().map(|l| format!("\nwithout {} at {}", l.keyword, l.path)).collect();
        serde_json::to_string_pretty(&strict.schema).unwrap() + &left_out
    });
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
    match schema.validate(value).unwrap_err() {
        SchemaError::Mismatch(mut mismatches) => {
            let fault = mismatches.faults.swap_remove(0);
            (fault.path, fault.expected, fault.found)
        }
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
fn a_keyword_that_cannot_be_checked_is_refused_with_its_place() {
    for (schema, keyword, path) in [
        (json!({"type": "object", "frobnicate": {}}), "frobnicate", ""),
        (json!({"properties": {"a/b": {"maxLenght": 3}}}), "maxLenght", "/properties/a~1b"),
        (json!({"items": {"$ref": "http://example.org/x"}}), "$ref", "/items"),
        (json!({"$ref": "#/$defs/X", "$defs": {"X": {"$dynamicRef": "#a"}}}), "$dynamicRef", "/$defs/X"),
        (json!({"not": {"pattern": "(?=a)"}}), "pattern", "/not"),
        (json!({"type": "text"}), "type", ""),
        (json!({"anyOf": []}), "anyOf", ""),
        (json!({"pattern": "("}), "pattern", ""),
        (json!({"minLength": -1}), "minLength", ""),
        (json!({"$schema": "https://example.org/mine"}), "$schema", ""),
        (json!({"$ref": "#"}), "$ref", ""),
        (json!({"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}}), "$ref", ""),
        (json!(7), "schema", ""),
    ] {
        match Schema::from_value(schema.clone()).unwrap_err() {
            SchemaError::Unsupported(found) => assert_eq!((found.keyword.as_str(), found.path.as_str()), (keyword, path)),
            other => panic!("{other:?}"),
        }
        assert_eq!(Schema::from_value_partial(schema).unwrap().1[0].keyword, keyword);
    }
}

#[test]
fn references_that_explode_or_circle_end() {
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"type": "object", "properties": {"a": next, "b": next}}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string"}));
    // Written out it would have 2^40 parts: it keeps its definitions, and is checked all the same.
    let schema = Schema::from_value(json!({"$ref": "#/$defs/L0", "$defs": defs})).unwrap();
    assert!(schema.plain().to_string().len() < 10_000);
    schema.validate(&json!({"a": {"b": {"a": 1}}})).unwrap_err();
    schema.validate(&json!({"a": {"b": {"a": {}}}})).unwrap();
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
    assert!(matches!(error, SchemaError::NoJson));
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
        assert!(start.elapsed().as_secs() < 5, "{seed} took {:?}", start.elapsed());
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
        let strict = Schema::from_value(strict.schema.clone()).unwrap();
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
        for found in extract::values(&text, true) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text[found.range.clone()]).is_ok(), found.slips.is_empty());
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

fn colour() -> Schema {
    Schema::from_value(json!({"type": "object", "required": ["answer", "score"],
        "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}}}))
    .unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Red,
    Blue,
    Ambiguous,
    Mismatch,
    Broken,
    NoJson,
}

fn outcome(schema: &Schema, text: &str) -> Outcome {
    match schema.parse(text) {
        Ok(parsed) if parsed.value["answer"] == "red" => Outcome::Red,
        Ok(parsed) if parsed.value["answer"] == "blue" => Outcome::Blue,
        Err(SchemaError::Ambiguous { .. }) => Outcome::Ambiguous,
        Err(SchemaError::Mismatch(_)) => Outcome::Mismatch,
        Err(SchemaError::Broken(_)) => Outcome::Broken,
        Err(SchemaError::NoJson) => Outcome::NoJson,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_answer_is_told_from_drafts_examples_and_reasoning() {
    use Outcome::{Ambiguous, Blue, Broken, Mismatch, NoJson, Red};
    const R: &str = r#"{"answer": "red", "score": 1}"#;
    const B: &str = r#"{"answer": "blue", "score": 9}"#;
    let schema = colour();
    for (text, wanted) in [
        (format!("Draft: {R}\nOn reflection, the final answer is:\n```json\n{B}\n```"), Blue),
        (format!("Maybe {R}.</think>\n{B}"), Blue),
        (format!("<think>Maybe {R}.</think>{B}"), Blue),
        (format!("<THINKING>Maybe {R}.</Thinking>\n\nSo: {B}"), Blue),
        (format!("[THINK]{R}[/THINK]```\n{B}\n```"), Blue),
        (format!("<think>a</think>\n<think>{R}</think>{B}"), Blue),
        (format!("<|channel|>analysis<|message|>{R}<|end|><|start|>assistant<|channel|>final<|message|>{B}"), Blue),
        (format!("<|begin_of_thought|>{R}<|end_of_thought|>{B}"), Blue),
        (format!("<think>{R}"), NoJson),
        (format!("Example of the format: {R}\n<answer>{B}</answer>"), Blue),
        (format!("{R} or rather, my final answer: {B}"), Blue),
        (format!("```json\n{R}\n```\nCorrected, the final answer:\n```json\n{B}\n```"), Blue),
        (format!("{R} and {R}"), Red),
        (format!("The answer: {B} (that is {{}} or [1])"), Blue),
        // Nothing says which one counts.
        (format!("{R}\n{B}"), Ambiguous),
        (format!("```\n{R}\n```\n```\n{B}\n```"), Ambiguous),
        (format!("```\n{B}\n```\nThe format is {R}"), Ambiguous),
        (format!("Final answer: {R}. An example of the final answer: {B}"), Ambiguous),
        // A draft does not become the answer because the answer is wrong.
        (format!("Draft: {R}\n```json\n{}\n```", r#"{"answer": "blue", "score": "nine"}"#), Mismatch),
        (format!("Draft: {R}. Final: {}", r#"{"answer": "blue", "sco"#), Broken),
        // A tag inside a text is text.
        (r#"So: {"answer": "blue", "score": 1, "note": "write </think> last"}"#.to_owned(), Blue),
        ("I would rather not {say}.".to_owned(), NoJson),
        (format!("\u{feff}  {B}"), Blue),
        (format!("{{{B}}}"), Blue),
        (Value::from(B).to_string(), Blue),
    ] {
        assert_eq!(outcome(&schema, &text), wanted, "{text}");
    }
}

#[test]
fn a_judge_is_read_by_its_last_word() {
    let verdict = Schema::from_value(json!({"type": "object", "required": ["reason", "verdict"],
        "properties": {"reason": {"type": "string"}, "verdict": {"enum": ["yes", "no"]}}}))
    .unwrap();
    let text = "The rule says {\"reason\": \"it would be fine\", \"verdict\": \"yes\"} if short. It is long.</think>\n\
        {\"reason\": \"too long\", \"verdict\": \"no\"}\n";
    let parsed = verdict.parse(text).unwrap();
    assert_eq!((parsed.value["verdict"].as_str(), parsed.lenient.as_deref()), (Some("no"), Some("reasoning before it")));
    assert!(verdict.parse(&text.replace("</think>", "")).is_err());
}

#[test]
fn almost_json_is_read_where_it_has_one_meaning() {
    let schema = Schema::from_value(json!({})).unwrap();
    let object = Schema::from_value(json!({"type": "object"})).unwrap();
    let read = |text: &str| object.parse(text).map(|parsed| (parsed.value.to_string(), parsed.lenient.unwrap_or_default()));
    for (text, value, note) in [
        (r#"{"a": [1, 2,],}"#, r#"{"a":[1,2]}"#, "comma"),
        ("{'a': 'it\\'s'}", r#"{"a":"it's"}"#, "quotes"),
        ("{“a”: “b”}", r#"{"a":"b"}"#, "quotes"),
        ("{\"a\": 1, // one\n /* two */ \"b\": 2 # three\n}", r#"{"a":1,"b":2}"#, "comment"),
        ("{\"a\": \"x\ny\tz\"}", r#"{"a":"x\ny\tz"}"#, "line break"),
        ("{'a': None, 'b': True, 'c': False}", r#"{"a":null,"b":true,"c":false}"#, "Python"),
        ("{a: 1, b_c: 2, $d: 3}", r#"{"a":1,"b_c":2,"$d":3}"#, "without quotes"),
        ("{\"a\":\u{a0}+1, \"b\": .5, \"c\": -2.}", r#"{"a":1,"b":0.5,"c":-2.0}"#, "number"),
        ("Here:\n```json\n{'a': 1,}\n```\nBye", r#"{"a":1}"#, "code fence"),
    ] {
        let (found, told) = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found, value, "{text}");
        assert!(told.contains(note), "{text}: {told}");
        assert!(object.parse_with(text, super::Reading::Strict).is_err(), "{text}");
    }
    for text in [
        r#"{"a": NaN}"#,
        r#"{"a": 1 "b": 2}"#,
        r#"{"a": "x"y"}"#,
        "{'a': 'it's'}",
        "{\"a\": 012}",
        "{a b: 1}",
        "{\"a\": \"b\\q\"}",
        r#"{"a": yes}"#,
        r#"{"a": 1, 'a': 2}"#,
        r#"{"a": [1, 2}"#,
        r#"{"a": ,}"#,
        r#"{,}"#,
        r#"{"a": ...}"#,
        "{'a': 1",
    ] {
        assert!(read(text).is_err(), "{text}: {:?}", read(text));
    }
    // What is JSON is JSON, whatever stands in its texts.
    let tricky = r##"{"a": "// no comment, 'quotes', None,}", "b": {"c": "# x"}}"##;
    assert_eq!(schema.parse(tricky).unwrap().lenient, Some("the value without its wrapper".to_owned()));
    assert_eq!(read(tricky).unwrap().1, "");
}

#[test]
fn words_and_lists_are_mended_where_they_have_one_meaning() {
    let schema = Schema::from_value(json!({"type": "object", "properties": {
        "status": {"enum": ["in_progress", "Done", "DONE!", 3]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
        "size": {"enum": ["s", "S"]},
        "tone": {"oneOf": [{"const": "positive", "description": "Praise."}, {"const": "negative"}]},
        "maybe": {"anyOf": [{"enum": ["x"]}, {"type": "null"}]},
    }}))
    .unwrap();
    for (given, wanted) in [
        (json!({"status": "In Progress"}), Some(json!({"status": "in_progress"}))),
        (json!({"status": " done "}), Some(json!({"status": "Done"}))),
        (json!({"tags": "A"}), Some(json!({"tags": ["a"]}))),
        (json!({"tags": ["B", "a"]}), Some(json!({"tags": ["b", "a"]}))),
        (json!({"tone": "POSITIVE"}), Some(json!({"tone": "positive"}))),
        (json!({"maybe": "X"}), Some(json!({"maybe": "x"}))),
        (json!({"size": " S"}), Some(json!({"size": "S"}))),
        (json!({"status": "3"}), None),
        (json!({"status": "stopped"}), None),
        (json!({"tags": "c"}), None),
        (json!({"tags": {"a": 1}}), None),
    ] {
        let found = schema.parse(&given.to_string());
        match wanted {
            Some(wanted) => {
                let parsed = found.unwrap_or_else(|error| panic!("{given}: {error}"));
                assert_eq!(parsed.value, wanted);
                assert!(parsed.lenient.unwrap().contains("read as"), "{given}");
                assert!(schema.parse_with(&given.to_string(), super::Reading::Strict).is_err(), "{given}");
            }
            None => assert!(found.is_err(), "{given}: {found:?}"),
        }
    }
    let same = schema.parse(r#"{"size": "s", "status": "Done"}"#).unwrap();
    assert_eq!(same.lenient, None);
    let list = Schema::of::<Vec<Status>>().unwrap();
    assert_eq!(list.parse(r#"{"result": "OPEN"}"#).unwrap().value, json!(["open"]));
}

#[test]
fn all_faults_are_told_and_no_more_than_sixteen() {
    let order = Schema::of::<Order>().unwrap();
    let value = json!({"buyer": {"name": 1, "age": 300}, "lines": [{"sku": "x"}], "status": "c"});
    let SchemaError::Mismatch(found) = order.parse(&value.to_string()).unwrap_err() else { panic!() };
    let mut paths: Vec<&str> = found.faults.iter().map(|fault| fault.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!((paths, found.more), (vec!["/buyer/age", "/buyer/name", "/lines/0/weight", "/status"], 0));
    assert!(found.to_string().ends_with("; and 1 more") && !found.to_string().contains('\n'), "{found}");

    let list = Schema::from_value(json!({"type": "array", "items": {"type": "integer"}})).unwrap();
    let SchemaError::Mismatch(found) = list.validate(&json!(vec!["x"; 100])).unwrap_err() else { panic!() };
    assert_eq!((found.faults.len(), found.more), (16, 84));
    let long = "x".repeat(1 << 20);
    let closed = Schema::from_value(json!({"type": "object", "additionalProperties": {"type": "integer"}})).unwrap();
    let SchemaError::Mismatch(found) = closed.validate(&json!({ long.as_str(): long.as_str() })).unwrap_err() else { panic!() };
    assert!(found.to_string().len() < 1_000);
}

#[test]
fn schemas_that_are_made_to_be_slow_are_not() {
    let start = Instant::now();
    let many: Vec<Value> = (0..5_000).map(|n| json!({"properties": {format!("p{n}"): {"type": "integer"}}})).collect();
    let all_of = Schema::from_value(json!({"type": "object", "allOf": many})).unwrap();
    all_of.validate(&json!({"p4999": 1})).unwrap();
    all_of.validate(&json!({"p4999": "x"})).unwrap_err();
    let _ = (all_of.hint(), all_of.strict());

    let words: Vec<String> = (0..20_000).map(|n| format!("word number {n}")).collect();
    let words = Schema::from_value(json!({"type": "object", "properties": {"w": {"enum": words}}, "required": ["w"]})).unwrap();
    assert!(words.hint().len() < 600_000);
    let error = words.parse(r#"{"w": "none"}"#).unwrap_err().to_string();
    assert!(error.len() < 500, "{error}");

    let few: Vec<String> = (0..250).map(|n| format!("word number {n}")).collect();
    let few = Schema::from_value(json!({"type": "object", "properties": {"w": {"enum": few}}, "required": ["w"]})).unwrap();
    for piece in ["{} ", "{\"w\": 1} ", "{\"w\": \"none\"} ", "{'w': 1} ", "[[1], {}] ", "<think>", "```", "{\"w\": "] {
        few.parse(&piece.repeat(600_000 / piece.len())).unwrap_err();
    }
    // A part that refers to itself twice at every step.
    let mut defs = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        defs.insert(format!("L{level}"), json!({"anyOf": [{"allOf": [next.clone(), {"minLength": 1}]}, next]}));
    }
    defs.insert("L40".to_owned(), json!({"type": "string", "maxLength": 1}));
    let twice = Schema::from_value(json!({"$ref": "#/$defs/L0", "$defs": defs})).unwrap();
    twice.validate(&json!("ab")).unwrap_err();
    twice.validate(&json!("a")).unwrap();
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn rules_of_the_draft_that_are_easily_got_wrong() {
    for (schema, good, bad) in [
        (json!({"allOf": [{"prefixItems": [{"type": "integer"}]}, {"items": {"type": "string"}}]}), json!([]), json!([1])),
        (json!({"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}), json!("a"), json!("b")),
        (json!({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]}), json!(4), json!(6)),
        (json!({"type": "string", "nullable": true, "enum": ["a"]}), json!(null), json!(1)),
        (
            json!({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": false}),
            json!({"x": 1}),
            json!({"y": 1}),
        ),
        (json!({"not": {"required": ["a"]}}), json!({"b": 1}), json!({"a": 1})),
        (json!({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}), json!({"a": 2}), json!({"a": 1})),
        (json!({"minProperties": 1, "maxProperties": 1}), json!({"a": 1}), json!({"a": 1, "b": 2})),
        (json!({"propertyNames": {"pattern": "^\\p{Lu}+$"}}), json!({"ÄÖ": 1}), json!({"äÖ": 1})),
        (json!({"contains": {"const": 3}, "maxContains": 1}), json!([1, 3]), json!([3, 3])),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"b": 1}), json!({"a": 1})),
        (json!({"dependentSchemas": {"a": {"maxProperties": 1}}}), json!({"a": 1}), json!({"a": 1, "b": 1})),
        (json!({"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}}), json!({"b": 1}), json!({"b": "x"})),
        (json!({"$defs": {"n": {"$anchor": "node", "type": "integer"}}, "$ref": "#node"}), json!(1), json!("x")),
        (
            json!({"$id": "https://e.com/a.json", "$ref": "#/definitions/x", "definitions": {"x": {"type": "boolean"}}}),
            json!(true),
            json!(1),
        ),
        (json!({"properties": {"a": false}}), json!({"b": 1}), json!({"a": 1})),
        (json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}), json!({"a": 1}), json!({"b": 1})),
        (json!({"items": [{"type": "integer"}], "additionalItems": false}), json!([1]), json!([1, 2])),
        (json!({"minimum": 3, "exclusiveMinimum": true}), json!(4), json!(3)),
        (json!({"enum": []}), json!(null), json!(null)),
        (
            json!({"type": "integer", "minimum": -9_223_372_036_854_775_808_i64, "maximum": 18_446_744_073_709_551_615_u64}),
            json!(18_446_744_073_709_551_615_u64),
            json!(1.5),
        ),
    ] {
        let compiled = Schema::from_value(schema.clone()).unwrap_or_else(|error| panic!("{schema}: {error}"));
        if good != bad {
            compiled.validate(&good).unwrap_or_else(|error| panic!("{schema}: {error}"));
        }
        compiled.validate(&bad).expect_err(&schema.to_string());
        // The normal form says the same.
        let plain = Schema::from_value(compiled.plain().clone()).unwrap();
        if good != bad {
            plain.validate(&compiled.wrap(good)).unwrap_or_else(|error| panic!("{schema} as {}: {error}", compiled.plain()));
        }
        plain.validate(&compiled.wrap(bad)).expect_err(&schema.to_string());
        let _ = (compiled.hint(), compiled.strict());
    }
    let numbers = Schema::of::<BTreeMap<u32, u8>>().unwrap();
    assert_eq!(numbers.hint(), r#"{[key: whole number]: integer}"#);
    assert_eq!(numbers.read::<BTreeMap<u32, u8>>(r#"{"7": 1}"#).unwrap().0, BTreeMap::from([(7, 1)]));
    numbers.parse(r#"{"x": 1}"#).unwrap_err();
}

#[test]
fn a_rule_that_cannot_be_checked_lets_good_values_through() {
    let look = json!({"pattern": "^(?=a)"});
    for schema in [
        json!({"not": look}),
        json!({"if": look, "then": false}),
        json!({"oneOf": [look, {"type": "string"}]}),
        json!({"not": {"properties": {"a": look}}}),
        json!({"type": ["string", "array"], "contains": look, "maxContains": 0, "minContains": 0}),
        json!({"allOf": [{"$ref": "http://x.org"}], "unevaluatedProperties": false}),
        json!({"patternProperties": {"(?=a)": {}}, "additionalProperties": false}),
    ] {
        let (schema, unchecked) = Schema::from_value_partial(schema).unwrap();
        assert_eq!((unchecked.len(), schema.unchecked()), (1, unchecked.as_slice()));
        for value in [json!("b"), json!(["a"]), json!({"a": "b"})] {
            if value.is_string() || !schema.plain().to_string().contains("maxContains") {
                schema.validate(&value).unwrap_or_else(|error| panic!("{schema:?}: {error}"));
            }
        }
    }
}

#[test]
fn the_strict_dialect_loses_keywords_but_no_shapes() {
    let bounded = Schema::of::<Bounded>().unwrap();
    let strict = bounded.strict().unwrap();
    let left_out: Vec<(&str, &str)> = strict.left_out.iter().map(|l| (l.keyword.as_str(), l.path.as_str())).collect();
    assert_eq!(
        left_out,
        [("minLength", "/properties/code"), ("maxLength", "/properties/code"), ("uniqueItems", "/properties/tags")]
    );
    assert_eq!(strict.schema["properties"]["code"], json!({"type": "string", "pattern": "^[a-z]+$"}));
    assert!(std::ptr::eq(strict, bounded.strict().unwrap()));

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Open {
        id: u8,
        #[serde(flatten)]
        rest: serde_json::Map<String, Value>,
    }
    use super::Shape;
    for (schema, shape) in [
        (Schema::of::<Open>().unwrap(), Shape::Map),
        (Schema::of::<BTreeMap<String, i32>>().unwrap(), Shape::Map),
        (Schema::of::<BTreeMap<u8, i32>>().unwrap(), Shape::Map),
        (Schema::of::<serde_json::Map<String, Value>>().unwrap(), Shape::Map),
        (Schema::of::<(u8, u8)>().unwrap(), Shape::Tuple),
        (Schema::of::<Value>().unwrap(), Shape::Any),
        (Schema::from_value(json!({"type": "array"})).unwrap(), Shape::Any),
        (Schema::from_value(json!({"allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"minLength": 1}, {"type": "null"}]}]})).unwrap(), Shape::Intersection),
    ] {
        assert_eq!(schema.strict().unwrap_err().shape, shape, "{}", schema.plain());
    }
    assert_eq!(Schema::of::<Open>().unwrap().hint(), r#"{"id": integer, [key: string]: any}"#);
    assert_eq!(Schema::of::<serde_json::Map<String, Value>>().unwrap().hint(), r"{[key: string]: any}");
}

#[test]
fn rules_stand_in_the_hint() {
    let schema = Schema::from_value(json!({"type": "object", "required": ["age", "mail", "tags", "ratio", "when"], "properties": {
        "age": {"type": "integer", "minimum": 0, "maximum": 120, "description": "In years."},
        "mail": {"type": "string", "format": "email", "maxLength": 40},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 3, "uniqueItems": true},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
        "when": {"type": "string", "pattern": "^\\d{4}$", "description": "A year"},
    }}))
    .unwrap();
    assert_eq!(
        schema.hint(),
        "{\"age\": integer /* In years. 0 to 120 */, \"mail\": string /* at most 40 characters, e-mail address */, \
         \"tags\": (string /* at least 1 character */)[] /* 1 to 3 items, no item twice */, \
         \"ratio\": number /* more than 0, a multiple of 0.5 */, \"when\": string /* A year; matches ^\\d{4}$ */}"
    );
}

#[test]
fn a_schema_is_made_once_for_each_type() {
    fn one() -> &'static str {
        #[derive(JsonSchema)]
        struct Same {
            #[expect(dead_code, reason = "only its schema is used")]
            a: u8,
        }
        Schema::of::<Same>().unwrap().hint().to_owned().leak()
    }
    let other = {
        #[derive(JsonSchema)]
        struct Same {
            #[expect(dead_code, reason = "only its schema is used")]
            b: String,
        }
        Schema::of::<Same>().unwrap()
    };
    assert_eq!((one(), other.hint()), (r#"{"a": integer}"#, r#"{"b": string}"#));
    let (first, second) = (Schema::of::<Order>().unwrap(), Schema::of::<Order>().unwrap());
    assert!(std::ptr::eq(first.plain(), second.plain()));
}

#[test]
fn arguments_are_checked_as_a_whole() {
    use super::Reading::{Lenient, Strict};
    let check = |schema: &Value, given: Value, reading| {
        let (schema, _) = Schema::from_value_partial(schema.clone()).unwrap();
        let Value::Object(given) = given else { panic!() };
        let checked = schema.check_arguments(given, reading);
        (checked.value, checked.faults.faults.len())
    };
    let root = json!({"anyOf": [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}]});
    assert_eq!(check(&root, json!({"a": "3"}), Lenient), (json!({"a": 3}), 0));
    assert_eq!(check(&root, json!({"a": "3"}), Strict).1, 1);
    assert_eq!(check(&root, json!({"c": 1}), Lenient).1, 1);
    let amount = json!({"type": "object", "properties": {"amount": {"type": "integer", "maximum": 100}},
        "if": {"required": ["amount"]}, "then": {"required": ["reason"]}, "not": {"required": ["force"]}});
    assert_eq!(check(&amount, json!({"amount": "1000000; DROP TABLE"}), Lenient).1, 2);
    assert_eq!(check(&amount, json!({"amount": 5, "reason": "x", "force": true}), Lenient).1, 1);
    // What serde may read by an alias does not get past the rules.
    let (value, faults) = check(&amount, json!({"n": 1_000}), Lenient);
    assert_eq!((value, faults), (json!({}), 0));
    assert_eq!(check(&amount, json!({"n": 1_000}), Strict).1, 1);
    let nested = json!({"type": "object", "properties": {"o": {"type": "object", "properties": {"a": {"maximum": 1}}}}});
    assert_eq!(check(&nested, json!({"o": {"a": 1, "alias": 2}}), Lenient).0, json!({"o": {"a": 1}}));
    let open = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": true});
    assert_eq!(check(&open, json!({"z": 1}), Strict), (json!({"z": 1}), 0));
    let free = json!({"type": "object"});
    assert_eq!(check(&free, json!({"z": 1}), Lenient).0, json!({"z": 1}));
}

/// Schemas of a family that has most keywords.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({"type": "integer", "minimum": 0, "maximum": 9})),
        Just(json!({"type": ["string", "null"], "maxLength": 3})),
        Just(json!({"enum": ["Ab", "c", 1, null]})),
        Just(json!({"type": "number", "exclusiveMinimum": 0})),
        Just(json!({"$ref": "#/$defs/D"})),
        Just(json!({"const": [1]})),
        Just(json!(true)),
        Just(json!(false)),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let list = || proptest::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (inner.clone(), inner.clone(), any::<bool>()).prop_map(|(a, b, closed)| {
                let mut schema = json!({"type": "object", "properties": {"a": a, "b": b}, "required": ["a"]});
                if closed {
                    schema["additionalProperties"] = json!(false);
                }
                schema
            }),
            inner.clone().prop_map(|item| json!({"type": "array", "items": item, "uniqueItems": true})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"prefixItems": [a], "items": b})),
            list().prop_map(|parts| json!({"anyOf": parts})),
            list().prop_map(|parts| json!({"oneOf": parts, "minProperties": 1})),
            list().prop_map(|parts| json!({"allOf": parts, "unevaluatedProperties": false})),
            inner.clone().prop_map(|part| json!({"not": part})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"if": a, "then": b, "nullable": true})),
            inner.clone().prop_map(|part| json!({"patternProperties": {"^[ab]": part}})),
            inner.prop_map(|part| json!({"contains": part, "maxContains": 2})),
        ]
    })
    .prop_map(|mut schema| {
        if let Some(map) = schema.as_object_mut() {
            map.insert("$defs".to_owned(), json!({"D": {"type": "object", "properties": {"d": {"$ref": "#/$defs/D"}}}}));
        }
        schema
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..12).prop_map(Value::from),
        Just(json!(2.0)),
        Just(json!(0.5)),
        prop_oneof![Just("ab"), Just("AB"), Just("c"), Just(""), Just("long text")].prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-d]", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_read_fits(schema in any_schema(), value in any_value(), junk in "[{}\\[\\]\"',:a-d0-9 #/`<>]{0,40}") {
        let schema = Schema::from_value(schema).unwrap();
        let _ = (schema.hint(), schema.strict(), schema.name());
        let again = Schema::from_value(schema.plain().clone()).unwrap();
        let fits = schema.validate(&value).is_ok();
        // The normal form may name a type that is only meant, but lets through nothing that does not fit.
        prop_assert!(fits || again.validate(&schema.wrap(value.clone())).is_err(), "{} and {}", schema.plain(), value);
        for text in [value.to_string(), format!("So: {value} {junk}"), format!("{junk}{}", schema.wrap(value.clone())), junk.clone()] {
            if let Ok(parsed) = schema.parse(&text) {
                prop_assert!(schema.validate(&parsed.value).is_ok(), "{text} gave {}", parsed.value);
            }
        }
        // What fits is never changed, but for the spelling of whole numbers and of what is absent.
        if fits && (schema.is_wrapped() || value.is_object()) {
            let parsed = schema.parse(&schema.wrap(value.clone()).to_string()).unwrap();
            prop_assert_eq!(parsed.lenient, None);
        }
        if let Value::Object(map) = &value {
            for reading in [super::Reading::Lenient, super::Reading::Strict] {
                let checked = schema.check_arguments(map.clone(), reading);
                prop_assert_eq!(schema.validate(&checked.value).is_err() && checked.faults.faults.is_empty(), false);
            }
        }
    }

    #[test]
    fn strict_json_is_never_changed_by_leniency(value in any_value()) {
        let any = Schema::from_value(json!({"type": ["object", "array", "string", "number", "boolean", "null"]})).unwrap();
        let parsed = any.parse(&json!({"result": value}).to_string()).unwrap();
        prop_assert_eq!((parsed.value, parsed.lenient), (value, None));
    }
}
