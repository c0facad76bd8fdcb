//! Suites of the remote backends; see `tests/`.
