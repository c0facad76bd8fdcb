//! The decoder against transformers, on small checkpoints that `tests/fixtures/make_checkpoints.py` makes.

use std::path::{Path, PathBuf};

use candle_core::Tensor;

use super::*;
use crate::model::{KvCache, Positions, Row};

/// With every feature of the decoder in at least one of them.
const CHECKPOINTS: [&str; 7] = ["llama", "granite", "mistral", "qwen3", "qwen2", "llama_bias", "granite_hybrid"];

pub(crate) struct Reference {
    pub(crate) ids: Vec<u32>,
    pub(crate) logits: Vec<Vec<f32>>,
    pub(crate) greedy: Vec<u32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn decoder(directory: &Path, precision: Precision) -> Result<Decoder> {
    let files = ModelFiles::in_directory(directory)?;
    let config: Value = files.require_json("config.json", "")?;
    let mut weights = Weights::open(&files, &Device::Cpu)?;
    Decoder::load(ModelConfig::from_json(&config)?, &mut weights, precision)
}

pub(crate) fn reference(directory: &Path) -> Reference {
    let tensors = candle_core::safetensors::load(directory.join("ref.safetensors"), &Device::Cpu).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        tensors[name].flatten_all().unwrap().to_dtype(candle_core::DType::U32).unwrap().to_vec1().unwrap()
    };
    let logits = tensors["logits"].clone();
    let logits = if logits.rank() == 3 { logits.squeeze(0).unwrap() } else { logits };
    Reference { ids: ids("ids"), logits: logits.to_vec2().unwrap(), greedy: ids("greedy") }
}

pub(crate) fn run(decoder: &Decoder, tokens: &[u32], cache: &mut KvCache, positions: Positions) -> Vec<Vec<f32>> {
    let logits = decoder.forward(&mut [Row { tokens, cache }], positions).unwrap();
    logits[0].to_vec2().unwrap()
}

pub(crate) fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!((a.len(), a[0].len()), (b.len(), b[0].len()));
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn argmax(row: &[f32]) -> u32 {
    let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).unwrap();
    u32::try_from(best.0).unwrap()
}

pub(crate) fn greedy(decoder: &Decoder, prompt: &[u32], total: usize) -> Vec<u32> {
    let mut cache = decoder.new_cache();
    let mut tokens = prompt.to_vec();
    let mut new = prompt.to_vec();
    while tokens.len() < total {
        let logits = run(decoder, &new, &mut cache, Positions::Last);
        new = vec![argmax(&logits[0])];
        tokens.extend(&new);
    }
    tokens
}

#[test]
fn logits_equal_those_of_transformers_at_every_position() {
    for name in CHECKPOINTS {
        let decoder = decoder(&fixture(name), Precision::F32).unwrap();
        let reference = reference(&fixture(name));
        let logits = run(&decoder, &reference.ids, &mut decoder.new_cache(), Positions::All);
        let off = difference(&logits, &reference.logits);
        println!("{name}: {off:e}");
        assert!(off <= 1e-4, "{name}: {off}");
    }
}

#[test]
pub(crate) fn greedy_tokens_equal_those_of_transformers() {
    for name in CHECKPOINTS {
        let decoder = decoder(&fixture(name), Precision::F32).unwrap();
        let reference = reference(&fixture(name));
        let prompt = &reference.ids[..12];
        assert_eq!(greedy(&decoder, prompt, reference.greedy.len()), reference.greedy, "{name}");
    }
}

#[test]
fn chunks_single_tokens_and_one_pass_agree() {
    for name in CHECKPOINTS {
        let decoder = decoder(&fixture(name), Precision::F32).unwrap();
        let ids = reference(&fixture(name)).ids;
        let whole = run(&decoder, &ids, &mut decoder.new_cache(), Positions::All);
        for chunk in [1, 5, 16] {
            let mut cache = decoder.new_cache();
            let pieces: Vec<_> =
                ids.chunks(chunk).flat_map(|part| run(&decoder, part, &mut cache, Positions::All)).collect();
            let off = difference(&pieces, &whole);
            assert!(off <= 1e-5, "{name} in chunks of {chunk}: {off}");
        }
    }
}

#[test]
fn rows_in_one_pass_agree_with_rows_alone() {
    for name in CHECKPOINTS {
        let decoder = decoder(&fixture(name), Precision::F32).unwrap();
        let ids = reference(&fixture(name)).ids;
        let parts = [&ids[..20], &ids[5..8], &ids[20..21]];
        let mut caches: Vec<_> = parts.iter().map(|_| decoder.new_cache()).collect();
        // The second row starts behind tokens of its own.
        run(&decoder, &ids[..5], &mut caches[1], Positions::Last);
        let mut rows: Vec<Row<'_>> =
            parts.iter().zip(&mut caches).map(|(tokens, cache)| Row { tokens, cache }).collect();
        let together: Vec<Tensor> = decoder.forward(&mut rows, Positions::All).unwrap();
        for (n, part) in parts.iter().enumerate() {
            let mut cache = decoder.new_cache();
            if n == 1 {
                run(&decoder, &ids[..5], &mut cache, Positions::Last);
            }
            let alone = run(&decoder, part, &mut cache, Positions::All);
            let off = difference(&together[n].to_vec2().unwrap(), &alone);
            assert!(off <= 1e-5, "{name} row {n}: {off}");
        }
    }
}

#[test]
fn a_fork_grows_alone_and_a_truncated_cache_forgets() {
    let decoder = decoder(&fixture("granite"), Precision::F32).unwrap();
    let ids = reference(&fixture("granite")).ids;
    let mut first = decoder.new_cache();
    run(&decoder, &ids[..10], &mut first, Positions::Last);
    let mut fork = first.fork(6).unwrap();
    run(&decoder, &ids[20..30], &mut first, Positions::Last);
    let forked = run(&decoder, &ids[6..10], &mut fork, Positions::Last);
    first.truncate(6);
    let back = run(&decoder, &ids[6..10], &mut first, Positions::Last);
    let plain = run(&decoder, &ids[..10], &mut decoder.new_cache(), Positions::Last);
    assert!(difference(&forked, &plain) <= 1e-5);
    assert!(difference(&back, &plain) <= 1e-5);
    assert!(fork.bytes() > 0 && fork.len() == 10);
}

#[test]
fn eight_bits_come_close() {
    for name in ["llama", "granite", "qwen3"] {
        let reference = reference(&fixture(name));
        let decoder = decoder(&fixture(name), Precision::Q8).unwrap();
        let logits = run(&decoder, &reference.ids, &mut decoder.new_cache(), Positions::All);
        let scale = reference.logits.iter().flatten().fold(0.0f32, |top, logit| top.max(logit.abs()));
        let off = difference(&logits, &reference.logits);
        assert!(off > 0.0 && off < 0.05 * scale, "{name}: {off} of {scale}");
    }
}

#[test]
fn a_wrong_shape_is_named_with_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture("llama")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    let path = directory.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("\"vocab_size\": 256", "\"vocab_size\": 300")).unwrap();
    let error = decoder(directory.path(), Precision::F32).unwrap_err().to_string();
    let expected = "tensor model.embed_tokens.weight in model.safetensors: expected [300, 32], found [256, 32]";
    assert_eq!(error, expected);
    std::fs::write(&path, config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")).unwrap();
    let error = decoder(directory.path(), Precision::F32).unwrap_err().to_string();
    assert!(error.contains("model.layers.2.") && error.ends_with("found nothing"), "{error}");
}
