//! The OpenAI-compatible backend on what llama.cpp's servers really sent: `tests/corpus/llama-cpp`.

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, ErrorKind, Event, FinishReason, Message, ModelOutput, RawRequest, Result, ToolSpec};
use mellea_http::testing::{Reply, Server, Step};
use mellea_openai::{Dialect, OpenAi};
use serde_json::{Value, json};

/// The two programs; each directory holds the same exchanges.
const PROGRAMS: [&str; 2] = ["llama-server", "llama-cpp-python"];

const RECORD: &str = r#"{"name":"Bob Stone","age":45}"#;

fn read(path: &str) -> Vec<u8> {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/llama-cpp");
    std::fs::read(format!("{corpus}/{path}")).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The recorded response, as the server sent it. A stream comes in pieces of seven bytes.
fn reply(program: &str, name: &str) -> Reply {
    let exchange: Value = serde_json::from_slice(&read(&format!("{program}/{name}.json"))).unwrap();
    let response = &exchange["response"];
    let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
    let content_type = response["headers"]["content-type"].as_str().unwrap();
    if let Some(stream) = response["stream"].as_str() {
        let end = response.get("cut").map(|_| Step::Cut);
        let body = [Step::send(read(&format!("{program}/{stream}")))];
        return Reply::stream(content_type, body.into_iter().chain(end)).chunk_size(7);
    }
    match response.get("body") {
        Some(body) => Reply::bytes(status, body.to_string(), content_type),
        None => Reply::text(status, response["text"].as_str().unwrap(), content_type),
    }
}

async fn asked(program: &str, name: &str) -> (Server, OpenAi) {
    let server = Server::start().await.unwrap();
    server.on("/v1/chat/completions").reply(reply(program, name));
    server.on("/v1/completions").reply(reply(program, name));
    let builder = OpenAi::builder().dialect(Dialect::LLAMA_CPP).base_url(format!("{}/v1", server.url())).model("pico");
    (server, builder.retry(mellea_http::Retry::never()).build().unwrap())
}

async fn answer(program: &str, name: &str) -> Result<ModelOutput> {
    let (_server, backend) = asked(program, name).await;
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut request = ChatRequest::new(vec![Message::user("hello")]).tools(vec![ToolSpec::new("get_time", "", parameters)]);
    request.options.stream = name.contains("stream") || name.starts_with("interrupt");
    let mut stream = backend.chat(request).await?;
    let mut output = ModelOutput::default();
    let mut finished = false;
    while let Some(event) = stream.next().await {
        match event? {
            Event::Text(text) => output.text.push_str(&text),
            Event::ToolCall(call) => output.tool_calls.push(call),
            Event::Usage(usage) => output.usage.update(usage),
            Event::Logprobs(tokens) => output.logprobs.extend(tokens),
            Event::Finish(reason) => (output.finish, finished) = (reason, true),
            _ => {}
        }
    }
    assert!(finished, "{program}/{name} ended without a finish");
    Ok(output)
}

#[tokio::test]
async fn answers_are_read() {
    for program in PROGRAMS {
        for name in ["chat", "chat-stream", "chat-stream-usage", "content-parts", "json-object", "json-object-with-schema"] {
            let output = answer(program, name).await.unwrap_or_else(|e| panic!("{program}/{name}: {e:?}"));
            assert_eq!((output.text.as_str(), &output.finish), (RECORD, &FinishReason::Stop), "{program}/{name}");
            let streamed_without = program == "llama-cpp-python" && name.contains("stream") || name == "chat-stream";
            let prompt_tokens = if streamed_without { None } else { Some(67) };
            assert_eq!(output.usage.prompt_tokens, prompt_tokens, "{program}/{name}");
        }
        for name in ["max-tokens", "max-tokens-stream"] {
            let output = answer(program, name).await.unwrap();
            assert_eq!((output.text.as_str(), &output.finish), ("{\"name\":\"Bo", &FinishReason::Length), "{program}/{name}");
        }
        assert_eq!(answer(program, "stop").await.unwrap().text, "{\"name\":\"Bob ");
        assert_eq!(answer(program, "tool-result-no-content").await.unwrap().text, "It is 15:20 in Lima.");
    }
}

#[tokio::test]
async fn tool_calls_are_read() {
    for name in ["tools", "tools-stream", "tools-auto", "tools-named", "tools-named-stream", "tools-required"] {
        let output = answer("llama-server", name).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let [call] = &output.tool_calls[..] else { panic!("{name}: {output:?}") };
        assert_eq!((call.name.as_str(), &call.arguments), ("get_time", &json!({"city": "Lima"})), "{name}");
        assert!(!call.id.is_empty());
        assert_eq!((output.text.as_str(), &output.finish), ("", &FinishReason::ToolCalls), "{name}");
    }
}

#[tokio::test]
async fn probabilities_are_read() {
    for program in PROGRAMS {
        for name in ["logprobs", "logprobs-stream"] {
            let output = answer(program, name).await.unwrap();
            let tokens: Vec<&str> = output.logprobs.iter().map(|token| token.token.as_str()).collect();
            assert_eq!(tokens, ["{\"", "name", "\":\""], "{program}/{name}");
            assert!(output.logprobs.iter().all(|token| token.top.len() == 2), "{program}/{name}");
        }
    }
}

#[tokio::test]
async fn refusals_have_their_kinds() {
    for program in PROGRAMS {
        let error = answer(program, "context-overflow").await.unwrap_err();
        let whole = ErrorKind::ContextWindowExceeded { prompt: Some(4811), limit: Some(1024) };
        assert_eq!(format!("{:?}", error.kind()), format!("{whole:?}"), "{program}");
        for name in ["bad-schema", "wrong-type", "bad-json", "wrong-method", "unknown-path"] {
            let error = answer(program, name).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Provider(_) | ErrorKind::ModelNotFound(_)), "{program}/{name}: {error:?}");
            assert!(error.status().is_some() && error.provider().is_some(), "{program}/{name}: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_stream_is_no_answer() {
    let result = answer("llama-cpp-python", "context-overflow-stream").await;
    assert!(matches!(result.as_ref().map_err(|e| e.kind()), Err(ErrorKind::StreamInterrupted)), "{result:?}");
}

/// llama-cpp-python says one call twice, as `tool_calls` and as the older `function_call`.
#[tokio::test]
async fn a_call_said_twice() {
    for name in ["tools-named", "tools-named-stream"] {
        let calls = answer("llama-cpp-python", name).await.unwrap().tool_calls;
        assert_eq!(calls.iter().map(|call| &call.arguments).collect::<Vec<_>>(), [&json!({"city": "Lima"})], "{name}");
    }
}

/// llama-cpp-python ends a stream that another call pushes aside with `[DONE]`, without a finish reason and without
/// the last chunk of HTTP.
#[tokio::test]
async fn a_stream_pushed_aside() {
    let error = answer("llama-cpp-python", "interrupted").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::StreamInterrupted), "{error:?}");
}

#[tokio::test]
async fn completions_are_read() {
    for (program, name, texts) in [
        ("llama-server", "completions-array", &["hellohellohellohello", " the the the the"][..]),
        ("llama-server", "completions", &["hellohellohellohello"]),
        ("llama-cpp-python", "completions", &["hello\\\".\",\"verdict\":\""]),
    ] {
        let (_server, backend) = asked(program, name).await;
        let results = backend.complete(texts.iter().map(|_| RawRequest::new("hello")).collect()).await;
        let got: Vec<String> = results.into_iter().map(|result| result.unwrap().text).collect();
        assert_eq!(got, texts, "{program}/{name}");
    }
}
