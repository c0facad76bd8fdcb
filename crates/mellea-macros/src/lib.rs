//! mellea-macros
