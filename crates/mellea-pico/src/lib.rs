//! Data of a small demonstration model.
