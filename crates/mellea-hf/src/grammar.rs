//! Constraints on what may be generated: a JSON schema or a regular expression, as a mask over the vocabulary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;
use toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use crate::error::{Error, Result};
use crate::tokenizer::TextTokenizer;

/// The trie takes no longer tokens; such tokens are not generated under a constraint.
const LONGEST_TOKEN: usize = 64;

/// What the output must look like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constraint {
    /// Compact JSON (no white space between tokens) that fits the schema.
    JsonSchema(Value),
    /// A text that the regular expression matches as a whole.
    Regex(String),
}

/// Compiles constraints; built once for a tokenizer, since it sorts the whole vocabulary.
pub(crate) struct GrammarFactory {
    factory: ParserFactory,
}

impl std::fmt::Debug for GrammarFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarFactory").finish_non_exhaustive()
    }
}

impl GrammarFactory {
    /// `vocab` is the number of logits, `eos` the tokens that may end an answer.
    pub(crate) fn new(tokenizer: &TextTokenizer, vocab: usize, eos: &[u32]) -> Result<Self> {
        let size = u32::try_from(vocab).map_err(Error::grammar)?;
        let first_eos = eos.first().copied().unwrap_or(size.saturating_sub(1));
        let words: Vec<Vec<u8>> = (0..size).map(|id| word(tokenizer, id)).collect();
        let built = guarded(|| {
            let trie = TokTrie::from(&TokRxInfo::new(size, first_eos), &words);
            let trie = if eos.is_empty() { trie } else { trie.with_eos_tokens(eos) };
            let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            ParserFactory::new_simple(&environment)
        });
        let mut factory = built?.map_err(Error::grammar)?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// Compiles one constraint for one answer.
    pub(crate) fn compile(&self, constraint: &Constraint) -> Result<GrammarState> {
        match constraint {
            // What the grammar has no means for is left out of it; answers are checked when they are read.
            Constraint::JsonSchema(schema) => self
                .parser(TopLevelGrammar::from_json_schema(compact(schema, false)?))
                .or_else(|error| self.parser(TopLevelGrammar::from_json_schema(compact(schema, true)?)).map_err(|_| error)),
            Constraint::Regex(pattern) => self.parser(TopLevelGrammar::from_regex(pattern)),
        }
    }

    fn parser(&self, grammar: TopLevelGrammar) -> Result<GrammarState> {
        let parser = guarded(|| self.factory.create_parser(grammar))?;
        let matcher = Matcher::new(Ok(parser.map_err(|error| Error::grammar(format!("{error:#}")))?));
        match matcher.get_error() {
            Some(error) => Err(Error::grammar(error)),
            None => Ok(GrammarState { matcher }),
        }
    }
}

/// How far one answer has come in its constraint.
pub(crate) struct GrammarState {
    matcher: Matcher,
}

impl std::fmt::Debug for GrammarState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarState").field("complete", &self.is_complete()).finish_non_exhaustive()
    }
}

impl GrammarState {
    /// Writes minus infinity where a token would break the constraint.
    pub(crate) fn mask(&mut self, logits: &mut [f32]) -> Result<()> {
        let mask = self.matcher.compute_mask_or_eos().map_err(Error::grammar)?;
        for (token, logit) in (0u32..).zip(logits.iter_mut()) {
            if (token as usize) >= mask.len() || !mask.is_allowed(token) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Moves on by one token.
    pub(crate) fn accept(&mut self, token: u32) -> Result<()> {
        self.matcher.consume_token(token).map_err(Error::grammar)
    }

    /// Whether nothing more can follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

/// The text of a token; control tokens are marked, so that they are never text.
fn word(tokenizer: &TextTokenizer, id: u32) -> Vec<u8> {
    let Some(mut bytes) = tokenizer.token_bytes(id).filter(|bytes| bytes.len() < LONGEST_TOKEN) else {
        return Vec::new();
    };
    if tokenizer.control().iter().any(|token| token.id == id) {
        bytes.insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
    }
    bytes
}

/// Sets the writing style; a schema that came from elsewhere must not bring its own.
fn compact(schema: &Value, lenient: bool) -> Result<Value> {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        Value::Bool(true) => serde_json::json!({}),
        _ => return Err(Error::grammar("a JSON schema must be an object or true")),
    };
    let style = JsonCompileOptions {
        whitespace_flexible: false,
        item_separator: ",".to_owned(),
        key_separator: ":".to_owned(),
        coerce_one_of: true,
        lenient,
        ..JsonCompileOptions::default()
    };
    style.apply_to(&mut schema);
    Ok(schema)
}

/// The libraries below assert in places; a vocabulary or a schema must not end the program.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Error::grammar(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("internal error"))
    })
}

#[cfg(test)]
mod tests;
