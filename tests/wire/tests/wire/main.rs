//! What every remote backend does alike.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "all of this is tests")]

mod options;
mod readme;
mod same;
mod secrets;
