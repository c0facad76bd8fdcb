//! Text to tokens and back: the model's tokenizer, with a second reading in which control tokens are plain text.

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::{AddedToken, DecoderWrapper, Tokenizer};

use crate::error::{Error, Result};
use crate::hub::files::ModelFiles;

const FILE: &str = "tokenizer.json";
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token that is not text: a turn marker, an end, the border of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ControlToken {
    pub(crate) id: u32,
    pub(crate) spelling: String,
    /// Marked as special by the tokenizer, and so left out of decoded text.
    pub(crate) special: bool,
}

/// How the tokenizer turns token texts into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Every character stands for a byte (GPT-2 and its heirs).
    ByteLevel,
    /// Text, with `<0x..>` for single bytes (SentencePiece).
    Text,
}

/// A model's tokenizer and the special tokens it names.
#[derive(Debug)]
pub(crate) struct TextTokenizer {
    full: Tokenizer,
    plain: Tokenizer,
    control: Vec<ControlToken>,
    named: Vec<(String, String)>,
    spelling: Spelling,
    bytes: HashMap<char, u8>,
    longest: usize,
}

impl TextTokenizer {
    pub(crate) fn load(files: &ModelFiles) -> Result<Self> {
        let hint = "models with only a SentencePiece or Tekken file are not supported";
        let bytes = files.read(FILE)?.ok_or_else(|| files.missing(FILE, hint))?;
        let mut full = Tokenizer::from_bytes(&bytes).map_err(|error| Error::malformed(FILE, error))?;
        // A tokenizer file may carry training settings that would cut or fill up prompts.
        full.with_truncation(None).map_err(|error| Error::malformed(FILE, error))?;
        full.with_padding(None);

        // Flagged as special, all control tokens can be switched off together; ids stay as they are.
        let mut plain = full.clone();
        let (control, flagged) = control_tokens(&full);
        plain.add_special_tokens(flagged).map_err(|error| Error::malformed(FILE, error))?;
        plain.set_encode_special_tokens(true);
        let spelling = spelling(&full);
        let longest = full.get_vocab(true).keys().map(String::len).max().unwrap_or_default();
        Ok(Self { full, plain, control, named: named_tokens(files)?, spelling, bytes: byte_table(), longest })
    }

    /// Tokens of a rendered prompt; stretches with a mark hold control tokens spelt by somebody else, as text.
    pub(crate) fn encode_prompt(&self, text: &str, mark: char) -> Result<Vec<u32>> {
        if !text.contains(mark) {
            return ids(&self.full, text, false);
        }
        let mut tokens = Vec::new();
        let mut clean_from = 0;
        let mut at = 0;
        while at < text.len() {
            let next = self.next_control(text, at);
            let (end, after) = next.unwrap_or((text.len(), text.len()));
            let stretch = text.get(at..end).unwrap_or_default();
            if stretch.contains(mark) {
                tokens.extend(ids(&self.full, text.get(clean_from..at).unwrap_or_default(), false)?);
                tokens.extend(self.encode_marked(stretch, mark)?);
                clean_from = end;
            }
            at = after;
        }
        tokens.extend(ids(&self.full, text.get(clean_from..).unwrap_or_default(), false)?);
        Ok(tokens)
    }

