//! Random walks through constraints: whatever the weights, what comes out fits.

use serde_json::json;

use super::*;
use crate::sampler::{Sampler, Sampling};

fn factory() -> (TextTokenizer, GrammarFactory) {
    let tokenizer = crate::tokenizer::tests::tokenizer();
    // Three rows more than the tokenizer has.
    let factory = GrammarFactory::new(&tokenizer, 262, &[257]).unwrap();
    (tokenizer, factory)
}

/// Generates with flat logits, so that the constraint alone decides; the end token ends it.
fn walk(tokenizer: &TextTokenizer, factory: &GrammarFactory, constraint: &Constraint, seed: u64) -> String {
    let mut state = factory.compile(constraint).unwrap();
    let mut sampler = Sampler::new(Sampling { temperature: 1.0, seed: Some(seed), ..Sampling::default() });
    let mut tokens = Vec::new();
    while !state.is_complete() && tokens.len() < 400 {
        let mut logits = vec![0.0; 262];
        // Without a push towards the quote, strings would rarely end.
        logits[usize::from(b'"')] = 4.0;
        let token = sampler.next(&mut logits, &[], &tokens, |logits| state.mask(logits)).unwrap();
        assert!(token < 258, "{token} is no token");
        if token == 257 {
            break;
        }
        state.accept(token).unwrap();
        tokens.push(token);
    }
    tokenizer.decode(&tokens).unwrap()
}

#[test]
fn json_fits_its_schema_and_is_compact() {
    let (tokenizer, factory) = factory();
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["name", "age", "kind"],
        "properties": {
            "name": {"type": "string", "maxLength": 12},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
            "kind": {"oneOf": [{"const": "a"}, {"const": "b"}]},
            "note": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
        },
    });
    for seed in 0..40 {
        let text = walk(&tokenizer, &factory, &Constraint::JsonSchema(schema.clone()), seed);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(value["age"].as_u64().unwrap() <= 150, "{text}");
        assert!(["a", "b"].contains(&value["kind"].as_str().unwrap()), "{text}");
        assert!(text.starts_with("{\"name\":\"") && !text.ends_with(char::is_whitespace), "{text}");
    }
}

#[test]
fn a_regex_is_matched_as_a_whole() {
    let (tokenizer, factory) = factory();
    for seed in 0..20 {
        let text = walk(&tokenizer, &factory, &Constraint::Regex("(yes|no), [0-9]{2}".to_owned()), seed);
        let rest = text.strip_prefix("yes, ").or_else(|| text.strip_prefix("no, ")).unwrap();
        assert!(rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    }
}

#[test]
fn a_schema_cannot_bring_its_own_style() {
    let (tokenizer, factory) = factory();
    let schema = json!({
        "x-guidance": {"whitespace_pattern": "( |evil)*", "item_separator": "evil", "nonsense": 1},
        "type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": false,
    });
    for seed in 0..10 {
        let text = walk(&tokenizer, &factory, &Constraint::JsonSchema(schema.clone()), seed);
        assert!(text == "{\"a\":true}" || text == "{\"a\":false}", "{text}");
    }
}

#[test]
fn what_a_grammar_cannot_say_is_left_out_of_it() {
    let (_, factory) = factory();
    for schema in [
        json!({"type": "object", "propertyNames": {"pattern": "x"}}),
        json!({"type": "string", "format": "no-such-format"}),
        json!({"type": "array", "uniqueItems": true}),
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "if": {"required": ["a"]}, "then": {"required": ["b"]}}),
    ] {
        factory.compile(&Constraint::JsonSchema(schema)).unwrap();
    }
}

#[test]
fn what_is_not_a_schema_is_refused() {
    let (_, factory) = factory();
    for (schema, keyword) in [(json!("text"), "object"), (json!({"type": "string", "pattern": "("}), "(")] {
        let error = factory.compile(&Constraint::JsonSchema(schema)).unwrap_err().to_string();
        assert!(error.starts_with("cannot constrain the output") && error.contains(keyword), "{error}");
    }
    assert!(factory.compile(&Constraint::Regex("(".to_owned())).is_err());
}

#[test]
fn very_long_tokens_do_not_break_the_vocabulary() {
    let words: Vec<Vec<u8>> = vec![vec![b'-'; 80], b"a".to_vec()];
    assert!(guarded(|| TokTrie::from(&TokRxInfo::new(2, 1), &words)).is_ok() || words[0].len() > LONGEST_TOKEN);
}
