//! Rotary positions: angles for any set of positions, so that rows at different places share one pass.

use candle_core::{Device, Tensor};

use crate::config::RopeScaling;
use crate::error::Result;

/// The rotation speeds of a model's heads.
#[derive(Debug)]
pub(super) struct Rope {
    speeds: Vec<f32>,
}

/// Cosines and sines, `[positions, head_dim / 2]` each.
#[derive(Debug)]
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub(super) fn new(head_dim: usize, theta: f32, scaling: RopeScaling) -> Self {
        // Computed in single precision throughout, as the reference does.
        let plain = (0..head_dim).step_by(2).map(|i| 1.0 / theta.powf(i as f32 / head_dim as f32));
        let speeds = match scaling {
            RopeScaling::None => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|speed| speed / factor).collect(),
            RopeScaling::Llama3 { factor, low, high, original } => {
                plain.map(|speed| llama3(speed, factor, low, high, original)).collect()
            }
        };
        Self { speeds }
    }

    pub(super) fn angles(&self, positions: &[usize], device: &Device) -> Result<Angles> {
        let mut cos = Vec::with_capacity(positions.len() * self.speeds.len());
        let mut sin = Vec::with_capacity(cos.capacity());
        for position in positions {
            for speed in &self.speeds {
                let (s, c) = (*position as f32 * speed).sin_cos();
                cos.push(c);
                sin.push(s);
            }
        }
        let shape = (positions.len(), self.speeds.len());
        Ok(Angles { cos: Tensor::from_vec(cos, shape, device)?, sin: Tensor::from_vec(sin, shape, device)? })
    }
}

impl Angles {
    /// Rotates `[heads, positions, head_dim]`.
    pub(super) fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.contiguous()?.unsqueeze(0)?;
        Ok(candle_nn::rotary_emb::rope(&x, &self.cos, &self.sin)?.squeeze(0)?)
    }
}

/// Llama 3.1 slows the slow rotations down, keeps the fast ones and blends between the two.
fn llama3(speed: f32, factor: f32, low: f32, high: f32, original: f32) -> f32 {
    let wavelength = 2.0 * std::f32::consts::PI / speed;
    if wavelength > original / low {
        speed / factor
    } else if wavelength < original / high {
        speed
    } else {
        let smooth = (original / wavelength - low) / (high - low);
        (1.0 - smooth) * speed / factor + smooth * speed
    }
}
