//! A door for the crate's own benchmarks; not part of the API.

use serde_json::Value;

use crate::error::Result;
use crate::grammar::{Constraint, GrammarFactory, GrammarState};
use crate::hub::files::ModelFiles;
use crate::tokenizer::TextTokenizer;

/// A constraint and a text that fits it.
#[derive(Debug)]
pub struct MaskBench {
    factory: GrammarFactory,
    constraint: Constraint,
    tokens: Vec<u32>,
    vocab: usize,
}

/// A constraint at its beginning.
#[derive(Debug)]
pub struct MaskState(Option<GrammarState>);

impl MaskBench {
    /// Builds the factory from a model's files.
    pub fn new(files: &[(&str, &'static [u8])], schema: &Value, text: &str) -> Result<Self> {
        let tokenizer = TextTokenizer::load(&ModelFiles::in_memory("bench", files))?;
        let vocab = (0..).take_while(|id| tokenizer.knows(*id)).count();
        let eos: Vec<u32> = tokenizer.eos().into_iter().collect();
        let factory = GrammarFactory::new(&tokenizer, vocab, &eos)?;
        let constraint = Constraint::JsonSchema(schema.clone());
        factory.compile(&constraint)?;
        Ok(Self { factory, constraint, tokens: tokenizer.encode_plain(text)?, vocab })
    }

    /// Tokens of the text.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// Compiles the constraint.
    #[must_use]
    pub fn compile(&self) -> MaskState {
        MaskState(self.factory.compile(&self.constraint).ok())
    }

    /// Computes and applies a mask for each token of the text, and accepts the token.
    #[must_use]
    pub fn walk(&self, state: MaskState) -> bool {
        let Some(mut state) = state.0 else { return false };
        let mut logits = vec![0.0; self.vocab];
        for token in &self.tokens {
            logits.fill(0.0);
            if state.mask(&mut logits).is_err() || state.accept(*token).is_err() {
                return false;
            }
        }
        state.is_complete()
    }
}
