//! What a streamed chunk costs to decode, and a conversation to write.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Message};
use mellea_http::testing::{Reply, Server};
use mellea_http::{Client, SseEvent, SseFramer};
use mellea_openai::wire::ChatDecoder;
use mellea_openai::{OpenAi, bench};
use mellea_wire::{CallPiece, Reader, Rules, ToolCalls};

const CHUNK: &str = r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-5.1-2025-11-13","service_tier":"default","system_fingerprint":"fp_50cad350e4","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"3Fh2"}"#;

fn decode(c: &mut Criterion) {
    let mut reader = Reader::new(ChatDecoder::default(), Rules::new());
    c.bench_function("decode one chunk", |b| {
        b.iter_batched(
            || SseEvent { data: CHUNK.to_owned(), ..SseEvent::default() },
            |event| {
                reader.frame(black_box(event), false).unwrap();
                std::iter::from_fn(|| reader.pop()).count()
            },
            BatchSize::SmallInput,
        );
    });
    let piece = || CallPiece { index: Some(0), arguments: Some("\"a\"".into()), ..CallPiece::default() };
    c.bench_function("put together one call of 100 pieces", |b| {
        b.iter_batched(
            || (0..100).map(|_| piece()).collect::<Vec<_>>(),
            |pieces| {
                let mut calls = ToolCalls::default();
                pieces.into_iter().for_each(|piece| calls.push(piece, 0).unwrap());
                calls.finish()
            },
            BatchSize::SmallInput,
        );
    });
}

fn write(c: &mut Criterion) {
    let backend = OpenAi::builder().base_url("http://localhost:1/v1").keyless().model("m").build().unwrap();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(8);
    let turn = |i: usize| if i.is_multiple_of(2) { Message::user(text.as_str()) } else { Message::assistant(text.as_str()) };
    let request = ChatRequest::new((0..10).map(turn).collect::<mellea_core::Messages>());
    c.bench_function("write a chat of 10 messages", |b| b.iter(|| bench::body(&backend, black_box(&request)).len()));
    c.bench_function("look for what is not honoured", |b| b.iter(|| backend.unsupported(black_box(&request)).len()));
}

/// A stream of 1000 chunks over the loopback: what the backend adds to the frames.
fn stream(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let server = Server::start().await.unwrap();
        server.record(false);
        let chunks = std::iter::repeat_n(format!("data: {CHUNK}\n\n"), 1000).collect::<String>();
        let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        server.on("POST /v1/chat/completions").reply(Reply::sse([chunks + end]));
        server
    });
    let mut group = c.benchmark_group("a stream of 1000 chunks");
    let client = Client::builder("bench", server.url()).build().unwrap();
    group.bench_function("its frames alone", |b| {
        b.to_async(&runtime).iter(|| async {
            let response = client.send(client.post("v1/chat/completions")).await.unwrap();
            let mut frames = response.frames(SseFramer::default()).unwrap();
            let mut count = 0;
            while frames.next().await.is_some() {
                count += 1;
            }
            assert_eq!(count, 1002);
        });
    });
    let backend = OpenAi::builder().base_url(server.url()).keyless().model("m").build().unwrap();
    let mut request = ChatRequest::new(vec![Message::user("hi")]);
    request.options.stream = true;
    group.bench_function("its events", |b| {
        b.to_async(&runtime).iter(|| async {
            let events = backend.chat(request.clone()).await.unwrap();
            assert!(events.count().await > 1000);
        });
    });
    group.finish();
}

criterion_group!(benches, decode, write, stream);
criterion_main!(benches);
