//! How many tokens a prompt has at least, and whether the server can have read all of it.

use mellea_core::{Message, Role, ToolSpec};

use crate::builder::Truncation;

/// Below this many tokens nothing is said about a prompt: no window is so small by accident.
const WORTH_A_LOOK: u64 = 256;

/// Letters that one token of a common vocabulary may hold at most.
const LETTERS: u64 = 16;
/// Digits that one token may hold at most.
const DIGITS: u64 = 16;
/// Characters of scripts without spaces, and symbols, that one token may hold at most.
const SIGNS: u64 = 4;

/// What is known of a prompt before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PromptCheck {
    /// It has at least so many tokens.
    pub(crate) at_least: u64,
    /// The window that was asked for.
    pub(crate) window: Option<u64>,
    /// What a truncated prompt is.
    pub(crate) policy: Truncation,
}

impl PromptCheck {
    /// The tokens of the prompt and those that were read, if the server cannot have read all of it when it counts so
    /// many.
    ///
    /// No count, or none at all, says nothing: old servers leave out what they had cached.
    pub(crate) fn shortfall(&self, read: Option<u64>) -> Option<(u64, u64)> {
        let read = read.filter(|read| *read > 0)?;
        let too_few = self.at_least >= WORTH_A_LOOK && read.saturating_mul(10) < self.at_least.saturating_mul(9);
        let too_small = self.window.is_some_and(|window| self.at_least > window && read <= window);
        (too_few || too_small).then_some((self.at_least, read))
    }
}

/// The tokens that a conversation has at least. Templates add to it; what they may leave out, such as
/// earlier reasoning, does not count, nor do images.
pub(crate) fn of_chat<'a>(messages: impl IntoIterator<Item = &'a Message>, tools: &[ToolSpec]) -> u64 {
    let texts = messages.into_iter().flat_map(|message| {
        let texts = message.content.iter().filter_map(mellea_core::Content::as_text);
        texts.map(move |text| if message.role == Role::Assistant { after_thinking(text) } else { text })
    });
    let tools = tools.iter().flat_map(|tool| [tool.name.as_str(), tool.description.as_str()]);
    texts.chain(tools).map(at_least).sum()
}

/// Servers take reasoning in tags out of earlier turns.
fn after_thinking(text: &str) -> &str {
    text.rsplit_once("</think>").map_or(text, |(_, answer)| answer)
}

/// A number of tokens that a text reaches with any common tokenizer: one for each word, one for each
/// sign between words, more for long ones. It is 0.74 to 0.85 of what tokenizers count in English prose,
/// Markdown and Rust, and 0.4 to 0.76 in other languages and JSON.
pub(crate) fn at_least(text: &str) -> u64 {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Letters,
        Digits,
        Signs,
        Punctuation,
        Space,
    }
    let kind = |c: char| match c {
        _ if c.is_whitespace() => Kind::Space,
        _ if c.is_ascii_digit() => Kind::Digits,
        // As in "it's", which some vocabularies have as one.
        '\'' | '’' => Kind::Letters,
        // From here on scripts write without spaces.
        _ if c >= '\u{e00}' => Kind::Signs,
        _ if c.is_alphanumeric() => Kind::Letters,
        _ => Kind::Punctuation,
    };
    let mut total = 0_u64;
    let mut run = (Kind::Space, 0_u64);
    let close = |(kind, length): (Kind, u64), next: Kind| match kind {
        Kind::Letters => length.div_ceil(LETTERS),
        Kind::Digits => length.div_ceil(DIGITS),
        Kind::Signs => length.div_ceil(SIGNS),
        // A sign before a word may be one token with it.
        Kind::Punctuation => u64::from(next == Kind::Space),
        Kind::Space => 0,
    };
    for c in text.chars() {
        let next = kind(c);
        if next == run.0 {
            run.1 += 1;
        } else {
            total += close(run, next);
            run = (next, 1);
        }
    }
    total + close(run, Kind::Space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_stays_below_what_tokenizers_count() {
        // The fewest of o200k_base (tiktoken 0.14), DeepSeek's and Anthropic's (both as in LiteLLM).
        for (text, counted) in [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("Hello, world! It's a test.", 8),
            ("antidisestablishmentarianism", 5),
            ("fn main() { println!(\"{}\", x); }", 9),
            ("1234567890", 1),
            ("", 0),
            ("   \n\n  ", 2),
            ("----------------------------------------", 1),
            ("これは日本語の文章です", 5),
        ] {
            let estimate = at_least(text);
            assert!(estimate <= counted, "{text}: {estimate} > {counted}");
        }
        assert_eq!(at_least("The quick brown fox jumps over the lazy dog."), 10);
        assert_eq!(at_least("これは日本語の文章です"), 3);
    }

    #[test]
    fn a_prompt_is_truncated_only_where_that_is_certain() {
        let check = |at_least, window| PromptCheck { at_least, window, ..PromptCheck::default() };
        for (check, read, truncated) in [
            (check(1000, None), Some(899), true),
            (check(1000, None), Some(900), false),
            (check(1000, None), None, false),
            (check(1000, None), Some(0), false),
            (check(255, None), Some(3), false),
            (check(256, None), Some(3), true),
            (check(100, Some(64)), Some(64), true),
            (check(100, Some(64)), Some(100), false),
            (check(100, Some(128)), Some(64), false),
            (check(u64::MAX, None), Some(u64::MAX), false),
        ] {
            assert_eq!(check.shortfall(read).is_some(), truncated, "{check:?} {read:?}");
        }
    }

    #[test]
    fn what_a_template_may_leave_out_does_not_count() {
        let long = format!("<think>{}</think>yes", "word ".repeat(100));
        assert_eq!(of_chat(&[Message::assistant(long.as_str())], &[]), 1);
        assert!(of_chat(&[Message::user(long.as_str())], &[]) > 100);
        let tool = ToolSpec::without_parameters("now", "Tells the time.");
        assert_eq!(of_chat(&[Message::user("hi")], &[tool]), 1 + 1 + 4);
    }
}
