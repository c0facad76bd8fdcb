//! What a streamed chunk costs to decode, and a conversation to write.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mellea_core::{Backend, ChatRequest, Message};
use mellea_openai::wire::{ChatDecoder, ChatSettings, ToolCallAccumulator, ToolCallPart};
use mellea_openai::{OpenAi, bench};

const CHUNK: &str = r#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-5.1-2025-11-13","service_tier":"default","system_fingerprint":"fp_50cad350e4","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"3Fh2"}"#;

fn decode(c: &mut Criterion) {
    let mut decoder = ChatDecoder::new(ChatSettings::new());
    let mut out = VecDeque::with_capacity(4);
    c.bench_function("decode one chunk", |b| {
        b.iter(|| {
            decoder.push(black_box(CHUNK), &mut out).unwrap();
            out.drain(..).count()
        });
    });
    let part = r#"{"index":0,"function":{"arguments":"\"a\""}}"#;
    c.bench_function("put together one call of 100 pieces", |b| {
        b.iter_batched(
            || (0..100).map(|_| serde_json::from_str::<ToolCallPart>(part).unwrap()).collect::<Vec<_>>(),
            |parts| {
                let mut calls = ToolCallAccumulator::new();
                parts.into_iter().for_each(|part| calls.push(part, 0).unwrap());
                calls.finish()
            },
            BatchSize::SmallInput,
        );
    });
}

fn write(c: &mut Criterion) {
    let backend = OpenAi::builder().base_url("http://localhost:1/v1").keyless().model("m").build().unwrap();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(8);
    let turn = |i: usize| if i % 2 == 0 { Message::user(text.as_str()) } else { Message::assistant(text.as_str()) };
    let request = ChatRequest::new((0..10).map(turn).collect());
    c.bench_function("write a chat of 10 messages", |b| b.iter(|| bench::body(&backend, black_box(&request)).len()));
    c.bench_function("look for what is not honoured", |b| b.iter(|| backend.unsupported(black_box(&request)).len()));
}

criterion_group!(benches, decode, write);
criterion_main!(benches);
