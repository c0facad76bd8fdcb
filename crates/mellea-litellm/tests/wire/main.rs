//! Requests of every provider, as a server sees them.

mod conformance;
mod keys;
mod options;
mod proxy;
mod rows;
mod support;
