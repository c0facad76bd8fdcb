//! One remote backend: how it is made, and what its service sends.

use std::sync::Arc;

use mellea_core::Backend;
use mellea_http::testing::{Reply, Step};
use mellea_http::{ClientSettings, Retry, Timeouts};
use mellea_litellm::LiteLlm;
use mellea_ollama::Ollama;
use mellea_openai::OpenAi;
use mellea_watsonx::WatsonX;
use serde_json::{Value, json};

/// The key that every peer is given; nothing may ever show it.
pub const CANARY: &str = "sk-canary-0123456789";

/// One remote backend on one kind of wire.
#[derive(Clone, Copy)]
pub struct Peer {
    /// Its name in tables.
    pub name: &'static str,
    /// The backend, at this address with these settings.
    pub make: fn(&str, ClientSettings) -> Arc<dyn Backend>,
    /// Whether it asks for a stream even when its caller does not.
    pub always_streams: bool,
    /// The kind of its streams.
    pub stream_type: &'static str,
    /// Why the model stopped, in the service's words.
    pub finish: &'static str,
    /// An answer in pieces: one that begins it, one for each text, and those that end it.
    pub pieces: fn(&[Value; 3], &str) -> Vec<Vec<u8>>,
    /// How many of the last pieces say that the answer is complete.
    pub terminator: usize,
    /// An answer as a whole.
    pub whole: fn(&Value, &str) -> Value,
    /// A piece with any text where JSON is due.
    pub piece: fn(&str) -> Vec<u8>,
    /// An error in the service's form.
    pub error: fn(&str, &str) -> Value,
    /// An error of the service's own, in the middle of a stream.
    pub error_piece: fn() -> Vec<u8>,
}

/// These limits of time and this policy of retries.
pub fn settings(timeouts: Timeouts, retry: Retry) -> ClientSettings {
    let mut settings = ClientSettings::default();
    (settings.timeouts, settings.retry) = (Some(timeouts), Some(retry));
    settings
}

impl Peer {
    /// The answer `Hello world`.
    pub fn answer(&self, streamed: bool) -> Reply {
        if self.streams(streamed) {
            self.stream(self.hello())
        } else {
            Reply::json(200, &(self.whole)(&json!("Hello world"), self.finish))
        }
    }

    /// The answer `Hello world` in pieces.
    pub fn hello(&self) -> Vec<Vec<u8>> {
        (self.pieces)(&[json!("Hel"), json!("lo"), json!(" world")], self.finish)
    }

    /// These pieces as a stream.
    pub fn stream(&self, pieces: Vec<Vec<u8>>) -> Reply {
        Reply::stream(self.stream_type, pieces.into_iter().map(Step::Send).collect::<Vec<_>>())
    }

    /// Whether the wire has a stream.
    pub fn streams(&self, streamed: bool) -> bool {
        streamed || self.always_streams
    }
}

fn sse(data: &[Value]) -> Vec<Vec<u8>> {
    data.iter().map(|value| format!("data: {value}\n\n").into_bytes()).collect()
}

fn named(events: &[Value]) -> Vec<Vec<u8>> {
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event)).into_bytes()).collect()
}

fn lines(values: &[Value]) -> Vec<Vec<u8>> {
    values.iter().map(|value| format!("{value}\n").into_bytes()).collect()
}

fn openai_error(code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": code, "code": code, "param": null}})
}

