//! The core as its users see it: one binary, one module for each promise.

mod cassette;
mod conformance;
mod context;
mod fake;
mod secrets;
mod send_sync;
mod session;
mod thunk;
