//! stub
use serde::{Deserialize, Serialize};
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// .
    Text(TextBlock),
    /// .
    Image(Image),
    /// .
    Audio(Audio),
}
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextBlock {
    /// .
    pub text: String,
    /// .
    pub cache: bool,
}
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image(String);
/// .
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audio(String);
impl Content {
    /// .
    pub fn text(t: impl Into<String>) -> Self {
        Self::Text(TextBlock { text: t.into(), cache: false })
    }
    /// .
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(t) => Some(&t.text),
            _ => None,
        }
    }
}
impl From<&str> for Content {
    fn from(s: &str) -> Self {
        Self::text(s)
    }
}
impl From<String> for Content {
    fn from(s: String) -> Self {
        Self::text(s)
    }
}
impl From<Image> for Content {
    fn from(s: Image) -> Self {
        Self::Image(s)
    }
}
impl From<Audio> for Content {
    fn from(s: Audio) -> Self {
        Self::Audio(s)
    }
}
