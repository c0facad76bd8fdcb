//! Testing generative programs: without a model, without a network, without surprises.
//!
//! - [`ScriptedBackend`] answers as the test says, and keeps what it was asked.
//! - [`Recorder`] keeps what passes between a program and a backend in a [`Cassette`], and
//!   [`Replayer`] answers from it.
//! - [`sample_value`] makes values that fit a schema, and [`schema_backend`] answers with them.
//! - [`conformance`] checks a backend against the rules of [`Backend`].
//! - [`forbid_real_calls`] makes sure that nothing else answers.

mod cassette;
pub mod conformance;
mod difference;
mod fault;
mod generate;
mod record;

mod replay;
mod scripted;

use std::sync::atomic::{AtomicBool, Ordering};

pub use cassette::Cassette;
pub use generate::{sample_value, schema_backend};
pub use record::Recorder;
pub use replay::Replayer;
pub use scripted::{Reply, ScriptedBackend};

use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};

static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Makes every call to a real model fail, in the whole process and for good. Put it first in a test.
pub fn forbid_real_calls() {
    FORBIDDEN.store(true, Ordering::SeqCst);
}

/// # Errors
/// [`ErrorKind::Testing`] if real calls are forbidden and this backend makes them.
pub(crate) fn guard(backend: &dyn Backend) -> Result<()> {
    if FORBIDDEN.load(Ordering::SeqCst) && backend.is_real() {
        let error = Error::from(ErrorKind::Testing("a real call was made although they are forbidden".into()));
        return Err(error.at(backend.provider(), backend.model()));
    }
    Ok(())
}
