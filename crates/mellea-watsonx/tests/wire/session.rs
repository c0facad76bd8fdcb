//! A session over this backend: streams, tools, typed answers.

use mellea_core::{ChatContext, ModelOption, Session, ToolError, Usage, tool::tool_fn};

use super::*;

#[derive(schemars::JsonSchema, serde::Deserialize)]
struct Sum {
    a: i64,
    b: i64,
}

#[tokio::test]
async fn a_model_calls_a_tool_and_goes_on() {
    let server = Server::start().await.unwrap();
    let call =
        json!({ "index": 0, "id": "c7", "type": "function", "function": { "name": "add", "arguments": "{\"a\":1,\"b\":2}" } });
    let event = |data: Value| format!("event: message\ndata: {data}\n\n");
    let delta = json!({ "content": "", "reasoning_content": "Adding.", "tool_calls": [call] });
    let first = [
        event(json!({ "choices": [{ "index": 0, "delta": delta }] })),
        event(json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] })),
        event(json!({ "choices": [], "usage": { "prompt_tokens": 20, "completion_tokens": 8 } })),
    ];
    server.on(STREAM).reply(Reply::sse(first)).reply(Reply::sse([include_str!("../corpus/chat.sse")]));
    let backend = builder(&server).option(ModelOption::Stream, true).build().unwrap();
    let m = Session::builder(backend).context(ChatContext::new()).build();
    let add = tool_fn("add", "Adds.", |sum: Sum| Ok::<_, ToolError>(sum.a + sum.b));
    let asked = m.chat("1 + 2?").tool(add).await.unwrap();
    assert_eq!(asked.output().usage, Usage::new(20, 8), "the usage that came after the finish");
    m.call_tools(&asked).await.unwrap();
    let answer = m.resume().await.unwrap();
    assert_eq!(answer.text(), "Grüß Gott");
    let messages = server.requests()[1].json()["messages"].take();
    assert_eq!(messages[1]["reasoning_content"], "Adding.");
    assert_eq!((&messages[1]["tool_calls"][0]["id"], &messages[2]["tool_call_id"]), (&json!("c7"), &json!("c7")));
    assert_eq!(messages[2]["content"], "3");
}

#[tokio::test]
async fn a_failure_in_the_middle_keeps_the_text() {
    let server = Server::start().await.unwrap();
    let text = "event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"so far\"}}]}\n\n";
    let said = "event: error\ndata: {\"errors\":[{\"code\":\"x\",\"message\":\"no\"}],\"status_code\":500}\n\n";
    server.on(STREAM).reply(Reply::sse([text, said]));
    let m = Session::new(builder(&server).option(ModelOption::Stream, true).build().unwrap());
    let error = m.chat("Hi").await.unwrap_err();
    assert_eq!((error.status(), error.partial().unwrap().text.as_str()), (Some(500), "so far"));
}

#[tokio::test]
async fn strict_sessions_refuse_what_cannot_be_honoured() {
    let server = Server::start().await.unwrap();
    let m = Session::builder(builder(&server).build().unwrap()).strict().build();
    let error = m.instruct("Hi").option(ModelOption::Thinking, true).await.unwrap_err();
    assert!(error.to_string().contains("thinking"), "{error}");
    assert_eq!(server.connections(), 0);
}
