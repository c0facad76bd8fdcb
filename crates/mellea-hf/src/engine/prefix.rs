//! Reuse of computed prefixes: the caches of finished requests, the longest common beginning found by tokens.

use std::collections::VecDeque;

use crate::error::Result;
use crate::model::KvCache;

/// A shorter common beginning is not worth the copy.
const SHORTEST: usize = 8;

/// Caches of finished requests, bounded in bytes; the one that served longest ago goes first.
///
/// A match is exact on token ids, and a hit is a copy: nobody's cache changes under him.
#[derive(Debug)]
pub(super) struct PrefixStore {
    entries: VecDeque<(Vec<u32>, KvCache)>,
    bytes: usize,
    limit: usize,
}

impl PrefixStore {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit }
    }

    /// Keeps a cache, replacing those that are beginnings of it.
    pub(super) fn insert(&mut self, tokens: Vec<u32>, cache: KvCache) {
        let size = cache.bytes();
        if size > self.limit || tokens.len() < SHORTEST {
            return;
        }
        self.entries.retain(|(own, _)| !tokens.starts_with(own));
        self.bytes = self.entries.iter().map(|(_, cache)| cache.bytes()).sum();
        while self.bytes + size > self.limit {
            let Some((_, oldest)) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        self.bytes += size;
        self.entries.push_back((tokens, cache));
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A cache that holds the longest known beginning of these tokens.
    pub(super) fn find(&self, tokens: &[u32]) -> Result<Option<KvCache>> {
        let common = |own: &[u32]| own.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let best = self.entries.iter().map(|(own, cache)| (common(own), cache)).max_by_key(|(len, _)| *len);
        match best {
            Some((len, cache)) if len >= SHORTEST => cache.fork(len).map(Some),
            _ => Ok(None),
        }
    }
}
