//! A stop in front of real models, for tests.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Backend;
use crate::error::{Error, ErrorKind, Result};

static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Makes every call to a real model fail, in the whole process and for good. Put it first in a test.
pub fn forbid_real_calls() {
    FORBIDDEN.store(true, Ordering::SeqCst);
}

/// # Errors
/// [`ErrorKind::Testing`] if real calls are forbidden and this backend makes them.
pub(crate) fn check(backend: &dyn Backend) -> Result<()> {
    if FORBIDDEN.load(Ordering::SeqCst) && backend.is_real() {
        let error = Error::from(ErrorKind::Testing("a real call was made although they are forbidden".into()));
        return Err(error.at(backend.provider(), backend.model()));
    }
    Ok(())
}
