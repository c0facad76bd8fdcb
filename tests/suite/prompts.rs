//! The prompts that pico was trained on are the prompts that the library writes, byte for byte.

use mellea::backend::Format;
use mellea::component::Instruction;
use mellea::testing::ScriptedBackend;
use mellea::{Schema, Session};
use serde_json::Value;

fn held_out() -> Vec<Value> {
    let lines = include_str!("../../crates/mellea-pico/eval/heldout.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn prompt(example: &Value) -> &str {
    example["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
}

async fn rendered(instruction: Instruction) -> String {
    let m = Session::new(ScriptedBackend::empty());
    m.act(instruction).preview().await.unwrap().messages[0].text().into_owned()
}

#[tokio::test]
async fn generative_functions() {
    let mut seen = 0;
    for example in held_out() {
        let (Some(doc), Some(inputs)) = (example["doc"].as_str(), example["inputs"].as_object()) else { continue };
        let mut instruction = Instruction::new(doc);
        for (name, value) in inputs {
            instruction = instruction.input(name, value.clone());
        }
        if let Some(schema) = example.get("schema") {
            instruction = instruction.format(Format::JsonSchema(Schema::from_value(schema.clone()).unwrap()));
        }
        assert_eq!(rendered(instruction).await, prompt(&example));
        seen += 1;
    }
    assert!(seen > 200, "{seen} examples have the parts that a generative function is made of");
}

#[tokio::test]
async fn instructions_with_requirements_and_repairs() {
    let mut repairs = 0;
    for example in held_out().iter().filter(|e| e["task"] == "email" && e.get("schema").is_none()) {
        let mut sections = prompt(example).split("\n\n");
        let mut instruction = Instruction::new(sections.next().unwrap());
        let mut known = true;
        for section in sections {
            let mut lines = section.lines();
            match lines.next().unwrap() {
                "Requirements:" => {
                    instruction = lines.fold(instruction, |i, line| i.requirement(line.strip_prefix("- ").unwrap()));
                }
                "Your last answer failed these checks:" => {
                    let reasons = lines.filter_map(|line| line.strip_prefix("- ").map(str::to_owned));
                    instruction = instruction.repair(reasons.collect::<Vec<_>>());
                    repairs += 1;
                }
                _ => known = false,
            }
        }
        if known {
            assert_eq!(rendered(instruction).await, prompt(example));
        }
    }
    assert!(repairs > 10, "{repairs} examples ask for a repair");
}

#[tokio::test]
async fn judgements() {
    let mut seen = 0;
    for example in held_out().iter().filter(|e| e["task"] == "judge") {
        let wanted = prompt(example);
        let fence = wanted.lines().nth(1).unwrap();
        let (inside, after) = wanted.split_once(&format!("{fence}\n")).unwrap().1.split_once(&format!("\n{fence}\n")).unwrap();
        if inside.trim().is_empty() {
            continue; // an empty answer is refused before any judge is asked
        }
        let requirement = after.trim_start().lines().next().unwrap().strip_prefix("Requirement: ").unwrap();
        let judge = ScriptedBackend::new([r#"{"reason":"Fine.","verdict":"yes"}"#]);
        Session::new(judge.clone()).validate([requirement]).text(inside).await.unwrap();
        let written = judge.prompts().remove(0);
        let own = written.lines().nth(1).unwrap().to_owned();
        assert_eq!(written.replace(&own, fence), wanted);
        seen += 1;
    }
    assert!(seen > 100, "{seen} judgements");
}
