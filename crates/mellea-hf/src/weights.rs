//! Tensors out of safetensors files, one at a time, checked against the shape that the configuration asks for.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::files::{ModelFiles, Reader};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// The format's own bound on the length of a header.
const LONGEST_HEADER: u64 = 100_000_000;

struct Shard {
    name: String,
    reader: Reader,
    metadata: Metadata,
    /// Where the first tensor's bytes begin.
    data: u64,
}

/// The weights of one model, still in their files.
pub(crate) struct Weights {
    shards: Vec<Shard>,
    place: HashMap<String, usize>,
    device: Device,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("tensors", &self.place.len()).finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens the single file, or the files that the index names, and reads their headers.
    pub(crate) fn open(files: &ModelFiles, device: &Device) -> Result<Self> {
        let names = match files.read_json::<Value>(INDEX)? {
            Some(index) => shard_names(&index)?,
            None => vec![SINGLE.to_owned()],
        };
        let mut weights = Self { shards: Vec::new(), place: HashMap::new(), device: device.clone() };
        for name in names {
            let reader = files.open(&name)?;
            let reader = reader.ok_or_else(|| files.missing(&name, "only safetensors weights are loaded"))?;
            let shard = open_shard(name, reader)?;
            for tensor in shard.metadata.tensors().into_keys() {
                weights.place.insert(tensor, weights.shards.len());
            }
            weights.shards.push(shard);
        }
        Ok(weights)
    }

    /// A tensor in single precision, which must have exactly this shape.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let wrong = |file: &str, found: String| -> Error {
            ErrorKind::Tensor {
                file: file.to_owned(),
                tensor: name.to_owned(),
                expected: format!("{shape:?}"),
                found,
            }
            .into()
        };
        let shard = self.place.get(name).and_then(|place| self.shards.get_mut(*place));
        let Some(shard) = shard else {
            let files: Vec<_> = self.shards.iter().map(|shard| shard.name.as_str()).collect();
            return Err(wrong(&files.join(", "), "nothing".to_owned()));
        };
        let Some(info) = shard.metadata.info(name) else {
            return Err(wrong(&shard.name, "nothing".to_owned()));
        };
        if info.shape != shape {
            return Err(wrong(&shard.name, format!("{:?}", info.shape)));
        }
        let (start, end) = info.data_offsets;
        let bits = shape.iter().try_fold(info.dtype.bitsize(), |bits, size| bits.checked_mul(*size));
        if end.checked_sub(start).and_then(|bytes| bytes.checked_mul(8)) != bits {
            return Err(wrong(&shard.name, format!("{:?} in bytes {start} to {end}", info.dtype)));
        }
        let bytes = shard.reader.read_at(shard.data + start as u64, end - start)?;
        let values = match info.dtype {
            Dtype::F32 => widen(&bytes, f32::from_le_bytes),
            Dtype::BF16 => widen(&bytes, |pair| f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16)),
            Dtype::F16 => {
                let count = (end - start) / 2;
                let half = Tensor::from_raw_buffer(&bytes, DType::F16, &[count], &Device::Cpu)?;
                half.to_dtype(DType::F32)?.to_vec1()?
            }
            other => return Err(wrong(&shard.name, format!("the number type {other:?}"))),
        };
        Ok(Tensor::from_vec(values, shape, &self.device)?)
    }
}

fn widen<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

fn shard_names(index: &Value) -> Result<Vec<String>> {
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::malformed(INDEX, "weight_map is missing"))?;
    let mut names = Vec::new();
    for name in map.values() {
        // An index must not reach outside the model's own files.
        let name = name.as_str().filter(|name| name.ends_with(".safetensors") && !name.contains(['/', '\\']));
        let name = name.ok_or_else(|| Error::malformed(INDEX, "weight_map names something that is no shard"))?;
        if !names.iter().any(|own| own == name) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn open_shard(name: String, mut reader: Reader) -> Result<Shard> {
    let length = reader.len()?;
    if length < 8 {
        return Err(Error::malformed(name, format!("{length} bytes are too few for a header")));
    }
    let head = reader.read_at(0, 8)?;
    let header = head.first_chunk().copied().map_or(u64::MAX, u64::from_le_bytes);
    if header > LONGEST_HEADER || header + 8 > length {
        let detail = format!("truncated: the header should take {header} bytes, the file has {length}");
        return Err(Error::malformed(name, detail));
    }
    // The library's own reader wants the whole file in memory, so the header is parsed here.
    let bytes = reader.read_at(8, usize::try_from(header).unwrap_or(usize::MAX))?;
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&*name, error))?;
    let data = header + 8;
    let needed = data + metadata.data_len() as u64;
    if needed > length {
        let detail = format!("truncated: {needed} bytes expected, {length} found");
        return Err(Error::malformed(name, detail));
    }
    Ok(Shard { name, reader, metadata, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> &'static [u8] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes.leak()
    }

    fn open(bytes: &'static [u8]) -> Result<Weights> {
        Weights::open(&ModelFiles::in_memory("m", &[(SINGLE, bytes)]), &Device::Cpu)
    }

    #[test]
    fn three_number_types_are_read_as_single_precision() {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},
            "c":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}"#;
        let mut weights = open(file(header, &[0, 0, 0x80, 0x3f, 0x80, 0x3f, 0, 0xc0, 0, 0x3c])).unwrap();
        assert_eq!(weights.tensor("a", &[1]).unwrap().to_vec1::<f32>().unwrap(), [1.0]);
        assert_eq!(weights.tensor("b", &[2]).unwrap().to_vec1::<f32>().unwrap(), [1.0, -2.0]);
        assert_eq!(weights.tensor("c", &[1]).unwrap().to_vec1::<f32>().unwrap(), [1.0]);
    }

    #[test]
    fn every_damage_is_a_typed_error_that_names_the_file() {
        let whole = file(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#, &[0; 16]);
        assert!(open(whole).is_ok());
        for end in 0..whole.len() {
            let error = open(&whole[..end]).unwrap_err().to_string();
            assert!(error.contains(SINGLE), "{end}: {error}");
        }
        let error = open(file("{not json", &[])).unwrap_err().to_string();
        assert!(error.contains(SINGLE), "{error}");
        for info in ["[9],\"data_offsets\":[0,4]", "[1],\"data_offsets\":[4,0]", "[1],\"data_offsets\":[0,99]"] {
            let header = format!(r#"{{"a":{{"dtype":"F32","shape":{info}}}}}"#);
            let error = open(file(&header, &[0; 4])).unwrap_err().to_string();
            assert!(error.contains(SINGLE), "{error}");
        }
    }

    #[test]
    fn shapes_and_absence_are_reported_with_both_sides() {
        let whole = file(r#"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#, &[0; 8]);
        let mut weights = open(whole).unwrap();
        let error = weights.tensor("a", &[2, 1]).unwrap_err().to_string();
        assert_eq!(error, "tensor a in model.safetensors: expected [2, 1], found [1, 2]");
        let error = weights.tensor("b", &[1]).unwrap_err().to_string();
        assert_eq!(error, "tensor b in model.safetensors: expected [1], found nothing");
    }

    #[test]
    fn an_index_must_not_leave_its_directory() {
        let index = br#"{"weight_map":{"a":"../other.safetensors"}}"#;
        let files = ModelFiles::in_memory("m", &[(INDEX, index)]);
        assert!(Weights::open(&files, &Device::Cpu).is_err());
    }
}
