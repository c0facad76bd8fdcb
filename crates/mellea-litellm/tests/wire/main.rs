//! Requests of every provider, as a server sees them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "helpers of tests"
)]

mod conformance;
mod families;
mod keys;
mod options;
mod proxy;
mod raw;
mod rows;
mod support;
mod tokens;
