#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod backend;
mod builder;
mod options;
mod request;
mod scope;
pub mod stream;
pub mod wire;

pub use auth::{Credential, Tokens, TokensBuilder};
pub use backend::WatsonX;
pub use builder::{DEFAULT_VERSION, WatsonXBuilder};

/// What the builder takes: time limits, a retry policy, a key, a `reqwest` client.
pub use mellea_http::{ClientSettings, Retry, Secret, Timeouts, reqwest};

/// The provider's name in errors and outputs.
pub const PROVIDER: &str = "watsonx";
