//! `config.json` read tolerantly: one description of a decoder, whatever version of transformers wrote it.

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};

/// The architectures this crate computes, by the names that `config.json` uses.
pub const SUPPORTED_ARCHITECTURES: &[&str] = &[
    "GraniteForCausalLM",
    "GraniteMoeHybridForCausalLM (attention-only)",
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
];

const FILE: &str = "config.json";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Granite,
    GraniteHybrid,
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

/// The gate's activation in the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Silu,
    Gelu,
    GeluTanh,
}

/// How positions are turned into rotations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RopeScaling {
    None,
    Linear { factor: f32 },
    Llama3 { factor: f32, low: f32, high: f32, original: f32 },
}

/// One decoder, described completely.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelConfig {
    pub(crate) architecture: String,
    pub(crate) vocab: usize,
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) norm_eps: f64,
    pub(crate) activation: Activation,
    pub(crate) max_positions: usize,
    pub(crate) tied: bool,
    /// Sliding window per layer; the length is the number of layers.
    pub(crate) windows: Vec<Option<usize>>,
    /// Rotary base, absent where the model has no positions in its attention.
    pub(crate) rope_theta: Option<f32>,
    pub(crate) rope_scaling: RopeScaling,
    pub(crate) qkv_bias: bool,
    pub(crate) output_bias: bool,
    pub(crate) mlp_bias: bool,
    pub(crate) qk_norm: bool,
    /// Gate and up projection in one matrix, as the hybrid Granite stores them.
    pub(crate) fused_mlp: bool,
    pub(crate) embedding_multiplier: f64,
    pub(crate) attention_scale: f64,
    pub(crate) residual_multiplier: f64,
    pub(crate) logits_scaling: f64,
    pub(crate) eos: Vec<u32>,
    pub(crate) bos: Option<u32>,
}

impl ModelConfig {
    /// Reads the parsed `config.json`.
    pub(crate) fn from_json(root: &Value) -> Result<Self> {
        let root = root.as_object().ok_or_else(|| Error::malformed(FILE, "not a JSON object"))?;
        let family = family(root)?;
        // Multimodal checkpoints describe their decoder one level down.
        let text = match root.get("text_config").and_then(Value::as_object) {
            Some(nested) => Reader { map: nested, outer: Some(root) },
            None => Reader { map: root, outer: None },
        };
        build(family.0, family.1, &text)
    }

    pub(crate) fn layers(&self) -> usize {
        self.windows.len()
    }
}

fn family(root: &Map<String, Value>) -> Result<(Family, String)> {
    let architecture = root.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
    let model_type = root.get("model_type").and_then(Value::as_str);
    let family = match (architecture, model_type) {
        (Some("GraniteForCausalLM"), _) | (None, Some("granite")) => Family::Granite,
        (Some("GraniteMoeHybridForCausalLM"), _) | (None, Some("granitemoehybrid")) => Family::GraniteHybrid,
        (Some("LlamaForCausalLM"), _) | (None, Some("llama")) => Family::Llama,
        (Some("MistralForCausalLM"), _) | (None, Some("mistral")) => Family::Mistral,
        (Some("Qwen2ForCausalLM"), _) | (None, Some("qwen2")) => Family::Qwen2,
        (Some("Qwen3ForCausalLM"), _) | (None, Some("qwen3")) => Family::Qwen3,
        (found, kind) => {
            let found = found.or(kind).unwrap_or("(none named in config.json)").to_owned();
            return Err(ErrorKind::UnsupportedArchitecture { found, supported: SUPPORTED_ARCHITECTURES }.into());
        }
    };
    Ok((family, architecture.or(model_type).unwrap_or_default().to_owned()))
}

fn build(family: Family, architecture: String, r: &Reader<'_>) -> Result<ModelConfig> {
    let granite = matches!(family, Family::Granite | Family::GraniteHybrid);
    let hidden = r.size("hidden_size")?;
    let heads = r.size("num_attention_heads")?;
    let layers = r.size("num_hidden_layers")?;
    let head_dim = match r.optional_size("head_dim")? {
        Some(dim) => dim,
        None if hidden % heads == 0 => hidden / heads,
        None => return Err(unsupported("num_attention_heads", heads, "a divisor of hidden_size")),
    };
    let kv_heads = r.optional_size("num_key_value_heads")?.unwrap_or(heads);
    if heads % kv_heads != 0 {
        return Err(unsupported("num_key_value_heads", kv_heads, "a divisor of num_attention_heads"));
    }
    if head_dim % 2 != 0 {
        return Err(unsupported("head_dim", head_dim, "an even number"));
    }
    if family == Family::GraniteHybrid {
        attention_only(r)?;
    }
    let intermediate = match family {
        Family::GraniteHybrid => r.size("shared_intermediate_size")?,
        _ => r.size("intermediate_size")?,
    };
    let rope_theta = match r.text("position_embedding_type") {
        Some("rope") => Some(r.rope_theta()?),
        Some(_) | None if family == Family::GraniteHybrid => None,
        _ => Some(r.rope_theta()?),
    };
    let attention_bias = r.flag("attention_bias").unwrap_or(family == Family::Qwen2);
    let scale = |name, neutral| if granite { r.number(name).unwrap_or(neutral) } else { neutral };
    let plain_attention = 1.0 / (head_dim as f64).sqrt();
    Ok(ModelConfig {
        architecture,
        vocab: r.size("vocab_size")?,
        hidden,
        intermediate,
        heads,
        kv_heads,
        head_dim,
        norm_eps: r.number("rms_norm_eps").unwrap_or(1e-6),
        activation: activation(r)?,
        max_positions: r.optional_size("max_position_embeddings")?.unwrap_or(2048),
        tied: r.flag("tie_word_embeddings").unwrap_or(granite),
        windows: windows(family, layers, r)?,
        rope_theta,
        rope_scaling: rope_scaling(r)?,
        qkv_bias: attention_bias,
        output_bias: attention_bias && family != Family::Qwen2,
        mlp_bias: r.flag("mlp_bias").unwrap_or(false),
        qk_norm: family == Family::Qwen3,
        fused_mlp: family == Family::GraniteHybrid,
        embedding_multiplier: scale("embedding_multiplier", 1.0),
        attention_scale: scale("attention_multiplier", if granite { 1.0 } else { plain_attention }),
        residual_multiplier: scale("residual_multiplier", 1.0),
        logits_scaling: scale("logits_scaling", 1.0),
        eos: r.ids("eos_token_id"),
        bos: r.ids("bos_token_id").first().copied(),
    })
}

