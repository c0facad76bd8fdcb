//! A matrix with an optional bias, kept in single precision or quantised to eight bits when it is loaded.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{CpuStorage, Module, Storage, Tensor};

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
            Matrix::Plain(weight) => match small_product(x, weight)? {
                Some(y) => y,
                None => x.matmul(&weight.t()?)?,
            },
            Matrix::Quantized(matrix) => matrix.forward(x)?,
        };
        match &self.bias {
            Some(bias) => Ok(y.broadcast_add(bias)?),
            None => Ok(y),
        }
    }
}

/// Products of up to this size are computed here: candle counts the machine's cores again for every product, by
/// reading files, which takes longer (70 µs measured) than a product of this size does.
const SMALL: usize = 1 << 18;

/// One row times a small matrix, or `None` where candle should do it.
fn small_product(x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>> {
    if x.dim(0)? != 1 || weight.elem_count() > SMALL || !x.is_contiguous() || !weight.is_contiguous() {
        return Ok(None);
    }
    let (x_data, x_layout) = x.storage_and_layout();
    let (w_data, w_layout) = weight.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(x_data)), Storage::Cpu(CpuStorage::F32(w_data))) = (&*x_data, &*w_data) else {
        return Ok(None);
    };
    let (out, inputs) = weight.dims2()?;
    let row = x_data.get(x_layout.start_offset()..).and_then(|data| data.get(..inputs));
    let matrix = w_data.get(w_layout.start_offset()..).and_then(|data| data.get(..out * inputs));
    let (Some(row), Some(matrix)) = (row, matrix) else { return Ok(None) };
    let y: Vec<f32> = matrix.chunks_exact(inputs).map(|weights| dot(row, weights)).collect();
    Ok(Some(Tensor::from_vec(y, (1, out), x.device())?))
}

/// Sixteen sums side by side, so that the compiler can use wide registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
