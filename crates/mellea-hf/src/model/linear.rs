//! A matrix with an optional bias, kept in single precision or quantised to eight bits when it is loaded.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Module, Tensor};

use crate::error::Result;
use crate::weights::Weights;

/// How the matrices of a model are held in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// Single precision: exact, and the reference for every test.
    #[default]
    F32,
    /// Eight-bit blocks, quantised on load: about a quarter of the memory and two to five times the speed on
    /// large models, with a small loss of accuracy.
    Q8,
}

#[derive(Debug)]
enum Matrix {
    Plain(Tensor),
    Quantized(QMatMul),
}

/// `x · Wᵀ + b`.
#[derive(Debug)]
pub(super) struct Linear {
    matrix: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    /// Loads `name.weight` of shape `(out, in)` and, if the configuration says so, `name.bias`.
    pub(super) fn load(
        name: &str,
        (out, inputs): (usize, usize),
        bias: bool,
        weights: &mut Weights,
        precision: Precision,
    ) -> Result<Self> {
        let mut linear = Self::from_tensor(weights.tensor(&format!("{name}.weight"), &[out, inputs])?, precision)?;
        if bias {
            linear.bias = Some(weights.tensor(&format!("{name}.bias"), &[out])?);
        }
        Ok(linear)
    }

    /// Takes a matrix that is already in memory.
    pub(super) fn from_tensor(weight: Tensor, precision: Precision) -> Result<Self> {
        let whole_blocks = weight.dim(1)? % GgmlDType::Q8_0.block_size() == 0;
        let matrix = match precision {
            Precision::Q8 if whole_blocks => {
                let quantized = QTensor::quantize(&weight, GgmlDType::Q8_0)?;
                Matrix::Quantized(QMatMul::from_arc(Arc::new(quantized))?)
            }
            Precision::Q8 | Precision::F32 => Matrix::Plain(weight),
        };
        Ok(Self { matrix, bias: None })
    }

    /// `x` is `[rows, in]`, the result `[rows, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.matrix {
            Matrix::Plain(weight) => x.matmul(&weight.t()?)?,
            Matrix::Quantized(matrix) => matrix.forward(x)?,
        };
        match &self.bias {
            Some(bias) => Ok(y.broadcast_add(bias)?),
            None => Ok(y),
        }
    }
}
