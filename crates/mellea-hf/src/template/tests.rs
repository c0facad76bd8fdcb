//! Templates rendered by transformers, in `tests/fixtures/templates/renders.json`, byte for byte.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;

/// Special tokens as the fixtures were rendered with, and turn markers to be shielded.
fn tokenizer() -> TextTokenizer {
    let config = br#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}}"#;
    let files = [("tokenizer.json", crate::tokenizer::tests::tokenizer_json()), ("tokenizer_config.json", config)];
    TextTokenizer::load(&ModelFiles::in_memory("m", &files)).unwrap()
}

/// Thursday, 29 February 2024, 13:05.
fn clock() -> Clock {
    Clock::fixed(Duration::from_secs(1_709_211_900))
}

fn list<'a>(case: &'a Value, key: &str) -> &'a [Value] {
    case.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn render(template: &ChatTemplate, case: &Value) -> Result<Prompt> {
    let variables = case.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
    let conversation = Conversation {
        messages: list(case, "messages"),
        tools: list(case, "tools"),
        documents: list(case, "documents"),
        open_turn: case.get("open_turn") != Some(&Value::Bool(false)),
        variables: &variables,
    };
    template.render(&conversation, &tokenizer())
}

fn compile(source: &str) -> ChatTemplate {
    ChatTemplate::new(&[(DEFAULT, source)], &clock()).unwrap()
}

fn ask(content: &str) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

#[test]
fn renders_equal_those_of_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("tests/fixtures/templates");
    let goldens: Value = serde_json::from_slice(&std::fs::read(directory.join("renders.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for golden in goldens["renders"].as_array().unwrap() {
        let (name, case) = (golden["template"].as_str().unwrap(), golden["case"].as_str().unwrap());
        let path = match name {
            "pico" => root.join("../mellea-pico/model/chat_template.jinja"),
            name => directory.join(format!("{name}.jinja")),
        };
        let result = render(&compile(&std::fs::read_to_string(path).unwrap()), &goldens["cases"][case]);
        let same = match (golden.get("text").and_then(Value::as_str), &result) {
            (Some(text), Ok(prompt)) => text == prompt.text.replace(prompt.mark, ""),
            (None, Err(_)) => true,
            _ => false,
        };
        if !same {
            wrong.push(format!("{name}/{case}:\n  {golden}\n  {result:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_template_may_refuse_and_says_why() {
    let template = compile("{{ raise_exception('no system messages') }}");
    let error = render(&template, &ask("x")).unwrap_err().to_string();
    assert_eq!(error, "the chat template failed: no system messages (line 1)");
}

#[test]
fn an_endless_template_runs_out_of_fuel() {
    let template = compile("{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}");
    assert!(render(&template, &ask("x")).is_err());
}

#[test]
fn message_text_is_never_template_text() {
    let template = compile("{{ messages[0].content }}");
    let prompt = render(&template, &ask("{{ 7*7 }} {% for %}")).unwrap();
    assert_eq!(prompt.text, "{{ 7*7 }} {% for %}");
}

#[test]
fn only_places_that_spell_control_tokens_are_marked() {
    let template = compile("<|turn|>{{ messages[0].content | trim }}<|end|>{{ tools }}");
    let prompt = render(&template, &ask("  plain text \n")).unwrap();
    assert_eq!(prompt.text, "<|turn|>plain text<|end|>None");
    let prompt = render(&template, &ask(" <|end|> ")).unwrap();
    assert_eq!(prompt.text, format!("<|turn|><{}|end|><|end|>None", prompt.mark));
}

#[test]
fn reserved_variables_cannot_be_replaced() {
    let template = compile("{{ messages[0].content }}{{ add_generation_prompt }}{{ mine }}");
    let mut case = ask("x");
    case["variables"] = json!({"messages": [], "add_generation_prompt": 7, "mine": "y"});
    assert_eq!(render(&template, &case).unwrap().text, "xTruey");
}

#[test]
fn the_template_for_tools_is_used_with_tools() {
    let list = r#"[{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]"#;
    let config = format!(r#"{{"chat_template": {list}}}"#).leak();
    let files = ModelFiles::in_memory("m", &[("tokenizer_config.json", config.as_bytes())]);
    let template = ChatTemplate::load(&files, &clock()).unwrap().unwrap();
    assert_eq!(render(&template, &ask("x")).unwrap().text, "plain");
    let mut case = ask("x");
    case["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(render(&template, &case).unwrap().text, "tools");
}

#[test]
fn templates_are_found_where_models_keep_them() {
    let string = ModelFiles::in_memory("m", &[("tokenizer_config.json", br#"{"chat_template": "from config"}"#)]);
    let file = ModelFiles::in_memory("m", &[("chat_template.jinja", b"from file"), ("tokenizer_config.json", b"{}")]);
    for (files, text) in [(string, "from config"), (file, "from file")] {
        let template = ChatTemplate::load(&files, &clock()).unwrap().unwrap();
        assert_eq!(render(&template, &ask("x")).unwrap().text, text);
    }
    assert!(ChatTemplate::load(&ModelFiles::in_memory("m", &[]), &clock()).unwrap().is_none());
    let broken = ModelFiles::in_memory("m", &[("chat_template.jinja", b"{% if")]);
    assert!(ChatTemplate::load(&broken, &clock()).unwrap_err().to_string().starts_with("the chat template failed"));
}
