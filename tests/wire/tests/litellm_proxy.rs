//! The OpenAI-compatible backend through LiteLLM's proxy, which stands before a scripted server.

#[path = "proxy/mod.rs"]
mod proxy;

use futures_util::StreamExt;
use mellea_core::{
    Backend, ChatRequest, ErrorKind, Event, FinishReason, Message, ModelOutput, Result, ToolCall, ToolSpec, Usage,
};
use mellea_openai::OpenAi;
use serde_json::json;

use proxy::{KEY, Proxy};

/// Runs a test on the runtime that the scripted server lives on.
fn run<T>(test: impl AsyncFnOnce(&Proxy) -> T) -> T {
    let proxy = Proxy::shared();
    proxy.runtime.block_on(test(proxy))
}

fn backend(proxy: &Proxy, model: &str) -> OpenAi {
    OpenAi::builder().base_url(proxy.url()).api_key(KEY).model(model).build().unwrap()
}

fn ask(stream: bool) -> ChatRequest {
    let mut request = ChatRequest::new(vec![Message::user("Say hello.")]);
    request.options.stream = stream;
    request
}

async fn answer(backend: &dyn Backend, request: ChatRequest) -> Result<ModelOutput> {
    let mut stream = backend.chat(request).await?;
    let mut output = ModelOutput::default();
    while let Some(event) = stream.next().await {
        match event? {
            Event::Text(text) => output.text.push_str(&text),
            Event::ToolCall(call) => output.tool_calls.push(call),
            Event::Usage(usage) => output.usage.update(usage),
            Event::Finish(reason) => output.finish = reason,
            _ => {}
        }
    }
    Ok(output)
}

#[test]
fn an_answer_comes_through_under_the_name_that_the_proxy_gives() {
    run(async |proxy| {
        for stream in [false, true] {
            let output = answer(&backend(proxy, "small"), ask(stream)).await.unwrap();
            assert_eq!((output.text.as_str(), &output.finish), ("Hello from far away.", &FinishReason::Stop));
            assert_eq!(output.usage.total_tokens(), Usage::new(7, 5).total_tokens());
        }
        for request in proxy.asked("answers") {
            assert_eq!(request.header("authorization"), Some("Bearer key-of-the-proxy"), "the proxy has a key of its own");
            assert!(!request.text().contains(KEY));
        }
    });
}

#[test]
fn a_tool_call_goes_there_and_back() {
    run(async |proxy| {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let tool = ToolSpec::new("get_time", "Get the current time in a city.", parameters.clone());
        let backend = backend(proxy, "tools");
        let first = answer(&backend, ask(false).tools(vec![tool.clone()])).await.unwrap();
        let [call] = &first.tool_calls[..] else { panic!("{first:?}") };
        assert_eq!((call.name.as_str(), &call.arguments), ("get_time", &json!({"city": "Lima"})));
        assert_eq!(first.finish, FinishReason::ToolCalls);

        let mut turn = Message::assistant("");
        turn.tool_calls = vec![ToolCall::with_id("call_7", "get_time", json!({"city": "Lima"}))];
        let mut request = ask(false).tools(vec![tool]);
        request.messages.extend([turn.clone(), Message::tool(&turn.tool_calls[0], "15:20")]);
        answer(&backend, request).await.unwrap();
        let sent = proxy.asked("calls").last().unwrap().json();
        assert_eq!(sent["tools"][0]["function"]["parameters"], parameters);
        assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], "call_7");
        assert_eq!((&sent["messages"][2]["role"], &sent["messages"][2]["tool_call_id"]), (&json!("tool"), &json!("call_7")));
    });
}

#[test]
fn an_unknown_alias_and_a_wrong_key_are_errors_of_the_proxy() {
    run(async |proxy| {
        let unknown = answer(&backend(proxy, "no-such-alias"), ask(false)).await.unwrap_err();
        assert_eq!((unknown.status(), unknown.model()), (Some(400), Some("no-such-alias")));
        assert!(unknown.to_string().contains("no-such-alias") && !unknown.is_retryable(), "{unknown}");

        let stranger = OpenAi::builder().base_url(proxy.url()).api_key("sk-of-a-stranger").model("small").build().unwrap();
        let refused = answer(&stranger, ask(false)).await.unwrap_err();
        assert!(matches!(refused.status(), Some(400..=403)), "{refused:?}");
        assert!(!refused.is_retryable() && !format!("{refused:?}").contains("sk-of-a-stranger"), "{refused:?}");
    });
}

#[test]
fn a_limit_far_away_is_a_limit_here() {
    run(async |proxy| {
        let error = answer(&backend(proxy, "limited"), ask(false)).await.unwrap_err();
        assert!(error.is_rate_limited(), "{error:?}");
    });
}

#[test]
fn a_stream_that_breaks_far_away_is_no_answer() {
    run(async |proxy| {
        let result = answer(&backend(proxy, "broken"), ask(true)).await;
        let error = result.expect_err("half an answer is no answer");
        assert!(matches!(error.kind(), ErrorKind::StreamInterrupted | ErrorKind::Provider(_)), "{error:?}");
    });
}
