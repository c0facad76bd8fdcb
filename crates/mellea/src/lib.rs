//! Generative programs in Rust.

pub use mellea_core::*;
pub use mellea_macros::*;

#[doc(hidden)]
pub use mellea_core::__private;

/// Everything that most programs need.
pub mod prelude {
    pub use mellea_core::*;
    pub use mellea_macros::*;
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
