//! Numbers that look random and are always the same.

/// Words that made-up texts consist of.
const WORDS: [&str; 16] = [
    "amber", "birch", "cloud", "delta", "ember", "fjord", "grove", "harbour", "island", "juniper", "kite", "lantern", "meadow",
    "north", "ocean", "pebble",
];

/// A generator of numbers, after SplitMix64.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 up to, and without, this one; 0 if there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    pub(super) fn chance(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let i = self.below(from.len() as u64);
        from.get(usize::try_from(i).unwrap_or(0))
    }

    /// So many words, both ends included.
    pub(super) fn words(&mut self, least: u64, most: u64) -> String {
        let count = least + self.below(most.saturating_sub(least) + 1);
        let words: Vec<&str> = (0..count).filter_map(|_| self.pick(&WORDS).copied()).collect();
        words.join(" ")
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that follows from a seed and a text, the same in every version of the program.
pub(super) fn hash(seed: u64, text: &str) -> u64 {
    text.bytes().fold(mix(seed), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