fn chat_pieces(texts: &[Value; 3], finish: &str) -> Vec<Vec<u8>> {
    let delta = |delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut all = sse(&[
        delta(json!({"role": "assistant", "content": ""}), Value::Null),
        delta(json!({"content": texts[0]}), Value::Null),
        delta(json!({"content": texts[1]}), Value::Null),
        delta(json!({"content": texts[2]}), Value::Null),
        delta(json!({}), json!(finish)),
        json!({"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}),
    ]);
    all.push(b"data: [DONE]\n\n".to_vec());
    all
}

fn chat_whole(text: &Value, finish: &str) -> Value {
    json!({"id": "c1", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
}

/// A frame of Amazon's event stream.
fn amazon(kind: &str, name: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    let type_header = if kind == "event" { ":event-type" } else { ":exception-type" };
    for (name, value) in [(":message-type", kind), (type_header, name), (":content-type", "application/json")] {
        headers.push(name.len() as u8);
        headers.extend(name.as_bytes());
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let payload = payload.as_bytes();
    let mut frame = ((headers.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    frame.extend((headers.len() as u32).to_be_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (0_u32.wrapping_sub(crc & 1))))
    })
}

/// Every kind of wire that the remote backends speak.
pub const PEERS: [Peer; 8] = [
    Peer {
        name: "ollama",
        finish: "stop",
        piece: |text| format!("{text}\n").into_bytes(),
        make: |url, settings| {
            Arc::new(Ollama::builder().model("m").host(url).api_key(CANARY).settings(settings).build().unwrap())
        },
        always_streams: true,
        stream_type: "application/x-ndjson",
        pieces: |texts, finish| {
            let piece = |text: &Value| json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": text}, "done": false});
            lines(&[
                piece(&json!("")),
                piece(&texts[0]),
                piece(&texts[1]),
                piece(&texts[2]),
                json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": ""}, "done": true,
                    "done_reason": finish, "prompt_eval_count": 5, "eval_count": 2}),
            ])
        },
        terminator: 1,
        whole: |text, finish| {
            json!({"model": "m", "created_at": "x", "message": {"role": "assistant", "content": text}, "done": true,
                "done_reason": finish, "prompt_eval_count": 5, "eval_count": 2})
        },
        error: |_, message| json!({"error": message}),
        error_piece: || b"{\"error\":\"the runner has crashed\"}\n".to_vec(),
    },
    Peer {
        name: "openai",
        finish: "stop",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| {
            Arc::new(OpenAi::builder().model("m").base_url(url).api_key(CANARY).settings(settings).build().unwrap())
        },
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: chat_pieces,
        terminator: 3,
        whole: chat_whole,
        error: openai_error,
        error_piece: || sse(&[openai_error("server_error", "it broke")]).concat(),
    },
    Peer {
        name: "responses",
        finish: "completed",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| {
            let backend = OpenAi::builder().model("m").base_url(url).api_key(CANARY).settings(settings).responses();
            Arc::new(backend.build().unwrap())
        },
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: |texts, finish| {
            let delta = |text: &Value| json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": text});
            named(&[
                json!({"type": "response.created", "response": {"id": "r1", "model": "m", "status": "in_progress", "output": []}}),
                delta(&texts[0]),
                delta(&texts[1]),
                delta(&texts[2]),
                json!({"type": "response.completed", "response": responses_whole(&joined(texts), finish)}),
            ])
        },
        terminator: 1,
        whole: responses_whole,
        error: openai_error,
        error_piece: || named(&[json!({"type": "error", "code": "server_error", "message": "it broke", "param": null})]).concat(),
    },
    Peer {
        name: "anthropic",
        finish: "end_turn",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| lite("anthropic/m", url, settings),
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: |texts, finish| {
            let delta =
                |text: &Value| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
            named(&[
                json!({"type": "message_start", "message": {"id": "a1", "type": "message", "role": "assistant", "model": "m", "content": [],
                    "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
                delta(&texts[0]),
                delta(&texts[1]),
                delta(&texts[2]),
                json!({"type": "message_delta", "delta": {"stop_reason": finish}, "usage": {"output_tokens": 2}}),
                json!({"type": "message_stop"}),
            ])
        },
        terminator: 2,
        whole: |text, finish| {
            json!({"id": "a1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}],
            "stop_reason": finish, "usage": {"input_tokens": 5, "output_tokens": 2}})
        },
        error: |code, message| json!({"type": "error", "error": {"type": code, "message": message}}),
        error_piece: || named(&[json!({"type": "error", "error": {"type": "overloaded_error", "message": "it broke"}})]).concat(),
    },
    Peer {
        name: "gemini",
        finish: "STOP",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| lite("gemini/m", url, settings),
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: |texts, finish| {
            let piece = |text: &Value| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], "modelVersion": "m"});
            sse(&[
                piece(&json!("")),
                piece(&texts[0]),
                piece(&texts[1]),
                piece(&texts[2]),
                json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": finish, "index": 0}],
                    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}, "modelVersion": "m"}),
            ])
        },
        terminator: 1,
        whole: |text, finish| {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish, "index": 0}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}, "modelVersion": "m"})
        },
        error: |code, message| json!({"error": {"code": 0, "message": message, "status": code}}),
        error_piece: || sse(&[json!({"error": {"code": 500, "message": "it broke", "status": "INTERNAL"}})]).concat(),
    },
    Peer {
        name: "bedrock",
        finish: "end_turn",
        piece: |text| amazon("event", "contentBlockDelta", text),
        make: |url, settings| lite("bedrock/m", url, settings),
        always_streams: false,
        stream_type: "application/vnd.amazon.eventstream",
        pieces: |texts, finish| {
            let delta = |text: &Value| {
                amazon("event", "contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": text}}).to_string())
            };
            vec![
                amazon("event", "messageStart", &json!({"role": "assistant"}).to_string()),
                delta(&texts[0]),
                delta(&texts[1]),
                delta(&texts[2]),
                amazon("event", "contentBlockStop", &json!({"contentBlockIndex": 0}).to_string()),
                amazon("event", "messageStop", &json!({"stopReason": finish}).to_string()),
                amazon(
                    "event",
                    "metadata",
                    &json!({"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 1}})
                        .to_string(),
                ),
            ]
        },
        terminator: 2,
        whole: |text, finish| {
            json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": finish,
            "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 1}})
        },
        error: |code, message| json!({"__type": code, "message": message}),
        error_piece: || amazon("exception", "internalServerException", "{\"message\": \"it broke\"}"),
    },
    Peer {
        name: "cohere",
        finish: "COMPLETE",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| lite("cohere/m", url, settings),
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: |texts, finish| {
            let delta =
                |text: &Value| json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}});
            named(&[
                json!({"type": "message-start", "id": "h1", "delta": {"message": {"role": "assistant", "content": [], "tool_calls": []}}}),
                delta(&texts[0]),
                delta(&texts[1]),
                delta(&texts[2]),
                json!({"type": "message-end", "delta": {"finish_reason": finish, "usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}}}),
            ])
        },
        terminator: 1,
        whole: |text, finish| {
            json!({"id": "h1", "finish_reason": finish, "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
            "usage": {"tokens": {"input_tokens": 5, "output_tokens": 2}}})
        },
        error: |_, message| json!({"id": "e1", "message": message}),
        error_piece: || named(&[json!({"type": "error", "message": "it broke"})]).concat(),
    },
    Peer {
        name: "watsonx",
        finish: "stop",
        piece: |text| format!("data: {text}\n\n").into_bytes(),
        make: |url, settings| {
            let backend = WatsonX::builder().model("m").url(url).token(CANARY).project_id("p").settings(settings);
            Arc::new(backend.build().unwrap())
        },
        always_streams: false,
        stream_type: "text/event-stream",
        pieces: |texts, finish| {
            let delta = |delta: Value, finish: Value| json!({"id": "w1", "model_id": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
            let events = [
                delta(json!({"role": "assistant", "content": ""}), Value::Null),
                delta(json!({"content": texts[0]}), Value::Null),
                delta(json!({"content": texts[1]}), Value::Null),
                delta(json!({"content": texts[2]}), Value::Null),
                delta(json!({}), json!(finish)),
                json!({"id": "w1", "model_id": "m", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}),
            ];
            let block = |(id, event): (usize, &Value)| format!("id: {id}\nevent: message\ndata: {event}\n\n").into_bytes();
            events.iter().enumerate().map(block).collect()
        },
        terminator: 2,
        whole: |text, finish| {
            json!({"id": "w1", "model_id": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}})
        },
        error: |code, message| json!({"errors": [{"code": code, "message": message}], "trace": "t1", "status_code": 0}),
        error_piece: || {
            b"id: 9\nevent: error\ndata: {\"errors\":[{\"code\":\"internal\",\"message\":\"it broke\"}],\"status_code\":500}\n\n"
                .to_vec()
        },
    },
];

/// The texts as one; a number stays one.
fn joined(texts: &[Value; 3]) -> Value {
    let all: Option<String> = texts.iter().map(Value::as_str).collect();
    all.map_or_else(|| texts[0].clone(), Value::from)
}

fn responses_whole(text: &Value, status: &str) -> Value {
    json!({"id": "r1", "object": "response", "model": "m", "status": status,
        "output": [{"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}})
}

fn lite(model: &str, url: &str, settings: ClientSettings) -> Arc<dyn Backend> {
    let backend = LiteLlm::builder().model(model).base_url(url).api_key(CANARY).settings(settings);
    Arc::new(backend.build().unwrap())
}
