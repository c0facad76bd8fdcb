//! mellea-hf
