//! Suites across the crates, on the small model that travels with the library.

mod bad_input;
mod conformance;
mod matrix;
mod pico;
mod prompts;
mod readme;
