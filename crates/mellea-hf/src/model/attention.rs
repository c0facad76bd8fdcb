//! Grouped-query attention: packed projections for all rows, then each row over its own cache.

use candle_core::Tensor;

use super::linear::{Linear, Precision};
use super::rope::Angles;
use super::{Norm, Row};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Norms of single heads before the rotation (Qwen 3).
    head_norms: Option<(Norm, Norm)>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    scale: f64,
    window: Option<usize>,
}

impl Attention {
    pub(super) fn load(
        config: &ModelConfig,
        layer: usize,
        weights: &mut Weights,
        precision: Precision,
    ) -> Result<Self> {
        let at = format!("model.layers.{layer}.self_attn");
        let (hidden, dim) = (config.hidden, config.head_dim);
        let (queries, pairs) = (config.heads * dim, config.kv_heads * dim);
        let head_norms = if config.qk_norm {
            let q = Norm::load(&format!("{at}.q_norm"), dim, config.norm_eps, weights)?;
            Some((q, Norm::load(&format!("{at}.k_norm"), dim, config.norm_eps, weights)?))
        } else {
            None
        };
        let mut linear =
            |name: &str, shape, bias| Linear::load(&format!("{at}.{name}"), shape, bias, weights, precision);
        Ok(Self {
            query: linear("q_proj", (queries, hidden), config.qkv_bias)?,
            key: linear("k_proj", (pairs, hidden), config.qkv_bias)?,
            value: linear("v_proj", (pairs, hidden), config.qkv_bias)?,
            output: linear("o_proj", (hidden, queries), config.output_bias)?,
            head_norms,
            heads: config.heads,
            kv_heads: config.kv_heads,
            head_dim: dim,
            scale: config.attention_scale,
            window: config.windows.get(layer).copied().flatten(),
        })
    }

    /// `x` is `[tokens of all rows, hidden]`.
    pub(super) fn forward(
        &self,
        layer: usize,
        x: &Tensor,
        rows: &mut [Row<'_>],
        angles: Option<&Angles>,
    ) -> Result<Tensor> {
        let mut q = self.split(&self.query.forward(x)?, self.heads)?;
        let mut k = self.split(&self.key.forward(x)?, self.kv_heads)?;
        let v = self.split(&self.value.forward(x)?, self.kv_heads)?;
        if let Some((q_norm, k_norm)) = &self.head_norms {
            q = q_norm.forward(&q)?;
            k = k_norm.forward(&k)?;
        }
        if let Some(angles) = angles {
            q = angles.rotate(&q)?;
            k = angles.rotate(&k)?;
        }
        let mut outputs = Vec::with_capacity(rows.len());
        let mut start = 0;
        for row in rows.iter_mut() {
            let count = row.tokens.len();
            let new = k.narrow(1, start, count)?;
            let (keys, values) = row.cache.append(layer, &new, &v.narrow(1, start, count)?)?;
            outputs.push(self.attend(&q.narrow(1, start, count)?.contiguous()?, &keys, &values)?);
            start += count;
        }
        let joined = match outputs.as_slice() {
            [one] => one.clone(),
            many => Tensor::cat(many, 0)?,
        };
        self.output.forward(&joined)
    }

    /// `[tokens, heads · dim]` → `[heads, tokens, dim]`.
    fn split(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let tokens = x.dim(0)?;
        Ok(x.reshape((tokens, heads, self.head_dim))?.transpose(0, 1)?.contiguous()?)
    }

    /// One row: `[heads, new, dim]` against `[kv_heads, all, dim]` gives `[new, heads · dim]`.
    fn attend(&self, q: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let (heads, new, dim) = q.dims3()?;
        let mut all = keys.dim(1)?;
        let (mut keys, mut values) = (keys.clone(), values.clone());
        debug_assert!(all >= new);
        if let Some(window) = self.window {
            // Nothing before the first new position's window is visible to any of the new positions.
            let visible = all.min(window + new - 1);
            keys = keys.narrow(1, all - visible, visible)?;
            values = values.narrow(1, all - visible, visible)?;
            all = visible;
        }
        // The heads of a group lie side by side, so they can be rows of one product with their shared keys.
        let grouped = q.reshape((self.kv_heads, heads / self.kv_heads * new, dim))?;
        let scores = (grouped.matmul(&keys.t()?)? * self.scale)?.reshape((heads, new, all))?;
        let scores = match self.mask(new, all, q)? {
            Some(mask) => scores.broadcast_add(&mask)?,
            None => scores,
        };
        let shares = candle_nn::ops::softmax_last_dim(&scores)?;
        let shares = shares.reshape((self.kv_heads, heads / self.kv_heads * new, all))?;
        let mixed = shares.matmul(&values)?.reshape((heads, new, dim))?;
        Ok(mixed.transpose(0, 1)?.contiguous()?.reshape((new, heads * dim))?)
    }

    /// `[new, all]` with minus infinity where a position must not look; none for a single new position.
    fn mask(&self, new: usize, all: usize, like: &Tensor) -> Result<Option<Tensor>> {
        if new == 1 {
            return Ok(None);
        }
        let first = all.saturating_sub(new);
        let window = self.window.unwrap_or(usize::MAX);
        let mut mask = Vec::with_capacity(new * all);
        for i in first..all {
            mask.extend((0..all).map(|j| if j <= i && i - j < window { 0.0 } else { f32::NEG_INFINITY }));
        }
        Ok(Some(Tensor::from_vec(mask, (new, all), like.device())?))
    }
}
