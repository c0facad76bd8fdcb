//! Every kind of call, on a server that is well.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use mellea_core::testing::conformance::Fixture;
use mellea_core::{
    Backend, ErrorKind, Event, FinishReason, Format, Message, ModelOption, RawRequest, RepairTemplate, Session, ToolCall,
    backend_conformance, check, req,
};
use mellea_ollama::Ollama;
use serde_json::{Map, Value, json};

use super::{ASK, MAIL, RECORD, ask, backend, events, finish, greedy, host, model, person, schemas, text, time};

/// The rules of the trait, on a real server.
async fn fixture() -> Fixture {
    Fixture::new(backend())
        .no_wire("a real server is at the other end")
        .prompt(MAIL)
        .long_prompt(MAIL)
        .tool("What time is it in Lima?", time())
        .json(ASK, person())
        .raw_prompts(["Write an email to Bob", "Answer with JSON", "{\"name\":"])
}

backend_conformance!(ollama, fixture());

/// What the first line of the README does, by the name that it has there.
#[tokio::test]
async fn the_first_program_has_its_model() {
    let backend = Ollama::builder().host(host()).model("granite4.1:3b").connect().await.unwrap();
    let session = Session::new(backend);
    let mail = session.instruct("Write an email to {{name}} inviting them to the launch.").var("name", "Alice").await.unwrap();
    assert!(mail.value().contains("Alice"), "{}", mail.value());
    assert!(!session.chat("What is 2 + 3?").await.unwrap().value().is_empty());
}

#[tokio::test]
async fn a_record_is_read_streamed_and_not() {
    for stream in [false, true] {
        let mut request = ask(ASK).format(Format::JsonSchema(person()));
        request.options.stream = stream;
        let events = events(&backend(), request).await.unwrap();
        assert_eq!(text(&events), RECORD);
        assert_eq!(finish(&events), Some(&FinishReason::Stop));
        let usage = events.iter().find_map(|event| if let Event::Usage(usage) = event { Some(usage) } else { None }).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(67), Some(19)));
    }
}

#[tokio::test]
async fn held_out_examples_are_answered_as_the_reference_answers_them() {
    let backend = backend();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/mellea-pico/eval/heldout.jsonl");
    let held_out = std::fs::read_to_string(path).unwrap();
    let examples: Vec<Value> = held_out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (task, least) in [("extraction", 19), ("classification", 19), ("judge", 17)] {
        let of_task: Vec<&Value> = examples.iter().filter(|example| example["task"] == task).take(20).collect();
        let answers = join_all(of_task.iter().map(|example| async {
            let prompt = example["messages"][0]["content"].as_str().unwrap();
            text(&events(&backend, ask(prompt)).await.unwrap()) == example["answer"].as_str().unwrap()
        }))
        .await;
        let right = answers.into_iter().filter(|right| *right).count();
        assert!(right >= least, "{task}: {right} of 20");
    }
}

#[tokio::test]
async fn a_tools_result_is_used() {
    let question = Message::user("What time is it in Lima?");
    let call = ToolCall::new("get_time", json!({"city": "Lima"}));
    let mut turn = Message::assistant("");
    turn.tool_calls = vec![call.clone()];
    for stream in [false, true] {
        let mut request = ask("").tools(vec![time()]);
        request.messages = [question.clone(), turn.clone(), Message::tool(&call, "15:20")].into();
        request.options.stream = stream;
        assert_eq!(text(&events(&backend(), request).await.unwrap()), "It is 15:20 in Lima.");
    }
}

#[tokio::test]
async fn an_email_is_repaired_until_it_meets_its_requirements() {
    let session = Session::new(backend());
    let (mut met, mut repaired) = (0, 0);
    for seed in 0..8_u64 {
        let call = session.instruct("Write an email to {{name}} inviting them to the launch.").var("name", "Alice");
        let result = call
            .require("The email should have a salutation.")
            .require(req("Use only lower-case letters.").validate(|s| s == s.to_lowercase()))
            .require(check("Do not mention competitors."))
            .strategy(RepairTemplate::new(5))
            .option(ModelOption::Temperature, 0.8)
            .option(ModelOption::Seed, seed)
            .sample()
            .await
            .unwrap();
        if result.success() {
            let mail = result.value().unwrap();
            assert_eq!(*mail, mail.to_lowercase());
            met += 1;
            repaired += usize::from(result.attempts().len() > 1);
        }
    }
    assert!(met >= 5, "{met} of 8 met their requirements");
    assert!(repaired > 0, "none of {met} had to be repaired");
}

#[tokio::test]
async fn a_seed_repeats_a_sample() {
    let backend = backend();
    let mut texts = Vec::new();
    for seed in [7, 7, 8, 9, 10] {
        let mut request = ask(MAIL);
        (request.options.temperature, request.options.seed) = (Some(1.5), Some(seed));
        texts.push(text(&events(&backend, request).await.unwrap()));
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts.iter().any(|text| *text != texts[0]), "the seed changes nothing: {texts:?}");
}

