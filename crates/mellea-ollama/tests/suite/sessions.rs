//! Whole runs through a session.

use mellea_core::tool::tool_fn;
use mellea_core::{ChatContext, ModelOption, RepairTemplate, Session, Tools, check, req};
use mellea_http::testing::{Reply, Server};
use serde_json::{Value, json};

use crate::{MODEL, answer, builder};

#[tokio::test]
async fn options_are_the_same_to_the_byte_through_a_whole_run_with_repair_and_judge() {
    let server = Server::start().await.unwrap();
    server.on("POST /api/show").reply(Reply::json(200, &json!({"model_info": {"x.context_length": 131_072}})));
    server.on("GET /api/version").reply(Reply::json(200, &json!({"version": "0.12.6"})));
    server.handle(|request| {
        let (judging, repaired) = (request.json().get("format").is_some(), request.text().contains("failed these checks"));
        match (judging, repaired) {
            (true, _) => answer(&["{\"reason\": \"It is kind.\", \"verdict\": \"yes\"}"]),
            (false, false) => answer(&["a rival"]),
            (false, true) => answer(&["a friend"]),
        }
    });
    // The judge's own temperature.
    let backend = builder(&server).keep_alive("5m").option(ModelOption::Temperature, 0.0).connect().await.unwrap();
    let session = Session::builder(backend).context(ChatContext::new()).build();
    let output = session
        .instruct("Name someone.")
        .require(check("Do not mention rivals.").validate(|t| !t.contains("rival")))
        .require(req("Be kind."))
        .strategy(RepairTemplate::new(3))
        .await
        .unwrap();
    assert_eq!((output.as_str(), output.attempts().len()), ("a friend", 2));
    let chats: Vec<Value> = server.requests().iter().filter(|r| r.path == "/api/chat").map(|r| r.json()).collect();
    let options: Vec<String> = chats.iter().map(|body| body["options"].to_string()).collect();
    assert_eq!(options, [r#"{"num_ctx":8192,"temperature":0.0}"#; 3], "two attempts; what code refuses is not judged");
    assert!(chats.iter().all(|body| body["keep_alive"] == "5m"));
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_goes_back_with_the_call() {
    let server = Server::start().await.unwrap();
    let call = |id: &str| json!({"id": id, "function": {"index": 0, "name": "add", "arguments": {"a": 1, "b": 2}}});
    let message =
        json!({"role": "assistant", "content": "", "thinking": "I must add.", "tool_calls": [call("call_x"), call("call_y")]});
    server
        .on("POST /api/chat")
        .reply(Reply::ndjson([json!({"model": MODEL, "message": message}), json!({"done": true, "done_reason": "stop"})]))
        .reply(answer(&["It is 3."]));
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Sum {
        a: i64,
        b: i64,
    }
    let tools = Tools::new().with(tool_fn("add", "Adds.", |sum: Sum| Ok(sum.a + sum.b)));
    let session = Session::builder(builder(&server).build().unwrap()).context(ChatContext::new()).build();
    let first = session.chat("1 and 2?").option(ModelOption::Tools, tools).await.unwrap();
    assert_eq!(first.output().tool_calls.len(), 2);
    assert_eq!(session.call_tools(&first).await.unwrap().len(), 2);
    assert_eq!(session.resume().await.unwrap().text(), "It is 3.");
    let second = server.requests()[1].json();
    insta::assert_json_snapshot!(second["messages"]);
}
