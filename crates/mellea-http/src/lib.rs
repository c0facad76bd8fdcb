//! The HTTP client that remote backends share.

#[cfg(any(test, feature = "testing"))]
pub mod testing;
