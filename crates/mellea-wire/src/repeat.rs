//! Noticing that a server sends once more, at the end, what it has sent in pieces.

use std::hash::{DefaultHasher, Hasher};

/// The least length of a text that is taken for a repeat of the pieces before it: shorter ones may be the model's.
const MIN_REPEAT: usize = 12;

/// What has been heard of one text: enough to know it again, without keeping it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    hasher: DefaultHasher,
    bytes: usize,
    pieces: usize,
}

impl Heard {
    /// Takes the next piece.
    pub(crate) fn piece(&mut self, text: &str) {
        self.hasher.write(text.as_bytes());
        self.bytes += text.len();
        self.pieces += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Whether this piece, the last one, is all of the pieces before it once more.
    pub(crate) fn is_repeated_by(&self, text: &str) -> bool {
        self.pieces > 1 && self.bytes >= MIN_REPEAT && self.is(text)
    }

    fn is(&self, text: &str) -> bool {
        let mut hasher = DefaultHasher::default();
        hasher.write(text.as_bytes());
        self.bytes == text.len() && hasher.finish() == self.hasher.finish()
    }

    /// What the whole text has beyond the pieces: all of it if there were none, nothing if it is another text.
    pub(crate) fn rest_of<'a>(&self, whole: &'a str) -> &'a str {
        match whole.split_at_checked(self.bytes) {
            Some((start, rest)) if self.is(start) => rest,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_and_a_refrain_is_not() {
        let mut heard = Heard::default();
        assert_eq!(heard.rest_of("The answer."), "The answer.");
        heard.piece("The answer ");
        assert!(!heard.is_repeated_by("The answer "), "one piece may be said twice");
        heard.piece("is ä 42.");
        assert!(heard.is_repeated_by("The answer is ä 42."));
        assert_eq!(heard.rest_of("The answer is ä 42. Yes"), " Yes");
        assert_eq!(heard.rest_of("Another text that is longer than it"), "");
        let mut song = Heard::default();
        ["ha", "ha"].iter().for_each(|piece| song.piece(piece));
        assert!(!song.is_repeated_by("haha"));
    }
}
