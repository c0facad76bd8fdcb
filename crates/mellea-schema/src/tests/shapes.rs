//! What each shape of Rust type becomes: the hint, the plain schema and the strict one.

use super::*;

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
    use crate::Shape;
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
