//! The text of one block of an answer, as it grows.

/// The least length of a text that is taken for a repeat of the pieces before it: shorter ones may be the model's.
const MIN_REPEAT: usize = 12;

/// The text of one block, without what gateways send twice: the first piece within the block's start and once more as
/// a piece, or the whole text as a last piece.
///
/// Each method takes what came and gives what is to be said; a piece that may be a repeat waits until that is clear.
#[derive(Debug, Default)]
pub(crate) struct BlockText {
    said: String,
    pieces: usize,
    held: String,
    /// The block's start had text, and so far only repeats of it have come.
    echo: bool,
}

impl BlockText {
    /// The block begins with this text.
    pub(crate) fn start(&mut self, text: String) -> String {
        if !text.is_empty() {
            self.said.push_str(&text);
            (self.pieces, self.echo) = (1, true);
        }
        text
    }

    /// The next piece.
    pub(crate) fn piece(&mut self, piece: String) -> String {
        let text = if self.held.is_empty() { piece } else { std::mem::take(&mut self.held) + &piece };
        if text.is_empty() {
            return text;
        }
        if self.echo {
            if text == self.said {
                self.echo = false;
                return String::new();
            }
            if self.said.starts_with(&text) {
                self.held = text;
                return String::new();
            }
            self.echo = false;
        } else if self.pieces > 1 && self.said.len() >= MIN_REPEAT && text == self.said {
            self.held = text;
            return String::new();
        }
        self.said.push_str(&text);
        self.pieces += 1;
        text
    }

    /// The block ends.
    pub(crate) fn end(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if !std::mem::take(&mut self.echo) || held.is_empty() {
            return String::new();
        }
        self.said.push_str(&held);
        held
    }

    /// The whole text.
    pub(crate) fn take(&mut self) -> String {
        let mut text = std::mem::take(&mut self.said);
        mellea_wire::json::join_halves(&mut text, false);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(start: &str, pieces: &[&str]) -> String {
        let mut block = BlockText::default();
        let mut said = block.start(start.to_owned());
        pieces.iter().for_each(|piece| said.push_str(&block.piece((*piece).to_owned())));
        said.push_str(&block.end());
        assert_eq!(block.take(), said);
        said
    }

    #[test]
    fn what_comes_twice_is_said_once() {
        for (start, pieces, said) in [
            ("", ["The ", "answer"].as_slice(), "The answer"),
            ("The ", &["answer"], "The answer"),
            ("The ", &["The ", "answer"], "The answer"),
            ("The answer", &["The ", "answer", " is 42."], "The answer is 42."),
            ("", &["The answer ", "is 42.", "The answer is 42."], "The answer is 42."),
            ("The ", &["The ", "answer is 42.", "The answer is 42."], "The answer is 42."),
        ] {
            assert_eq!(read(start, pieces), said, "{start:?} {pieces:?}");
        }
    }

    #[test]
    fn what_the_model_repeats_is_kept() {
        for (start, pieces, said) in [
            ("", ["ha", "ha", "haha"].as_slice(), "hahahaha"),
            ("", &["Once more: ", "go. ", "Once more: go. ", "Yes."], "Once more: go. Once more: go. Yes."),
            ("aab", &["a", "x"], "aabax"),
            ("aab", &["a"], "aaba"),
            ("", &["The answer is 42.", "The answer is 42."], "The answer is 42.The answer is 42."),
        ] {
            assert_eq!(read(start, pieces), said, "{start:?} {pieces:?}");
        }
    }
}
