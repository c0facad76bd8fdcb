//! From logits to the next token: transformers' processors in transformers' order, and a small generator of its own.

use std::hash::{BuildHasher, RandomState};

use crate::error::{Error, ErrorKind, Result};

/// How tokens are chosen. The neutral value of each field switches its step off.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampling {
    /// Zero means greedy: always the most probable token.
    pub(crate) temperature: f32,
    pub(crate) top_k: usize,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) repetition_penalty: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: None,
        }
    }
}

impl Sampling {
    /// Refuses values outside their ranges.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |option, value: f32, expected| -> Result<()> {
            Err(ErrorKind::Option { option, found: value.to_string(), expected }.into())
        };
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return wrong("temperature", self.temperature, "0 or more");
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            return wrong("top_p", self.top_p, "0 to 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return wrong("min_p", self.min_p, "0 to 1");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return wrong("repetition_penalty", self.repetition_penalty, "more than 0");
        }
        Ok(())
    }
}

/// Chooses the tokens of one request; its randomness depends on nothing but the seed.
#[derive(Debug)]
pub(crate) struct Sampler {
    options: Sampling,
    random: SplitMix64,
}

impl Sampler {
    pub(crate) fn new(options: Sampling) -> Self {
        let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        Self { options, random: SplitMix64(seed) }
    }

    /// Chooses a token. `prompt` and `generated` are what the penalties look at; `mask` writes minus infinity
    /// where a token must not come, between the penalties and the temperature.
    pub(crate) fn next(
        &mut self,
        logits: &mut [f32],
        prompt: &[u32],
        generated: &[u32],
        mask: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<u32> {
        self.penalize(logits, prompt, generated);
        mask(logits)?;
        let token = if self.options.temperature == 0.0 {
            best(logits)
        } else {
            self.warp(logits);
            self.draw(logits)
        };
        token.ok_or_else(|| Error::grammar("no token may follow: the constraint and the vocabulary do not meet"))
    }

    fn penalize(&self, logits: &mut [f32], prompt: &[u32], generated: &[u32]) {
        let o = &self.options;
        if o.repetition_penalty != 1.0 {
            let mut seen: Vec<u32> = prompt.iter().chain(generated).copied().collect();
            seen.sort_unstable();
            seen.dedup();
            for token in seen {
                if let Some(logit) = logits.get_mut(token as usize) {
                    let lower = if *logit < 0.0 { *logit * o.repetition_penalty } else { *logit / o.repetition_penalty };
                    *logit = lower;
                }
            }
        }
        if o.presence_penalty != 0.0 || o.frequency_penalty != 0.0 {
            let mut seen = generated.to_vec();
            seen.sort_unstable();
            for run in seen.chunk_by(|a, b| a == b) {
                if let Some(logit) = run.first().and_then(|token| logits.get_mut(*token as usize)) {
                    *logit -= o.presence_penalty + o.frequency_penalty * run.len() as f32;
                }
            }
        }
    }

    /// Temperature, top-k, top-p, min-p: what is left out becomes minus infinity.
    fn warp(&self, logits: &mut [f32]) {
        let o = &self.options;
        for logit in logits.iter_mut() {
            *logit /= o.temperature;
        }
        if o.top_k > 0 && o.top_k < logits.len() {
            let mut sorted = logits.to_vec();
            let (_, kth, _) = sorted.select_nth_unstable_by(o.top_k - 1, |a, b| b.total_cmp(a));
            let kth = *kth;
            drop_if(logits, |logit| logit < kth);
        }
        if o.top_p < 1.0 {
            let mut order: Vec<usize> = (0..logits.len()).filter(|i| finite(logits, *i)).collect();
            order.sort_unstable_by(|a, b| at(logits, *b).total_cmp(&at(logits, *a)).then(b.cmp(a)));
            let shares = shares(logits);
            let mut above = 0.0;
            for (rank, token) in order.into_iter().enumerate() {
                // The first one always stays.
                if rank > 0 && above >= o.top_p {
                    set(logits, token, f32::NEG_INFINITY);
                }
                above += at(&shares, token);
            }
        }
        if o.min_p > 0.0 {
            let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let bound = top + o.min_p.ln();
            drop_if(logits, |logit| logit < bound);
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let shares = shares(logits);
        let mut left = self.random.unit() * shares.iter().map(|share| f64::from(*share)).sum::<f64>();
        let mut last = None;
        for (token, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            last = Some(token);
            left -= f64::from(*share);
            if left < 0.0 {
                break;
            }
        }
        last.and_then(|token| u32::try_from(token).ok())
    }
}

/// The first of the largest logits.
fn best(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > best.map_or(f32::NEG_INFINITY, |(_, top)| top) {
            best = Some((token, *logit));
        }
    }
    best.and_then(|(token, _)| u32::try_from(token).ok())
}

/// Softmax; a logit that is NaN counts as impossible.
fn shares(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> =
        logits.iter().map(|logit| if logit.is_nan() || top == f32::NEG_INFINITY { 0.0 } else { (logit - top).exp() }).collect();
    let total: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| if total > 0.0 { weight / total } else { 0.0 }).collect()
}

fn drop_if(logits: &mut [f32], out: impl Fn(f32) -> bool) {
    for logit in logits.iter_mut().filter(|logit| out(**logit)) {
        *logit = f32::NEG_INFINITY;
    }
}

fn at(values: &[f32], index: usize) -> f32 {
    values.get(index).copied().unwrap_or(f32::NEG_INFINITY)
}

fn set(values: &mut [f32], index: usize, value: f32) {
    if let Some(slot) = values.get_mut(index) {
        *slot = value;
    }
}

fn finite(values: &[f32], index: usize) -> bool {
    at(values, index).is_finite()
}

/// Steele, Lea and Flood's SplitMix64: 64 bits of state, one step per token, the same on every machine.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but not including 1, with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests;
