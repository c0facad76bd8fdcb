#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
pub mod auth;
mod base;
mod client;
pub mod error;
pub mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
mod request;
mod response;
mod retry;
mod secret;
mod settings;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod timeouts;
mod transport;

pub use answer::Incoming;
pub use auth::Authorize;
pub use base::BaseUrl;
pub use client::{Client, ClientBuilder};
pub use error::Place;
pub use frame::{Framer, LineFramer, SseEvent, SseFramer};
pub use request::{CallOptions, Request};
pub use response::{Frames, MAX_BODY_BYTES, Response};
pub use retry::Retry;
pub use secret::Secret;
pub use settings::ClientSettings;
pub use timeouts::Timeouts;

/// The limiter of calls, for [`ClientBuilder::limiter`].
pub use mellea_core::Limiter;
/// The tags of reasoning, for the builders' `reasoning_tags`.
pub use mellea_wire::Tags;
/// The underlying HTTP client, for [`ClientBuilder::http`].
pub use reqwest;
