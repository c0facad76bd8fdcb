//! Testing generative programs: without a model, without a network, without surprises.
//!
//! - [`ScriptedBackend`] answers as the test says, and keeps what it was asked.
//! - [`forbid_real_calls`] makes sure that nothing else answers.

mod scripted;

use std::sync::atomic::{AtomicBool, Ordering};

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
