//! The core as its users see it: one binary, one module for each promise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

mod cassette;
mod conformance;
mod context;
mod errors;
mod fake;
mod history;
mod policies;
mod recording;
mod requirements;
mod secrets;
mod send_sync;
mod session;
mod strategies;
mod streams;
mod thunk;
mod tools;
