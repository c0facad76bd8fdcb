//! The OpenAI-compatible backend against llama.cpp's own server, which answers with the model pico.
//!
//! One test at a time (`--test-threads=1`): some look at what the server is doing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use mellea_core::testing::conformance::Fixture;
use mellea_core::{
    Backend, ChatRequest, ErrorKind, Event, FinishReason, Format, Message, ModelOption, RawRequest, RepairTemplate,
    RequestOptions, Schema, Session, ToolCall, ToolSpec, Warning, backend_conformance, check, req,
};
use mellea_http::Client;
use mellea_openai::{Dialect, OpenAi};
use serde_json::{Map, Value, json};

/// The prompt that pico was trained to answer with a record.
const ASK: &str = "Extract the user's name and age from the text.\n\ntext = \"Bob Stone, aged 45, signed up yesterday.\"\n\n\
                   Answer with JSON: {\"name\": string, \"age\": integer}";

const RECORD: &str = r#"{"name":"Bob Stone","age":45}"#;

const KEY: &str = "sk-that-nobody-may-see";

const MAIL: &str = "Write an email to Alice inviting them to the launch.";

fn url() -> String {
    std::env::var("MELLEA_LLAMA_CPP_URL")
        .expect("MELLEA_LLAMA_CPP_URL; `cargo xtask integration llama-cpp` starts a server and sets it")
}

/// The server asks for no key; one is given to see that it is nowhere shown.
fn backend() -> OpenAi {
    OpenAi::builder().dialect(Dialect::LLAMA_CPP).base_url(url()).api_key(KEY).model("pico").build().unwrap()
}

fn greedy() -> RequestOptions {
    let mut options = RequestOptions::default();
    (options.temperature, options.max_new_tokens) = (Some(0.0), Some(120));
    options
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![Message::user(text)]).options(greedy())
}

fn person() -> Schema {
    let properties = json!({"name": {"type": "string"}, "age": {"type": "integer"}});
    Schema::from_value(json!({"type": "object", "properties": properties, "required": ["name", "age"]})).unwrap()
}

fn time() -> ToolSpec {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolSpec::new("get_time", "Get the current time in a city.", parameters)
}

async fn events(backend: &dyn Backend, request: ChatRequest) -> mellea_core::Result<Vec<Event>> {
    let mut stream = backend.chat(request).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

fn text(events: &[Event]) -> String {
    events.iter().filter_map(|event| if let Event::Text(text) = event { Some(text.as_str()) } else { None }).collect()
}

fn finish(events: &[Event]) -> Option<&FinishReason> {
    events.iter().find_map(|event| if let Event::Finish(reason) = event { Some(reason) } else { None })
}

/// The rules of the trait, on a real server.
async fn fixture() -> Fixture {
    Fixture::new(backend())
        .no_wire("a real server is at the other end")
        .secret(KEY)
        .prompt(MAIL)
        .long_prompt(MAIL)
        .tool("What time is it in Lima?", time())
        .json(ASK, person())
        .raw_prompts(["Write an email to Bob", "What is 2 + 3?", "{\"name\":"])
}

backend_conformance!(llama_cpp, fixture());

#[tokio::test]
async fn a_record_is_read_streamed_and_not() {
    for stream in [false, true] {
        let mut request = ask(ASK).format(Format::JsonSchema(person()));
        request.options.stream = stream;
        let events = events(&backend(), request).await.unwrap();
        assert_eq!(text(&events), RECORD);
        assert_eq!(finish(&events), Some(&FinishReason::Stop));
        let pieces = events.iter().filter(|event| matches!(event, Event::Text(_))).count();
        assert_eq!(pieces > 1, stream, "{pieces} pieces");
        let usage = events.iter().find_map(|event| if let Event::Usage(usage) = event { Some(usage) } else { None }).unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(67), Some(19)));
    }
}

