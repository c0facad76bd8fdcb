//! Testing generative programs: without a model, without a network, without surprises.
//!
//! - [`ScriptedBackend`] answers as the test says, and keeps what it was asked.
//! - [`forbid_real_calls`] makes sure that nothing else answers.
//!
//! The rest is behind the feature `testing`, so that programs do not carry it; put the feature under
//! `[dev-dependencies]`:
//!
//! - `Recorder` keeps what passes between a program and a backend in a `Cassette`, and `Replayer`
//!   answers from it.
//! - `sample_value` makes values that fit a schema, and `schema_backend` answers with them.
//! - `conformance` checks a backend against the rules of [`Backend`](crate::Backend).

#[cfg(any(test, feature = "testing"))]
mod cassette;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
mod difference;
#[cfg(any(test, feature = "testing"))]
mod fault;
#[cfg(any(test, feature = "testing"))]
mod file;
#[cfg(any(test, feature = "testing"))]
mod generate;
#[cfg(any(test, feature = "testing"))]
mod record;
#[cfg(any(test, feature = "testing"))]
mod replay;
mod scripted;

#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use cassette::Cassette;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use generate::{sample_value, schema_backend};
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use record::Recorder;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use replay::Replayer;
pub use scripted::{Reply, ScriptedBackend};

pub use crate::backend::guard::forbid_real_calls;
