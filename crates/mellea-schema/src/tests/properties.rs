//! What holds for any value and any text.

use super::*;

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
            for reading in [crate::Reading::Lenient, crate::Reading::Strict] {
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
