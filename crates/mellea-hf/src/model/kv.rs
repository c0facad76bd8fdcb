//! What a model remembers of one sequence: keys and values per layer, owned by the request and not by the model.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;

/// Positions that the store grows by.
const STEP: usize = 128;

/// Keys and values of one layer, `[kv_heads, capacity, head_dim]` each.
#[derive(Debug)]
struct Layer {
    keys: Tensor,
    values: Tensor,
}

/// The cache of one sequence.
///
/// It is not `Clone`: its storage is written in place, so a second owner must be made with [`fork`](Self::fork).
#[derive(Debug)]
pub(crate) struct KvCache {
    layers: Vec<Option<Layer>>,
    kv_heads: usize,
    head_dim: usize,
    len: usize,
}

impl KvCache {
    pub(super) fn new(layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self { layers: (0..layers).map(|_| None).collect(), kv_heads, head_dim, len: 0 }
    }

    /// Positions held.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Forgets everything from a position on.
    #[cfg(test)]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        let elements = |layer: &Layer| layer.keys.elem_count() + layer.values.elem_count();
        self.layers.iter().flatten().map(|layer| elements(layer) * DType::F32.size_in_bytes()).sum()
    }

    /// A copy of the first positions that can grow on its own.
    pub(crate) fn fork(&self, len: usize) -> Result<Self> {
        let len = self.len.min(len);
        let mut copy = Self::new(self.layers.len(), self.kv_heads, self.head_dim);
        for (own, layer) in copy.layers.iter_mut().zip(&self.layers) {
            if let Some(layer) = layer
                && len > 0
            {
                *own = Some(layer.resized(len, capacity(len))?);
            }
        }
        copy.len = len;
        Ok(copy)
    }

    /// Stores the new positions of one layer, `[kv_heads, new, head_dim]`; returns old and new together.
    ///
    /// The length moves only with [`advance`](Self::advance), when all layers have been through.
    pub(super) fn append(&mut self, layer: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let total = self.len + keys.dim(1)?;
        let Some(slot) = self.layers.get_mut(layer) else {
            return Err(candle_core::Error::Msg(format!("the cache has no layer {layer}")).into());
        };
        let held = match slot.take() {
            Some(held) if held.keys.dim(1)? >= total => held,
            Some(held) => held.resized(self.len, capacity(total))?,
            None => Layer::empty((self.kv_heads, capacity(total), self.head_dim), keys.device())?,
        };
        held.keys.slice_set(&keys.contiguous()?, 1, self.len)?;
        held.values.slice_set(&values.contiguous()?, 1, self.len)?;
        let all = (held.keys.narrow(1, 0, total)?, held.values.narrow(1, 0, total)?);
        *slot = Some(held);
        Ok(all)
    }

    pub(super) fn advance(&mut self, new: usize) {
        self.len += new;
    }
}

impl Layer {
    fn empty(shape: (usize, usize, usize), device: &Device) -> Result<Self> {
        Ok(Self { keys: Tensor::zeros(shape, DType::F32, device)?, values: Tensor::zeros(shape, DType::F32, device)? })
    }

    /// The first `len` positions in fresh storage.
    fn resized(&self, len: usize, capacity: usize) -> Result<Self> {
        let (heads, _, dim) = self.keys.dims3()?;
        let fresh = Self::empty((heads, capacity, dim), self.keys.device())?;
        if len > 0 {
            fresh.keys.slice_set(&self.keys.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
            fresh.values.slice_set(&self.values.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
        }
        Ok(fresh)
    }
}

/// Grows by half, in whole steps, so that copying stays a small share of the work.
fn capacity(len: usize) -> usize {
    (len + len / 2).next_multiple_of(STEP)
}
