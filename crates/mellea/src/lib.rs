//! mellea
