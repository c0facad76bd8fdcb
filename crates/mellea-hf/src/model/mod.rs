//! One decoder for every supported family: a configuration and weights in, logits out; no state of its own.

mod attention;
mod kv;
mod linear;
mod rope;

use candle_core::{D, Device, Tensor};

use crate::config::{Activation, ModelConfig};
use crate::error::Result;
use crate::weights::Weights;
use attention::Attention;
pub(crate) use kv::KvCache;
use linear::Linear;
pub use linear::Precision;
use rope::Rope;

/// New tokens of one sequence and the cache that holds what came before them.
///
/// Several rows go through the matrices together and attend only to their own cache.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) tokens: &'a [u32],
    pub(crate) cache: &'a mut KvCache,
}

/// For which of the new positions logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Positions {
    /// The last one of each row: what generation needs.
    Last,
    /// All of them: what log-probabilities of a prompt need, and the tests.
    All,
}

/// A decoder with its weights; shared freely, as nothing in it changes.
#[derive(Debug)]
pub(crate) struct Decoder {
    config: ModelConfig,
    device: Device,
    embedding: Tensor,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    rope: Option<Rope>,
}

impl Decoder {
    /// Takes all weights out of the files.
    pub(crate) fn load(config: ModelConfig, weights: &mut Weights, precision: Precision) -> Result<Self> {
        let device = Device::Cpu;
        let embedding = weights.tensor("model.embed_tokens.weight", &[config.vocab, config.hidden])?;
        let mut blocks = Vec::new();
        for layer in 0..config.layers() {
            blocks.push(Block::load(&config, layer, weights, precision)?);
        }
        let norm = Norm::load("model.norm", config.hidden, config.norm_eps, weights)?;
        let head = if config.tied {
            Linear::from_tensor(embedding.clone(), precision)?
        } else {
            Linear::load("lm_head", (config.vocab, config.hidden), false, weights, precision)?
        };
        let rope = config.rope_theta.map(|theta| Rope::new(config.head_dim, theta, config.rope_scaling));
        Ok(Self { config, device, embedding, blocks, norm, head, rope })
    }

    /// What was loaded.
    pub(crate) fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// An empty cache for one sequence.
    pub(crate) fn new_cache(&self) -> KvCache {
        KvCache::new(self.config.layers(), self.config.kv_heads, self.config.head_dim)
    }

    /// Runs the new tokens of all rows through the model; returns `[positions, vocabulary]` for each row.
    ///
    /// The caches grow by the new tokens; after an error they are useless.
    pub(crate) fn forward(&self, rows: &mut [Row<'_>], positions: Positions) -> Result<Vec<Tensor>> {
        let tokens: Vec<u32> = rows.iter().flat_map(|row| row.tokens.iter().copied()).collect();
        let places: Vec<usize> = rows.iter().flat_map(|row| (row.cache.len()..).take(row.tokens.len())).collect();
        let ids = Tensor::from_vec(tokens, places.len(), &self.device)?;
        let angles = self.rope.as_ref().map(|rope| rope.angles(&places, &self.device)).transpose()?;

        let mut x = scaled(self.embedding.index_select(&ids, 0)?, self.config.embedding_multiplier)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.forward(layer, &x, rows, angles.as_ref())?;
        }
        let mut logits = Vec::with_capacity(rows.len());
        let mut start = 0;
        for row in rows {
            let count = row.tokens.len();
            row.cache.advance(count);
            let own = match positions {
                Positions::All => x.narrow(0, start, count)?,
                Positions::Last => x.narrow(0, start + count - 1, 1)?,
            };
            start += count;
            let out = self.head.forward(&self.norm.forward(&own)?)?;
            logits.push(if self.config.logits_scaling == 1.0 { out } else { (out / self.config.logits_scaling)? });
        }
        Ok(logits)
    }
}

/// Attention and feed-forward, each behind a norm and added back.
#[derive(Debug)]
struct Block {
    attention: Attention,
    mlp: Mlp,
    before_attention: Norm,
    before_mlp: Norm,
    residual: f64,
}

impl Block {
    fn load(config: &ModelConfig, layer: usize, weights: &mut Weights, precision: Precision) -> Result<Self> {
        let at = format!("model.layers.{layer}");
        let norm =
            |name: &str, weights: &mut Weights| Norm::load(&format!("{at}.{name}"), config.hidden, config.norm_eps, weights);
        Ok(Self {
            attention: Attention::load(config, layer, weights, precision)?,
            mlp: Mlp::load(config, &at, weights, precision)?,
            before_attention: norm("input_layernorm", weights)?,
            before_mlp: norm("post_attention_layernorm", weights)?,
            residual: config.residual_multiplier,
        })
    }

    fn forward(&self, layer: usize, x: &Tensor, rows: &mut [Row<'_>], angles: Option<&rope::Angles>) -> Result<Tensor> {
        let attended = self.attention.forward(layer, &self.before_attention.forward(x)?, rows, angles)?;
        let x = (x + scaled(attended, self.residual)?)?;
        let fed = self.mlp.forward(&self.before_mlp.forward(&x)?)?;
        Ok((x + scaled(fed, self.residual)?)?)
    }
}

#[derive(Debug)]
struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    fn load(config: &ModelConfig, at: &str, weights: &mut Weights, precision: Precision) -> Result<Self> {
        let (inner, hidden, bias) = (config.intermediate, config.hidden, config.mlp_bias);
        let activation = config.activation;
        if config.fused_mlp {
            let both = weights.tensor(&format!("{at}.shared_mlp.input_linear.weight"), &[2 * inner, hidden])?;
            return Ok(Self {
                gate: Linear::from_tensor(both.narrow(0, 0, inner)?.contiguous()?, precision)?,
                up: Linear::from_tensor(both.narrow(0, inner, inner)?.contiguous()?, precision)?,
                down: Linear::load(&format!("{at}.shared_mlp.output_linear"), (hidden, inner), false, weights, precision)?,
                activation,
            });
        }
        let mut linear = |name: &str, shape| Linear::load(&format!("{at}.mlp.{name}"), shape, bias, weights, precision);
        Ok(Self {
            gate: linear("gate_proj", (inner, hidden))?,
            up: linear("up_proj", (inner, hidden))?,
            down: linear("down_proj", (hidden, inner))?,
            activation,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.gate.forward(x)?;
        let gate = match self.activation {
            Activation::Silu => candle_nn::ops::silu(&gate)?,
            Activation::Gelu => gate.gelu_erf()?,
            Activation::GeluTanh => gate.gelu()?,
        };
        self.down.forward(&(gate * self.up.forward(x)?)?)
    }
}

/// Root-mean-square norm with a learnt weight.
#[derive(Debug)]
struct Norm {
    weight: Tensor,
    eps: f32,
}

impl Norm {
    fn load(name: &str, size: usize, eps: f64, weights: &mut Weights) -> Result<Self> {
        Ok(Self { weight: weights.tensor(&format!("{name}.weight"), &[size])?, eps: eps as f32 })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        debug_assert_eq!(x.dim(D::Minus1).ok(), self.weight.dim(0).ok());
        Ok(candle_nn::ops::rms_norm(&x.contiguous()?, &self.weight, self.eps)?)
    }
}

/// Multiplies unless the factor is neutral, so that families without multipliers pay nothing.
fn scaled(x: Tensor, factor: f64) -> Result<Tensor> {
    if factor == 1.0 { Ok(x) } else { Ok((x * factor)?) }
}
