//! Content of messages: text, images and audio, checked when they are made.
//!
//! Nothing is ever fetched: an image given by its address is passed on to providers that accept
//! addresses.

mod invalid;
mod media;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use invalid::InvalidContent;
pub use media::{Audio, Image, MAX_MEDIA_BYTES};

/// One block of a message's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text(TextBlock),
    /// An image.
    Image(Image),
    /// A piece of audio.
    Audio(Audio),
}

/// A block of text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextBlock {
    /// The text.
    pub text: String,
    /// Whether a backend should keep what it computes for this block, because it will come again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
}

impl fmt::Debug for TextBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl Content {
    /// A block of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextBlock { text: text.into(), cache: false })
    }

    /// A block of text that will come again, such as a long document with many questions.
    pub fn cached(text: impl Into<String>) -> Self {
        Self::Text(TextBlock { text: text.into(), cache: true })
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(block) => Some(&block.text),
            Self::Image(_) | Self::Audio(_) => None,
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Image> for Content {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<Audio> for Content {
    fn from(audio: Audio) -> Self {
        Self::Audio(audio)
    }
}
