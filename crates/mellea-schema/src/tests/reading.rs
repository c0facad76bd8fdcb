//! Which value is read out of which text.

use super::*;

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
        assert!(object.parse_with(text, crate::Reading::Strict).is_err(), "{text}");
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
                assert!(schema.parse_with(&given.to_string(), crate::Reading::Strict).is_err(), "{given}");
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
fn a_name_that_stands_twice_with_different_values_is_a_fault() {
    use crate::Reading::{Lenient, Strict};
    let order = Schema::of::<Order>().unwrap();
    let list = Schema::of::<Vec<Line>>().unwrap();
    let good = r#"{"buyer": {"name": "A", "age": 3}, "lines": []}"#;
    let twice = r#"{"buyer": {"name": "A", "age": 3, "\u0061ge": 4}, "lines": []}"#;
    for (schema, text, readings, paths) in [
        (&order, twice.to_owned(), &[Lenient, Strict][..], &["/buyer/age"][..]),
        (&order, format!("```json\n{twice}\n```"), &[Lenient], &["/buyer/age"]),
        (&order, format!("Here it is: {twice} Bye."), &[Lenient], &["/buyer/age"]),
        // A draft does not become the answer because the answer has a name twice.
        (&order, format!("Draft: {good} Final answer: {twice}"), &[Lenient], &["/buyer/age"]),
        (&order, Value::from(twice).to_string(), &[Lenient], &["/buyer/age"]),
        (&order, twice.replace("\"lines\"", "'lines'"), &[Lenient], &["/buyer/age"]),
        (
            &order,
            r#"{"buyer": {"name": "A", "age": 3}, "lines": [], "note": "x", "note": null}"#.into(),
            &[Lenient, Strict],
            &["/note"],
        ),
        // All faults are told.
        (
            &order,
            r#"{"buyer": {"name": 1, "age": 3, "age": 4}, "lines": []}"#.into(),
            &[Lenient, Strict],
            &["/buyer/age", "/buyer/name"],
        ),
        (
            &list,
            r#"{"result": [{"sku": "a", "weight": 1}, {"sku": "b", "sku": "c", "weight": 1}]}"#.into(),
            &[Lenient, Strict],
            &["/result/1/sku"],
        ),
        (&list, r#"So: [{"sku": "b", "sku": "c", "weight": 1}]"#.into(), &[Lenient], &["/0/sku"]),
        (&list, r#"{"result": [], "result": [{"sku": "a", "weight": 1}]}"#.into(), &[Lenient, Strict], &["/result"]),
    ] {
        for reading in readings {
            let error = schema.parse_with(&text, *reading).unwrap_err();
            let SchemaError::Mismatch(found) = error else { panic!("{text}: {error}") };
            let found: Vec<&str> = found.faults.iter().map(|fault| fault.path.as_str()).collect();
            assert_eq!(found, paths, "{text}");
        }
    }
    // Said twice alike, it is said once; and a draft with a fault is a draft.
    for text in [
        r#"{"buyer": {"name": "A", "age": 3, "age": 3.0}, "lines": [], "lines": []}"#.to_owned(),
        format!("Draft: {twice} Final answer: {good}"),
    ] {
        assert_eq!(order.parse(&text).unwrap().value["buyer"]["name"], "A", "{text}");
    }
    assert_eq!(crate::json_values(&format!("{twice} {good}")).count(), 1);
}
