//! The remote backends as peers of one suite: how each is made, and what its service sends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_debug_implementations,
    reason = "all of this is tests"
)]

mod fault;
mod peer;

pub use fault::{FAULTS, Fault, Sent};
pub use peer::{CANARY, PEERS, Peer, settings};
