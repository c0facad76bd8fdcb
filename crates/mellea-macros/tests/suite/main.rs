//! What the macros' expansions do, and what they refuse.

mod compile;
mod generative;
mod tool;
