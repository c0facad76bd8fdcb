//! Both spellings of every field, and refusals that name the field.

use serde_json::json;

use super::*;

fn base() -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    })
}

fn with(changes: &Value) -> Result<ModelConfig> {
    let mut config = base();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    ModelConfig::from_json(&config)
}

#[test]
fn rope_is_read_in_both_spellings() {
    let old = with(&json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}})).unwrap();
    let new = with(&json!({"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 4.0}})).unwrap();
    assert_eq!(old, new);
    assert_eq!(old.rope_theta, Some(5e5));
    assert_eq!(old.rope_scaling, RopeScaling::Linear { factor: 4.0 });
}

#[test]
fn an_unknown_architecture_is_refused_with_the_list() {
    let error = with(&json!({"architectures": ["MambaForCausalLM"]})).unwrap_err().to_string();
    assert!(error.contains("MambaForCausalLM") && error.contains("GraniteForCausalLM"), "{error}");
}

#[test]
fn an_unknown_rope_is_refused_by_name() {
    let error = with(&json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})).unwrap_err().to_string();
    assert!(error.contains("rope_type = yarn"), "{error}");
}

#[test]
fn a_missing_or_senseless_size_is_named() {
    let error = with(&json!({"hidden_size": null})).unwrap_err().to_string();
    assert!(error.contains("hidden_size is missing"), "{error}");
    for bad in [json!(0), json!(-1), json!("64"), json!(1u64 << 40)] {
        let error = with(&json!({"hidden_size": bad})).unwrap_err().to_string();
        assert!(error.contains("hidden_size ="), "{error}");
    }
    assert!(with(&json!({"num_key_value_heads": 3})).is_err());
}

#[test]
fn granite_has_its_multipliers_and_is_tied() {
    let config = with(&json!({
        "architectures": ["GraniteForCausalLM"], "embedding_multiplier": 12.0, "attention_multiplier": 0.015625,
        "residual_multiplier": 0.22, "logits_scaling": 8.0, "eos_token_id": [1, 2],
    }));
    let config = config.unwrap();
    assert!(config.tied);
    assert_eq!((config.embedding_multiplier, config.logits_scaling), (12.0, 8.0));
    assert_eq!((config.attention_scale, config.residual_multiplier), (0.015625, 0.22));
    assert_eq!(config.eos, [1, 2]);
}

#[test]
fn hybrid_layers_and_experts_are_refused() {
    let hybrid = |changes: Value| {
        let mut all = json!({"architectures": ["GraniteMoeHybridForCausalLM"], "shared_intermediate_size": 128});
        for (key, value) in changes.as_object().unwrap() {
            all[key] = value.clone();
        }
        with(&all)
    };
    assert!(hybrid(json!({"layer_types": ["attention", "full_attention"]})).is_ok());
    let error = hybrid(json!({"layer_types": ["attention", "mamba"]})).unwrap_err().to_string();
    assert!(error.contains("layer_types"), "{error}");
    let error = hybrid(json!({"num_local_experts": 4})).unwrap_err().to_string();
    assert!(error.contains("num_local_experts"), "{error}");
}

#[test]
fn windows_follow_the_family() {
    let mistral = with(&json!({"architectures": ["MistralForCausalLM"], "sliding_window": 8})).unwrap();
    assert_eq!(mistral.windows, [Some(8), Some(8)]);
    let qwen = json!({"architectures": ["Qwen3ForCausalLM"], "sliding_window": 8, "max_window_layers": 1});
    assert_eq!(with(&qwen).unwrap().windows, [None, None]);
    let mut on = qwen;
    on["use_sliding_window"] = json!(true);
    assert_eq!(with(&on).unwrap().windows, [None, Some(8)]);
}

#[test]
fn a_nested_text_config_is_read() {
    let mut inner = base();
    inner.as_object_mut().unwrap().remove("architectures");
    let outer = json!({"architectures": ["LlamaForCausalLM"], "text_config": inner, "tie_word_embeddings": true});
    let config = ModelConfig::from_json(&outer).unwrap();
    assert_eq!((config.hidden, config.tied), (64, true));
}
