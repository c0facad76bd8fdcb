//! Tokens to text while they arrive: never half a character, never more than constant work per token.

use std::collections::VecDeque;

use crate::error::Result;
use crate::tokenizer::{Spelling, TextTokenizer};

/// Tokens that may wait for the rest of a character: four bytes make the longest one.
const LONGEST_WAIT: usize = 8;

/// Turns the tokens of one answer into text, piece by piece.
#[derive(Debug)]
pub(crate) struct StreamDecoder {
    /// Special tokens that are shown anyway, because a later parser waits for them.
    shown: Vec<u32>,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Tokens are bytes: the bytes of an unfinished character wait.
    Bytes { waiting: Vec<u8> },
    /// Tokens are texts whose decoding depends on their neighbours: a short window is decoded again.
    Window { before: VecDeque<u32>, waiting: Vec<u32> },
}

impl StreamDecoder {
    pub(crate) fn new(tokenizer: &TextTokenizer, shown: Vec<u32>) -> Self {
        let way = match tokenizer.spelling() {
            Spelling::ByteLevel => Way::Bytes { waiting: Vec::new() },
            Spelling::Text => Way::Window { before: VecDeque::new(), waiting: Vec::new() },
        };
        Self { shown, way }
    }

    /// Takes a token; returns the text that is certain by now.
    pub(crate) fn push(&mut self, tokenizer: &TextTokenizer, token: u32) -> Result<String> {
        let hidden = tokenizer.control().iter().any(|own| own.id == token && own.special);
        if hidden && !self.shown.contains(&token) {
            return Ok(String::new());
        }
        match &mut self.way {
            Way::Bytes { waiting } => {
                waiting.extend(tokenizer.token_bytes(token).unwrap_or_default());
                Ok(take_complete(waiting))
            }
            Way::Window { before, waiting } => {
                waiting.push(token);
                if unfinished(tokenizer, waiting) && waiting.len() < LONGEST_WAIT {
                    return Ok(String::new());
                }
                let (known, all) = decode_window(tokenizer, before, waiting)?;
                if all.len() <= known.len() {
                    return Ok(String::new());
                }
                before.clear();
                before.extend(waiting.drain(..));
                Ok(all.get(known.len()..).unwrap_or_default().to_owned())
            }
        }
    }

    /// The rest, with a replacement character for what never became a character.
    pub(crate) fn finish(&mut self, tokenizer: &TextTokenizer) -> Result<String> {
        match &mut self.way {
            Way::Bytes { waiting } => Ok(String::from_utf8_lossy(&std::mem::take(waiting)).into_owned()),
            Way::Window { before, waiting } => {
                let (known, all) = decode_window(tokenizer, before, waiting)?;
                waiting.clear();
                Ok(all.get(known.len()..).unwrap_or_default().to_owned())
            }
        }
    }
}

/// Whether the tokens' bytes are no whole characters yet. Looking for the replacement character in their text
/// instead would take one that the model wrote for half a character.
fn unfinished(tokenizer: &TextTokenizer, tokens: &[u32]) -> bool {
    let bytes: Vec<u8> = tokens.iter().filter_map(|token| tokenizer.token_bytes(*token)).flatten().collect();
    std::str::from_utf8(&bytes).is_err()
}

fn decode_window(tokenizer: &TextTokenizer, before: &VecDeque<u32>, waiting: &[u32]) -> Result<(String, String)> {
    let mut tokens: Vec<u32> = before.iter().copied().collect();
    let known = tokenizer.decode_all(&tokens)?;
    tokens.extend(waiting);
    Ok((known, tokenizer.decode_all(&tokens)?))
}

/// Takes all whole characters, as `String::from_utf8_lossy` would read them, and leaves an unfinished one.
fn take_complete(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                bytes.clear();
                return text;
            }
            Err(error) => {
                let (valid, _) = bytes.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                let Some(broken) = error.error_len() else {
                    bytes.drain(..error.valid_up_to());
                    return text;
                };
                text.push('\u{FFFD}');
                bytes.drain(..error.valid_up_to() + broken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::files::ModelFiles;

    fn byte_level() -> TextTokenizer {
        crate::tokenizer::tests::tokenizer()
    }

    /// A tokenizer in SentencePiece's manner: words with a visible space, other text as single bytes.
    fn byte_fallback() -> TextTokenizer {
        let mut vocab = serde_json::Map::new();
        vocab.insert("<unk>".to_owned(), 0.into());
        for byte in 0..=255u32 {
            vocab.insert(format!("<0x{byte:02X}>"), (byte + 1).into());
        }
        for (at, word) in ["\u{2581}", "a", "b", "日"].into_iter().enumerate() {
            vocab.insert(word.to_owned(), (at + 300).into());
        }
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"},
            "pre_tokenizer": null, "post_processor": null,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}]},
            "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true, "unk_token": "<unk>"},
        });
        let bytes = serde_json::to_vec(&json).unwrap().leak();
        TextTokenizer::load(&ModelFiles::in_memory("m", &[("tokenizer.json", bytes)])).unwrap()
    }

    fn streamed(tokenizer: &TextTokenizer, tokens: &[u32]) -> String {
        let mut decoder = StreamDecoder::new(tokenizer, Vec::new());
        let mut text = String::new();
        for token in tokens {
            text.push_str(&decoder.push(tokenizer, *token).unwrap());
        }
        text + &decoder.finish(tokenizer).unwrap()
    }

    proptest! {
        #[test]
        fn deltas_are_the_whole_text(text in "[a-b 日本語é🙂👩‍👩‍👧\u{FFFD}]{0,24}") {
            for tokenizer in [byte_level(), byte_fallback()] {
                let tokens = tokenizer.encode_raw(&text).unwrap();
                let whole = tokenizer.decode(&tokens).unwrap();
                prop_assert_eq!(&whole, &text);
                prop_assert_eq!(streamed(&tokenizer, &tokens), whole);
            }
        }

        #[test]
        fn any_bytes_stream_as_they_decode(tokens in proptest::collection::vec(0u32..256, 0..40)) {
            let tokenizer = byte_level();
            prop_assert_eq!(streamed(&tokenizer, &tokens), tokenizer.decode(&tokens).unwrap());
        }
    }

    #[test]
    fn no_delta_ends_inside_a_character() {
        for tokenizer in [byte_level(), byte_fallback()] {
            let mut decoder = StreamDecoder::new(&tokenizer, Vec::new());
            for token in tokenizer.encode_raw("é🙂語").unwrap() {
                assert!(!decoder.push(&tokenizer, token).unwrap().contains('\u{FFFD}'));
            }
        }
    }

    #[test]
    fn an_endless_run_of_broken_bytes_does_not_grow_the_window() {
        let tokenizer = byte_fallback();
        let mut decoder = StreamDecoder::new(&tokenizer, Vec::new());
        for _ in 0..1000 {
            decoder.push(&tokenizer, 0x80 + 1).unwrap();
            let Way::Window { before, waiting } = &decoder.way else { unreachable!() };
            assert!(before.len() + waiting.len() <= 2 * LONGEST_WAIT);
        }
    }

    #[test]
    fn special_tokens_are_hidden_unless_a_parser_waits_for_them() {
        let tokenizer = byte_level();
        assert_eq!(streamed(&tokenizer, &[97, 257, 98]), "ab");
        let mut decoder = StreamDecoder::new(&tokenizer, vec![257]);
        assert_eq!(decoder.push(&tokenizer, 257).unwrap(), "<|end|>");
    }
}
