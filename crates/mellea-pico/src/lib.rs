#![doc = include_str!("../README.md")]

/// The model's name.
pub const NAME: &str = "mellea/pico";

/// Every file of the model directory, in the layout of the Hugging Face hub: name and content.
pub const FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../model/config.json")),
    ("generation_config.json", include_bytes!("../model/generation_config.json")),
    ("tokenizer.json", include_bytes!("../model/tokenizer.json")),
    ("tokenizer_config.json", include_bytes!("../model/tokenizer_config.json")),
    ("chat_template.jinja", include_bytes!("../model/chat_template.jinja")),
    ("model.safetensors", include_bytes!("../model/model.safetensors")),
];