    /// Tokens of a text that contains no control tokens, whatever it spells; with the usual first token.
    pub(crate) fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        ids(&self.plain, text, true)
    }

    /// Tokens of a text in which the caller may spell control tokens.
    pub(crate) fn encode_raw(&self, text: &str) -> Result<Vec<u32>> {
        ids(&self.full, text, true)
    }

    /// The longest control token at the first place from `at` on: where it starts and ends.
    fn next_control(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let rest = text.get(at..)?;
        let found = |token: &ControlToken| rest.find(&token.spelling).map(|start| (start, token.spelling.len()));
        let first = self.control.iter().filter_map(found).min_by_key(|(start, len)| (*start, usize::MAX - len));
        first.map(|(start, len)| (at + start, at + start + len))
    }

    fn encode_marked(&self, stretch: &str, mark: char) -> Result<Vec<u32>> {
        let is_control = |id: &u32| self.control.iter().any(|token| token.id == *id);
        let whole = ids(&self.plain, &stretch.replace(mark, ""), false)?;
        if !whole.iter().any(is_control) {
            return Ok(whole);
        }
        // The vocabulary holds the spelling as an ordinary word: only its parts are safe.
        let mut parts = Vec::new();
        for part in stretch.split(mark) {
            parts.extend(ids(&self.plain, part, false)?);
        }
        if parts.iter().any(is_control) {
            return Err(Error::tokenizer("a message spells a control token that cannot be written as text"));
        }
        Ok(parts)
    }

    /// The text of tokens, without the special ones.
    #[cfg(test)]
    pub(crate) fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.full.decode(tokens, true).map_err(Error::tokenizer)
    }

    /// The text of tokens, with the special ones.
    pub(crate) fn decode_all(&self, tokens: &[u32]) -> Result<String> {
        self.full.decode(tokens, false).map_err(Error::tokenizer)
    }

    /// The bytes that a token stands for, or `None` where there is no such token.
    pub(crate) fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        let text = self.full.id_to_token(id)?;
        Some(match self.spelling {
            Spelling::ByteLevel => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| self.bytes.get(&c).copied()).collect();
                bytes.unwrap_or_else(|| text.into_bytes())
            }
            Spelling::Text => match single_byte(&text) {
                Some(byte) => vec![byte],
                None => text.replace('\u{2581}', " ").into_bytes(),
            },
        })
    }

    /// The bytes of the longest token; at least as many as the bytes of its text.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn spelling(&self) -> Spelling {
        self.spelling
    }

    /// Whether this id is a token at all; rows beyond the tokenizer only fill up the matrix.
    pub(crate) fn knows(&self, id: u32) -> bool {
        self.full.id_to_token(id).is_some()
    }

    /// All control tokens.
    pub(crate) fn control(&self) -> &[ControlToken] {
        &self.control
    }

    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.full.token_to_id(token)
    }

    /// `bos_token`, `eos_token` and the like, as templates see them.
    pub(crate) fn named(&self) -> &[(String, String)] {
        &self.named
    }

    /// The token that ends a text.
    pub(crate) fn eos(&self) -> Option<u32> {
        let (_, text) = self.named.iter().find(|(name, _)| name == "eos_token")?;
        self.id(text)
    }
}

fn ids(tokenizer: &Tokenizer, text: &str, ends: bool) -> Result<Vec<u32>> {
    if text.is_empty() && !ends {
        return Ok(Vec::new());
    }
    let encoding = tokenizer.encode_fast(text, ends).map_err(Error::tokenizer)?;
    Ok(encoding.get_ids().to_vec())
}

/// Control tokens are the special ones, and those that look like mark-up although they are not flagged
/// (`<tool_call>`, `<think>`); the second list holds them all with the flag.
fn control_tokens(tokenizer: &Tokenizer) -> (Vec<ControlToken>, Vec<AddedToken>) {
    let mut tokens: Vec<_> = tokenizer.get_added_tokens_decoder().into_iter().collect();
    tokens.sort_by_key(|(id, _)| *id);
    let mut control = Vec::new();
    let mut flagged = Vec::new();
    for (id, mut token) in tokens {
        let text = token.content.as_str();
        let markup = (text.starts_with('<') && text.ends_with('>')) || (text.starts_with('[') && text.ends_with(']'));
        if text.chars().nth(1).is_none() || !(token.special || markup) {
            continue;
        }
        control.push(ControlToken { id, spelling: text.to_owned(), special: token.special });
        token.special = true;
        flagged.push(token);
    }
    (control, flagged)
}

fn spelling(tokenizer: &Tokenizer) -> Spelling {
    let byte_level = match tokenizer.get_decoder() {
        Some(DecoderWrapper::ByteLevel(_)) => true,
        Some(DecoderWrapper::Sequence(parts)) => {
            parts.get_decoders().iter().any(|part| matches!(part, DecoderWrapper::ByteLevel(_)))
        }
        _ => false,
    };
    if byte_level { Spelling::ByteLevel } else { Spelling::Text }
}

/// Special tokens are written as strings or as objects with a `content`.
fn named_tokens(files: &ModelFiles) -> Result<Vec<(String, String)>> {
    let config = files.read_json::<Value>("tokenizer_config.json")?;
    let map = files.read_json::<Value>("special_tokens_map.json")?;
    let mut named = Vec::new();
    for name in NAMES {
        let value = [&config, &map].into_iter().flatten().find_map(|file| file.get(name));
        let text = value.and_then(|value| value.as_str().or_else(|| value.get("content")?.as_str()));
        if let Some(text) = text {
            named.push((name.to_owned(), text.to_owned()));
        }
    }
    Ok(named)
}

fn single_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok()
}

/// GPT-2's alphabet: printable bytes stand for themselves, the others are moved behind U+0100 in order.
fn byte_table() -> HashMap<char, u8> {
    let mut table = HashMap::new();
    let mut next = 0x100;
    for byte in 0..=u8::MAX {
        let shown = matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if shown { u32::from(byte) } else { next };
        next += u32::from(!shown);
        if let Some(c) = char::from_u32(code) {
            table.insert(c, byte);
        }
    }
    table
}

#[cfg(test)]
pub(crate) mod tests;
