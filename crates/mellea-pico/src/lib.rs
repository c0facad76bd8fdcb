//! The files of **pico**, a language model of 1.5 million parameters for demonstrations and tests.
//!
//! Pico is a real Granite decoder: it extracts records, classifies, writes short e-mails, judges
//! texts, calls tools and adds small numbers, in the prompt forms of Mellea for Rust. It is not a
//! general model. This crate is data only; `MODEL_CARD.md` holds the figures and the limits.
//!
//! ```
//! let config = mellea_pico::FILES.iter().find(|(name, _)| *name == "config.json");
//! assert!(config.is_some_and(|(_, bytes)| bytes.starts_with(b"{")));
//! ```

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
