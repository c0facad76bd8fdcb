//! The tests of Mellea.
