//! Which values fit, and what is said of those that do not.

use super::*;

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
fn arguments_are_checked_as_a_whole() {
    use crate::Reading::{Lenient, Strict};
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
