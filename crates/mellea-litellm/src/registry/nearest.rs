//! Which names are most like a misspelt one.

/// The names most similar to this one, the closest first, at most three; none if none is close.
pub(super) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // Prefixes are short; a long text is none, and would be slow to compare.
    if wanted.chars().count() > 40 {
        return Vec::new();
    }
    let plain = plain(wanted);
    let mut found: Vec<(usize, &str)> = names.filter_map(|name| Some((likeness(&plain, name)?, name))).collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The letters and digits, in small letters: `Together-AI` is `togetherai`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn likeness(wanted: &str, name: &str) -> Option<usize> {
    let name = plain(name);
    let far = distance(wanted, &name);
    if far <= (wanted.chars().count() / 3).clamp(1, 3) {
        return Some(far);
    }
    // `together` for `together_ai`.
    let (short, long) = if wanted.len() < name.len() { (wanted, name.as_str()) } else { (name.as_str(), wanted) };
    (short.len() >= 4 && long.starts_with(short)).then_some(far.min(4))
}

/// How many letters must be changed, added or removed to make one text of the other.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = i + 1;
        next.push(left);
        for (to, pair) in b.iter().zip(row.windows(2)) {
            let (Some(diagonal), Some(above)) = (pair.first(), pair.last()) else { break };
            left = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (a, b, far) in [("", "abc", 3), ("kitten", "sitting", 3), ("groq", "groq", 0), ("groq", "grok", 1), ("ä", "a", 1)] {
            assert_eq!((distance(a, b), distance(b, a)), (far, far), "{a} {b}");
        }
    }

    #[test]
    fn misspelt_names_are_found() {
        let names = ["groq", "together_ai", "openai", "openrouter", "fireworks_ai", "xai", "zai"];
        for (wanted, first) in
            [("grog", "groq"), ("together", "together_ai"), ("TogetherAI", "together_ai"), ("open-router", "openrouter")]
        {
            assert_eq!(nearest(wanted, names.into_iter()).first(), Some(&first), "{wanted}");
        }
        assert!(nearest("meta-llama", names.into_iter()).is_empty());
        assert!(nearest(&"x".repeat(41), names.into_iter()).is_empty());
    }
}
