//! x
mod dialect;
mod env;
mod form;
mod keys;
mod registry;
mod route;
mod template;
pub use registry::*;
