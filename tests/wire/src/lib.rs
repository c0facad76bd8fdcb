//! The remote backends as peers of one suite: how each is made, and what its service sends.

mod fault;
mod peer;

pub use fault::{FAULTS, Fault, SILENCE, Sent};
pub use peer::{CANARY, PEERS, Peer};
