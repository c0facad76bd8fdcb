//! What a constraint costs per token on the demonstration model's vocabulary.

use criterion::{Criterion, criterion_group, criterion_main};
use mellea_hf::__private::MaskBench;
use serde_json::json;

fn mask(criterion: &mut Criterion) {
    let schema = json!({
        "type": "object", "required": ["name", "kind", "items"], "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Z][a-z]+( [A-Z][a-z]+)*$"},
            "kind": {"enum": ["positive", "negative", "neutral"]},
            "items": {"type": "array", "minItems": 2, "items": {
                "type": "object", "required": ["count"], "additionalProperties": false,
                "properties": {"count": {"type": "integer", "minimum": 0, "maximum": 999}},
            }},
        },
    });
    let text = r#"{"name":"Ada Lovelace","kind":"positive","items":[{"count":12},{"count":7},{"count":640}]}"#;
    let bench = MaskBench::new(mellea_pico::FILES, &schema, text).expect("a schema that compiles");
    let mut group = criterion.benchmark_group("mask");
    group.sample_size(30);
    group.bench_function("compile", |bencher| bencher.iter(|| bench.compile()));
    group.throughput(criterion::Throughput::Elements(bench.tokens()));
    group.bench_function("walk", |bencher| {
        bencher.iter_batched(|| bench.compile(), |state| bench.walk(state), criterion::BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, mask);
criterion_main!(benches);