fn attention_only(r: &Reader<'_>) -> Result<()> {
    if let Some(kinds) = r.get("layer_types").and_then(Value::as_array) {
        let other = kinds.iter().find(|kind| !matches!(kind.as_str(), Some("attention" | "full_attention")));
        if let Some(kind) = other {
            return Err(unsupported("layer_types", kind, "attention layers only; state-space layers are missing"));
        }
    }
    match r.number("num_local_experts") {
        Some(experts) if experts > 0.0 => {
            Err(unsupported("num_local_experts", experts, "0; mixtures of experts are missing"))
        }
        _ => Ok(()),
    }
}

fn activation(r: &Reader<'_>) -> Result<Activation> {
    match r.text("hidden_act").unwrap_or("silu") {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        other => Err(unsupported("hidden_act", other, "silu or gelu")),
    }
}

/// Mistral slides on every layer; Qwen only where it is switched on, and from a given layer.
fn windows(family: Family, layers: usize, r: &Reader<'_>) -> Result<Vec<Option<usize>>> {
    if layers > 1024 {
        return Err(unsupported("num_hidden_layers", layers, "at most 1024"));
    }
    let window = r.optional_size("sliding_window")?;
    let slides = |layer: usize| match family {
        Family::Mistral => true,
        Family::Qwen2 | Family::Qwen3 if r.flag("use_sliding_window") == Some(true) => {
            match r.get("layer_types").and_then(|kinds| kinds.get(layer)).and_then(Value::as_str) {
                Some(kind) => kind == "sliding_attention",
                None => layer >= r.number("max_window_layers").map_or(0, |first| first as usize),
            }
        }
        _ => false,
    };
    Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect())
}

fn rope_scaling(r: &Reader<'_>) -> Result<RopeScaling> {
    let Some(map) = r.rope().or_else(|| r.get("rope_scaling").and_then(Value::as_object)) else {
        return Ok(RopeScaling::None);
    };
    let kind = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str).unwrap_or("default");
    let number = |name: &'static str| -> Result<f32> {
        let value = map.get(name).and_then(Value::as_f64).filter(|value| value.is_finite() && *value > 0.0);
        value.map(|value| value as f32).ok_or_else(|| Error::malformed(FILE, format!("rope scaling lacks {name}")))
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: number("factor")? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original: number("original_max_position_embeddings")?,
        }),
        other => Err(unsupported("rope_type", other, "default, linear or llama3")),
    }
}

fn unsupported(field: &'static str, found: impl ToString, expected: &'static str) -> Error {
    ErrorKind::UnsupportedConfig { field, found: found.to_string(), expected }.into()
}

/// Looks fields up in the text part first, then in the whole file.
struct Reader<'a> {
    map: &'a Map<String, Value>,
    outer: Option<&'a Map<String, Value>>,
}

impl<'a> Reader<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        let own = self.map.get(name).filter(|value| !value.is_null());
        own.or_else(|| self.outer.and_then(|map| map.get(name)).filter(|value| !value.is_null()))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(Value::as_f64)
    }

    fn optional_size(&self, name: &'static str) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        // No real model comes near this bound; products of two sizes stay far from overflow.
        match size.filter(|size| (1..1 << 28).contains(size)) {
            Some(size) => Ok(Some(size)),
            None => Err(unsupported(name, value, "a positive integer")),
        }
    }

    fn size(&self, name: &'static str) -> Result<usize> {
        self.optional_size(name)?.ok_or_else(|| Error::malformed(FILE, format!("{name} is missing")))
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        ids(self.get(name))
    }

    fn rope(&self) -> Option<&'a Map<String, Value>> {
        self.get("rope_parameters").and_then(Value::as_object)
    }

    /// Transformers 5 moved the base under `rope_parameters`; older files have it at the top.
    fn rope_theta(&self) -> Result<f32> {
        let nested = self.rope().and_then(|map| map.get("rope_theta")).and_then(Value::as_f64);
        let theta = nested.or_else(|| self.number("rope_theta")).unwrap_or(10000.0);
        if theta.is_finite() && theta > 0.0 {
            Ok(theta as f32)
        } else {
            Err(unsupported("rope_theta", theta, "a positive number"))
        }
    }
}

/// Token ids that are written as one number or as a list.
pub(crate) fn ids(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(one) => id(one).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
