//! Tokens per second on the demonstration model: reading a prompt, and writing an answer.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt;
use mellea_core::{Backend, ChatRequest, Message, ModelOption, ModelOptions};
use mellea_hf::HuggingFace;

const NEW_TOKENS: u64 = 64;

fn request(text: &str, new_tokens: u64) -> ChatRequest {
    // The scores of a hot model are flat, so that it rarely ends early.
    let options = ModelOptions::new()
        .with(ModelOption::Temperature, 20.0)
        .with(ModelOption::Seed, 1)
        .with(ModelOption::MaxNewTokens, new_tokens);
    let options = ModelOptions::resolve([&options], &[]).expect("valid options").options;
    ChatRequest::new(vec![Message::user(text)]).options(options)
}

async fn run(model: &HuggingFace, request: ChatRequest) {
    let mut events = model.chat(request).await.expect("a model that answers");
    while events.next().await.is_some() {}
}

fn decode(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let model = runtime.block_on(async {
        let files = HuggingFace::in_memory(mellea_pico::NAME, mellea_pico::FILES);
        files.threads(1).prefix_cache_bytes(0).build().await.expect("the model loads")
    });
    let prompt = "Write an email to Alice inviting them to the launch. ".repeat(20);
    let tokens = model.count_tokens(&prompt).expect("a tokenizer") as u64;

    let mut group = criterion.benchmark_group("pico");
    group.sample_size(20);
    group.throughput(Throughput::Elements(tokens));
    group.bench_function("prefill", |bencher| {
        let step = |request| run(&model, request);
        bencher.to_async(&runtime).iter_batched(|| request(&prompt, 1), step, BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(NEW_TOKENS));
    group.bench_function("decode", |bencher| {
        let step = |request| run(&model, request);
        bencher.to_async(&runtime).iter_batched(|| request("Hi", NEW_TOKENS), step, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
