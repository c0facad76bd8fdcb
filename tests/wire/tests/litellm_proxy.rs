//! Through LiteLLM's proxy, which stands before a scripted server: as any server of OpenAI's wire, and as the
//! provider `litellm_proxy`.

#[path = "proxy/mod.rs"]
mod proxy;

use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, ErrorKind, Event, FinishReason, Message, ModelOutput, Result, ToolSpec};
use mellea_litellm::LiteLlm;
use mellea_openai::OpenAi;
use serde_json::json;

use proxy::{KEY, Proxy};

/// Runs a test on the runtime that the scripted server lives on.
fn run<T>(test: impl AsyncFnOnce(&Proxy) -> T) -> T {
    let proxy = Proxy::shared();
    proxy.runtime.block_on(test(proxy))
}

fn backends(proxy: &Proxy, alias: &str, key: &str) -> [Box<dyn Backend>; 2] {
    let named = LiteLlm::builder().model(format!("litellm_proxy/{alias}")).base_url(proxy.url()).api_key(key).build();
    let plain = OpenAi::builder().base_url(proxy.url()).api_key(key).model(alias).build();
    [Box::new(named.unwrap()), Box::new(plain.unwrap())]
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
        for (backend, stream) in backends(proxy, "small", KEY).iter().flat_map(|backend| [(backend, false), (backend, true)]) {
            let output = answer(backend, ask(stream)).await.unwrap();
            assert_eq!((output.text.as_str(), &output.finish), ("Hello from far away.", &FinishReason::Stop));
            assert_eq!((output.usage.prompt_tokens, output.usage.completion_tokens), (Some(7), Some(5)));
        }
        let requests = proxy.asked("answers");
        assert!(requests.len() >= 4);
        for request in requests {
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
        for backend in backends(proxy, "tools", KEY) {
            let first = answer(&backend, ask(false).tools(vec![tool.clone()])).await.unwrap();
            let [call] = &first.tool_calls[..] else { panic!("{first:?}") };
            assert_eq!((call.name.as_str(), &call.arguments), ("get_time", &json!({"city": "Lima"})));
            assert_eq!(first.finish, FinishReason::ToolCalls);

            let mut turn = Message::assistant("");
            turn.tool_calls = first.tool_calls.clone();
            let mut request = ask(false).tools(vec![tool.clone()]);
            request.messages.extend([turn, Message::tool(call, "15:20")]);
            assert_eq!(answer(&backend, request).await.unwrap().text, "It is 15:20.");
            let sent = proxy.asked("calls").last().unwrap().json();
            assert_eq!(sent["tools"][0]["function"]["parameters"], parameters);
            assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], "call_7");
            assert_eq!((&sent["messages"][2]["role"], &sent["messages"][2]["tool_call_id"]), (&json!("tool"), &json!("call_7")));
        }
    });
}

#[test]
fn an_unknown_alias_and_a_wrong_key_are_errors_of_the_proxy() {
    run(async |proxy| {
        for backend in backends(proxy, "no-such-alias", KEY) {
            let unknown = answer(&backend, ask(false)).await.unwrap_err();
            assert_eq!((unknown.status(), unknown.model()), (Some(400), Some("no-such-alias")));
            assert!(unknown.to_string().contains("no-such-alias") && !unknown.is_retryable(), "{unknown}");
        }
        for backend in backends(proxy, "small", "sk-of-a-stranger") {
            let refused = answer(&backend, ask(false)).await.unwrap_err();
            assert!(matches!(refused.status(), Some(400..=403)), "{refused:?}");
            assert!(!refused.is_retryable() && !format!("{refused:?}").contains("sk-of-a-stranger"), "{refused:?}");
        }
    });
}

#[test]
fn a_limit_far_away_is_a_limit_here() {
    run(async |proxy| {
        for backend in backends(proxy, "limited", KEY) {
            let error = answer(&backend, ask(false)).await.unwrap_err();
            assert!(error.is_rate_limited(), "{error:?}");
        }
    });
}

/// The proxy turns it into an error object in the stream.
#[test]
fn a_stream_that_breaks_far_away_is_no_answer() {
    run(async |proxy| {
        for backend in backends(proxy, "broken", KEY) {
            let error = answer(&backend, ask(true)).await.expect_err("half an answer is no answer");
            let ErrorKind::Provider(provider) = error.kind() else { panic!("{error:?}") };
            assert!(provider.message.contains("APIConnectionError"), "{error:?}");
        }
    });
}
