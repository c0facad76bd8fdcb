//! The marks in a text that say what is reasoning, what is quoted and what is the answer.

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Reasoning starts here.
    Reasoning,
    /// Reasoning ends here.
    ReasoningEnd,
    /// The answer starts here, whatever came before.
    Answer,
    /// The answer ends here.
    AnswerEnd,
    /// A code fence starts or ends.
    Fence,
}

/// The tags around reasoning, in any case.
const REASONING: [&str; 13] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reason",
    "reflection",
    "reflect",
    "scratchpad",
    "analysis",
    "inner_monologue",
    "planning",
    "antthinking",
];

/// The tags around an answer, in any case.
const ANSWER: [&str; 6] = ["answer", "final", "final_answer", "response", "output", "result"];

/// How long a tag may be.
const MAX_TAG: usize = 80;

/// The marks in a text and where each ends, in order.
pub(crate) fn marks(text: &str) -> impl Iterator<Item = (Mark, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = text.get(at..)?;
            at += rest.find(['<', '[', '`', '◁'])?;
            let rest = text.get(at..)?;
            if let Some(behind) = rest.strip_prefix("```") {
                // Longer fences are one fence.
                at = text.len() - behind.trim_start_matches('`').len();
                return Some((Mark::Fence, at));
            }
            match tag(rest) {
                Some((mark, length)) => {
                    at += length;
                    return Some((mark, at));
                }
                None => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
    })
}

/// The mark that starts a text, and its length.
fn tag(text: &str) -> Option<(Mark, usize)> {
    let close = match text.chars().next()? {
        '<' => '>',
        '[' => ']',
        '◁' => '▷',
        _ => return None,
    };
    // Most brackets are those of something else.
    let second = text.chars().nth(1)?;
    if !(second.is_alphabetic() || matches!(second, '/' | '|')) {
        return None;
    }
    let end = text.char_indices().take(MAX_TAG).find(|(_, c)| *c == close)?.0;
    let open = text.chars().next().map_or(1, char::len_utf8);
    let inner = text.get(open..end)?.trim().to_ascii_lowercase();
    let length = end + close.len_utf8();
    if let Some(special) = inner.strip_prefix('|').and_then(|inner| inner.strip_suffix('|')) {
        return special_token(special, text, length);
    }
    let (ends, name) = match inner.strip_prefix('/') {
        Some(name) => (true, name),
        None => (false, inner.as_str()),
    };
    let name = name.split_whitespace().next()?;
    let name = name.rsplit(':').next().unwrap_or(name);
    let mark = if REASONING.contains(&name) {
        if ends { Mark::ReasoningEnd } else { Mark::Reasoning }
    } else if ANSWER.contains(&name) && close == '>' {
        if ends { Mark::AnswerEnd } else { Mark::Answer }
    } else {
        return None;
    };
    Some((mark, length))
}

/// A token such as `<|begin_of_thought|>`, `<|START_THINKING|>` or `<|channel|>analysis`.
fn special_token(name: &str, text: &str, length: usize) -> Option<(Mark, usize)> {
    if name == "channel" {
        let channel = text.get(length..)?.trim_start();
        return Some((if channel.starts_with("final") { Mark::Answer } else { Mark::Reasoning }, length));
    }
    if name == "end" {
        return Some((Mark::AnswerEnd, length));
    }
    if !(name.contains("thought") || name.contains("think")) {
        return None;
    }
    let ends = name.starts_with("end") || name.starts_with('/');
    Some((if ends { Mark::ReasoningEnd } else { Mark::Reasoning }, length))
}

/// Whether the words before a value say that it is the last word on the matter.
pub(crate) fn announces(before: &str) -> bool {
    let start = before.char_indices().rev().nth(100).map_or(0, |(at, _)| at);
    let words = before.get(start..).unwrap_or_default().to_lowercase();
    let has = |list: &[&str]| list.iter().any(|word| words.contains(word));
    has(&["final", "corrected", "revised", "answer:", "answer is"])
        && !has(&["draft", "example", "e.g.", "format", "template", "look like", "not ", "instead of", "first"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_many_families_are_known() {
        for (text, wanted) in [
            ("<think>", Mark::Reasoning),
            ("</Think>", Mark::ReasoningEnd),
            ("<seed:think>", Mark::Reasoning),
            ("[THINK]", Mark::Reasoning),
            ("[/THINK]", Mark::ReasoningEnd),
            ("<thinking budget=\"3\">", Mark::Reasoning),
            ("<|begin_of_thought|>", Mark::Reasoning),
            ("<|END_THINKING|>", Mark::ReasoningEnd),
            ("<|channel|>analysis<|message|>", Mark::Reasoning),
            ("<|channel|>final<|message|>", Mark::Answer),
            ("◁think▷", Mark::Reasoning),
            ("<Answer>", Mark::Answer),
            ("````", Mark::Fence),
        ] {
            assert_eq!(marks(&format!("a [1] < b {text} c")).next().map(|(mark, _)| mark), Some(wanted), "{text}");
        }
        assert_eq!(marks("a < b, [x] <b>c</b> ` `` <| |> <").next(), None);
    }

    #[test]
    fn words_announce_an_answer() {
        assert!(announces("On reflection, the final answer is: "));
        assert!(!announces("An example of the final answer: ") && !announces("Draft: ") && !announces(""));
    }
}
