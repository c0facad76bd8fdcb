//! The HTTP client that remote backends share.
