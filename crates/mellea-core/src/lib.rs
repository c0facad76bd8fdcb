//! mellea-core
