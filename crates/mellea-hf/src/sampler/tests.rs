//! The processors against transformers', and the generator against itself.

use candle_core::{Device, Tensor};
use std::collections::HashMap;

use super::*;

fn fixture() -> HashMap<String, Tensor> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sampler.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

#[test]
fn scores_equal_those_of_transformers() {
    let tensors = fixture();
    let raw: Vec<f32> = tensors["logits"].to_vec1().unwrap();
    let history = tensors["history"].to_dtype(candle_core::DType::U32).unwrap().to_vec1::<u32>().unwrap();
    let plain = || Sampling { temperature: 1.0, ..Sampling::default() };
    let cases = [
        ("temperature", Sampling { temperature: 0.7, ..plain() }),
        ("top_k", Sampling { top_k: 20, ..plain() }),
        ("top_p", Sampling { top_p: 0.8, ..plain() }),
        ("min_p", Sampling { min_p: 0.05, ..plain() }),
        ("repetition", Sampling { repetition_penalty: 1.3, ..plain() }),
        (
            "all",
            Sampling {
                repetition_penalty: 1.2,
                temperature: 0.6,
                top_k: 40,
                top_p: 0.9,
                min_p: 0.02,
                ..plain()
            },
        ),
    ];
    for (name, options) in cases {
        let expected: Vec<f32> = tensors[name].to_vec1().unwrap();
        let mut scores = raw.clone();
        let sampler = Sampler::new(options);
        sampler.penalize(&mut scores, &history, &[]);
        sampler.warp(&mut scores);
        for (token, (own, other)) in scores.iter().zip(&expected).enumerate() {
            let same = own == other || (own - other).abs() <= 1e-6 * other.abs().max(1.0);
            assert!(same, "{name}, token {token}: {own} and {other}");
        }
    }
}

fn draw(sampler: &mut Sampler, logits: &[f32]) -> u32 {
    sampler.next(&mut logits.to_vec(), &[], &[], |_| Ok(())).unwrap()
}

#[test]
fn greedy_takes_the_first_of_the_largest_and_never_a_nan() {
    let mut sampler = Sampler::new(Sampling::default());
    assert_eq!(draw(&mut sampler, &[f32::NAN, 1.0, 3.0, 3.0]), 2);
}

#[test]
fn a_seed_repeats_and_draws_follow_the_distribution() {
    let options = Sampling { temperature: 1.0, seed: Some(7), ..Sampling::default() };
    let logits = [0.1f32, 0.2, 0.3, 0.4].map(f32::ln);
    let run = || {
        let mut sampler = Sampler::new(options.clone());
        (0..20_000).map(|_| draw(&mut sampler, &logits)).collect::<Vec<_>>()
    };
    let draws = run();
    assert_eq!(draws, run());
    let chi: f64 = (0u32..4)
        .map(|token| {
            let seen = draws.iter().filter(|draw| **draw == token).count() as f64;
            let expected = 20_000.0 * f64::from(token + 1) / 10.0;
            (seen - expected).powi(2) / expected
        })
        .sum();
    assert!(chi < 16.3, "chi-square of 3 degrees of freedom: {chi}");
}

#[test]
fn the_generator_is_the_published_one() {
    let mut random = SplitMix64(1_234_567);
    assert_eq!(random.next(), 6_457_827_717_110_365_317);
    assert_eq!(random.next(), 3_203_168_211_198_807_973);
}

#[test]
fn a_mask_that_allows_nothing_is_an_error() {
    let mut sampler = Sampler::new(Sampling::default());
    let result = sampler.next(&mut [1.0, 2.0], &[], &[], |logits| {
        logits.fill(f32::NEG_INFINITY);
        Ok(())
    });
    assert!(result.is_err());
}

#[test]
fn presence_and_frequency_count_what_was_generated() {
    let options = Sampling { presence_penalty: 0.5, frequency_penalty: 1.0, ..Sampling::default() };
    let mut logits = [0.0; 3];
    Sampler::new(options).penalize(&mut logits, &[2], &[0, 1, 1]);
    assert_eq!(logits, [-1.5, -2.5, 0.0]);
}
