//! Requests of every provider, as a server sees them.

mod keys;
mod proxy;
mod rows;
mod support;
