use super::*;
use crate::component::{Component, Instruction, Refusal};
use crate::thunk::Thunk;

async fn text(instruction: &Instruction) -> Result<String> {
    let messages = render(&Prompts::new(), "some-model", Component::representation(instruction)?).await?;
    Ok(messages[0].text().into_owned())
}

#[tokio::test]
async fn a_plain_instruction_is_its_description() {
    assert_eq!(text(&Instruction::new("Count.")).await.unwrap(), "Count.");
}

#[tokio::test]
async fn every_section_has_its_place() {
    let instruction = Instruction::new("Write to {{name}}.")
        .prefix("You are brief.")
        .var("name", "Alice")
        .input("tone", "warm")
        .grounding("doc0", "The launch of {{name}} is on Friday.")
        .requirement("Mention {{name}}.")
        .requirement("Be kind.")
        .example("a", "b")
        .example_answer("c")
        .output_prefix("Dear");
    let repaired = Component::repair(&instruction, Refusal::new(["Too long."])).unwrap();
    let messages = render(&Prompts::new(), "some-model", repaired).await.unwrap();
    insta::assert_snapshot!(messages[0].text());
}

#[tokio::test]
async fn values_are_data_and_never_templates() {
    let hostile = "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}";
    let instruction = Instruction::new("Repeat {{text}}.").var("text", hostile);
    assert_eq!(text(&instruction).await.unwrap(), format!("Repeat {hostile}."));
    let literal = Instruction::new(hostile);
    assert_eq!(text(&literal).await.unwrap(), hostile, "without variables braces are just braces");
}

#[tokio::test]
async fn undefined_and_unused_variables_are_errors_by_name() {
    let undefined = text(&Instruction::new("Write to {{nome}}.").var("name", "Alice")).await.unwrap_err();
    assert!(matches!(undefined.kind(), ErrorKind::UndefinedVariable { variable, .. } if variable == "nome"), "{undefined}");
    let unused = text(&Instruction::new("Write.").var("name", "Alice")).await.unwrap_err();
    assert!(matches!(unused.kind(), ErrorKind::UnusedVariable(name) if name == "name"), "{unused}");
}

#[tokio::test]
async fn templates_that_do_not_parse_or_never_end_are_errors() {
    let broken = text(&Instruction::new("{% if %}{{name}}").var("name", "x")).await.unwrap_err();
    assert!(matches!(broken.kind(), ErrorKind::Template { .. }), "{broken}");
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{name}}{% endfor %}{% endfor %}";
    let endless = text(&Instruction::new(endless).var("name", "x")).await.unwrap_err();
    assert!(matches!(endless.kind(), ErrorKind::Template { .. }), "{endless}");
}

#[tokio::test]
async fn an_empty_instruction_is_refused() {
    assert!(matches!(text(&Instruction::new(" \n")).await.unwrap_err().kind(), ErrorKind::EmptyPrompt));
}

#[tokio::test]
async fn answers_on_their_way_can_be_parts() {
    let instruction = Instruction::new("Join {{a}} and {{b}}.").var("b", Thunk::from("two")).var("a", Thunk::from("one"));
    assert_eq!(text(&instruction).await.unwrap(), "Join one and two.");
}

#[tokio::test]
async fn templates_can_be_replaced_for_all_or_for_some_models() {
    let prompts = Prompts::new()
        .replace("instruction", "all: {{ description }}")
        .and_then(|p| p.replace_for("Granite", "instruction", "granite: {{ description }}"))
        .and_then(|p| p.replace_for("granite4.1", "instruction", "granite 4.1: {{ description }}"))
        .unwrap();
    for (model, expected) in [("llama", "all: x"), ("ibm/granite-3", "granite: x"), ("granite4.1:3b", "granite 4.1: x")] {
        let representation = Component::representation(&Instruction::new("x")).unwrap();
        assert_eq!(render(&prompts, model, representation).await.unwrap()[0].text(), expected);
    }
    assert!(Prompts::new().replace("query", "{{").is_err());
}

#[test]
fn every_built_in_template_parses() {
    for name in Prompts::NAMES {
        assert!(Prompts::new().environment.get_template(name).is_ok(), "{name}");
    }
}