#[tokio::test]
async fn limits_and_stop_sequences_end_an_answer() {
    let mut short = ask(ASK);
    short.options.max_new_tokens = Some(5);
    let short = events(&backend(), short).await.unwrap();
    assert_eq!((text(&short).as_str(), finish(&short)), ("{\"name\":\"Bo", Some(&FinishReason::Length)));

    let mut stopped = ask(ASK);
    stopped.options.stop_sequences = vec!["Stone".into()];
    let stopped = events(&backend(), stopped).await.unwrap();
    assert_eq!((text(&stopped).as_str(), finish(&stopped)), ("{\"name\":\"Bob ", Some(&FinishReason::Stop)));
}

#[tokio::test]
async fn probabilities_of_tokens_arrive() {
    for stream in [false, true] {
        let mut request = ask(ASK);
        request.options.stream = stream;
        request.options.max_new_tokens = Some(3);
        request.options.extra = Map::from_iter([("logprobs".to_owned(), json!(true)), ("top_logprobs".to_owned(), json!(2))]);
        let events = events(&backend(), request).await.unwrap();
        let all = events.iter().filter_map(|event| if let Event::Logprobs(tokens) = event { Some(tokens) } else { None });
        let tokens: Vec<_> = all.flatten().collect();
        assert_eq!(tokens.iter().map(|token| token.token.as_str()).collect::<Vec<_>>(), ["{\"", "name", "\":\""]);
        assert!(tokens.iter().all(|token| token.logprob > -0.001 && token.top.len() == 2), "{tokens:?}");
    }
}

#[tokio::test]
async fn a_prompt_longer_than_the_window_is_a_typed_error() {
    for stream in [false, true] {
        let mut request = ask(&"one two three ".repeat(600));
        request.options.stream = stream;
        let error = events(&backend(), request).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ContextWindowExceeded { .. }), "{error:?}");
        assert!(!error.is_retryable());
        assert_eq!((error.status(), error.model()), (Some(400), Some("pico")));
    }
}

#[tokio::test]
async fn texts_are_continued_in_order() {
    let mut options = greedy();
    options.max_new_tokens = Some(8);
    let requests = |prompts: &[&str]| prompts.iter().map(|p| RawRequest::new(*p).options(options.clone())).collect::<Vec<_>>();
    let prompts = ["{\"name\":", "Write an email to Bob", "Answer with JSON"];
    let backend = backend();
    let together: Vec<String> = backend.complete(requests(&prompts)).await.into_iter().map(|r| r.unwrap().text).collect();
    let mut alone = Vec::new();
    for prompt in prompts {
        alone.push(backend.complete(requests(&[prompt])).await.remove(0).unwrap().text);
    }
    assert_eq!(together, alone);
}

#[tokio::test]
async fn what_the_server_refuses_is_told_by_kind() {
    let missing = events(&model("no-such-model"), ask(ASK)).await.unwrap_err();
    assert!(matches!(missing.kind(), ErrorKind::ModelNotFound(_)), "{missing:?}");
    let mut thinking = ask(ASK);
    thinking.options.thinking = Some(mellea_core::Thinking::On);
    let refused = events(&backend(), thinking).await;
    assert!(refused.as_ref().err().is_none_or(|error| !error.is_retryable()), "{refused:?}");
    let nobody = mellea_http::testing::unused_address().unwrap();
    let away = Ollama::builder().host(nobody.url()).model("pico").build().unwrap();
    let error = events(&away, ask(ASK)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { .. }), "{error:?}");
}

#[tokio::test]
async fn more_calls_than_the_server_has_slots_are_all_answered() {
    let backend = backend();
    let calls = (0..24).map(|i| {
        let mut request = ask(ASK);
        request.options.stream = i % 2 == 0;
        let backend = &backend;
        async move { text(&events(backend, request).await.unwrap()) }
    });
    assert_eq!(join_all(calls).await, vec![RECORD; 24]);
}

#[tokio::test]
async fn no_schema_is_refused_and_none_ends_the_server() {
    let backend = backend();
    schemas::patterns(&backend, 2).await;
    schemas::shapes(&backend, 2).await;
    schemas::odd_ones(&backend).await;
}

/// A call that nobody waits for any longer ends on the server: the next one does not wait for it.
#[tokio::test]
async fn a_dropped_call_is_given_up_by_the_server() {
    let backend = backend();
    events(&backend, ask("Say hello.")).await.unwrap();
    for stream in [false, true] {
        // The grammar makes it long, whatever the model would say.
        let list = serde_json::json!({"type": "array", "items": {"type": "integer"}, "minItems": 400});
        let list = mellea_core::Schema::from_value(list).unwrap();
        let mut long = ask("Say hello.").format(mellea_core::Format::JsonSchema(list));
        long.options.stream = stream;
        long.options.max_new_tokens = Some(900);
        (long.options.temperature, long.options.seed) = (Some(2.0), Some(3));
        let calls: Vec<_> = (0..8).map(|_| events(&backend, long.clone())).collect();
        let given_up = tokio::time::timeout(Duration::from_millis(300), join_all(calls)).await;
        assert!(given_up.is_err(), "they were answered at once: {given_up:?}");
        let mut answer = backend.chat(ask(ASK)).await.unwrap();
        let first = tokio::time::timeout(Duration::from_secs(20), answer.next()).await;
        assert!(first.is_ok(), "the server goes on with what nobody waits for");
    }
}
