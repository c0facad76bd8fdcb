//! The examples of Mellea.