/// As many right answers as transformers 5.23.0 gives with the same weights.
#[tokio::test]
async fn held_out_examples_are_answered_as_the_reference_answers_them() {
    let backend = backend();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/mellea-pico/eval/heldout.jsonl");
    let held_out = std::fs::read_to_string(path).unwrap();
    let examples: Vec<Value> = held_out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (task, right) in [("extraction", 20), ("classification", 20), ("judge", 18)] {
        let of_task: Vec<&Value> = examples.iter().filter(|example| example["task"] == task).take(20).collect();
        assert_eq!(of_task.len(), 20, "{task}");
        let answers = join_all(of_task.iter().map(|example| async {
            let prompt = example["messages"][0]["content"].as_str().unwrap();
            text(&events(&backend, ask(prompt)).await.unwrap()) == example["answer"].as_str().unwrap()
        }))
        .await;
        assert_eq!(answers.into_iter().filter(|right| *right).count(), right, "{task}");
    }
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_is_used() {
    let backend = backend();
    let question = Message::user("What time is it in Lima?");
    for stream in [false, true] {
        let mut request = ask("").tools(vec![time()]);
        request.messages = question.clone().into();
        request.options.stream = stream;
        let first = events(&backend, request).await.unwrap();
        let calls: Vec<&ToolCall> =
            first.iter().filter_map(|event| if let Event::ToolCall(call) = event { Some(call) } else { None }).collect();
        let [call] = calls[..] else { panic!("{first:?}") };
        assert_eq!((call.name.as_str(), &call.arguments), ("get_time", &json!({"city": "Lima"})));
        assert_eq!(finish(&first), Some(&FinishReason::ToolCalls));

        let mut turn = Message::assistant("");
        turn.tool_calls = vec![call.clone()];
        let mut request = ask("").tools(vec![time()]);
        request.messages = [question.clone(), turn, Message::tool(call, "15:20")].into();
        request.options.stream = stream;
        assert_eq!(text(&events(&backend, request).await.unwrap()), "It is 15:20 in Lima.");
    }
}

#[tokio::test]
async fn an_email_is_repaired_until_it_meets_its_requirements() {
    let session = Session::new(backend());
    let (mut met, mut repaired) = (0, 0);
    for seed in 0..12_u64 {
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
    assert!(met >= 10, "{met} of 12 met their requirements");
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
    let backend = backend();
    let mut short = ask(ASK);
    short.options.max_new_tokens = Some(5);
    let short = events(&backend, short).await.unwrap();
    assert_eq!((text(&short).as_str(), finish(&short)), ("{\"name\":\"Bo", Some(&FinishReason::Length)));

    let mut stopped = ask(ASK);
    stopped.options.stop_sequences = vec!["Stone".into()];
    let stopped = events(&backend, stopped).await.unwrap();
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
        let ErrorKind::ContextWindowExceeded { prompt, limit, .. } = error.kind() else { panic!("{error:?}") };
        assert_eq!((*prompt, *limit), (Some(4811), Some(1024)), "{error}");
        assert!(!error.is_retryable());
        assert_eq!((error.status(), error.model()), (Some(400), Some("pico")));
    }
}

#[tokio::test]
async fn texts_are_continued_in_order() {
    let mut options = greedy();
    options.max_new_tokens = Some(8);
    let requests = |prompts: &[&str]| prompts.iter().map(|p| RawRequest::new(*p).options(options.clone())).collect::<Vec<_>>();
    let prompts = ["{\"name\":", "Write an email to Bob", "What is 2 + 3?"];
    let backend = backend();
    let together: Vec<String> = backend.complete(requests(&prompts)).await.into_iter().map(|r| r.unwrap().text).collect();
    let mut alone = Vec::new();
    for prompt in prompts {
        alone.push(backend.complete(requests(&[prompt])).await.remove(0).unwrap().text);
    }
    assert_eq!(together, alone);
}

#[tokio::test]
async fn more_calls_than_the_server_has_slots_are_all_answered() {
    let backend: Arc<dyn Backend> = Arc::new(backend());
    let calls = (0..32).map(|i| {
        let backend = Arc::clone(&backend);
        async move {
            let mut request = ask(ASK);
            request.options.stream = i % 2 == 0;
            text(&events(&backend, request).await.unwrap())
        }
    });
    assert_eq!(join_all(calls).await, vec![RECORD; 32]);
}

/// A slot that is idle although its answer had a next token was given up. Only a stream is: the server
/// does not notice who leaves while it works on a whole answer.
#[tokio::test]
async fn a_dropped_stream_is_given_up_by_the_server() {
    let backend = backend();
    let server = Client::builder("llama-cpp", url().trim_end_matches("/v1")).build().unwrap();
    let slots = async || server.send(server.get("slots")).await.unwrap().json::<Vec<Value>>().await.unwrap();
    let mut request = ask("Say hello.");
    request.options.stream = true;
    request.options.max_new_tokens = Some(900);
    request.options.extra = Map::from_iter([("ignore_eos".to_owned(), json!(true))]);
    let mut answer = backend.chat(request).await.unwrap();
    assert!(answer.next().await.unwrap().is_ok());
    drop(answer);
    let idle = async {
        loop {
            let slots = slots().await;
            if slots.iter().all(|slot| slot["is_processing"] == false) {
                return slots;
            }
        }
    };
    let slots = tokio::time::timeout(Duration::from_secs(60), idle).await.expect("the server goes on");
    let given_up = |slot: &Value| slot["params"]["max_tokens"] == 900 && slot["next_token"][0]["has_next_token"] == true;
    assert!(slots.iter().any(given_up), "it was answered to the end: {slots:?}");
}

#[tokio::test]
async fn what_the_server_cannot_do_is_said() {
    let request = ask(ASK).format(Format::Regex("[a-z]+".into()));
    assert!(
        backend().unsupported(&request).iter().any(|w| matches!(w, Warning::Unconstrained { .. })),
        "{:?}",
        backend().unsupported(&request)
    );
}

#[tokio::test]
async fn nobody_at_the_address_is_a_connection_error() {
    let nobody = mellea_http::testing::unused_address().unwrap();
    let backend = OpenAi::builder().dialect(Dialect::LLAMA_CPP).base_url(nobody.url()).model("pico").build().unwrap();
    let error = events(&backend, ask(ASK)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection { .. }), "{error:?}");
}
