//! Calls in the history that another provider's model made: their ids and names, as a wire takes them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use mellea_core::{Message, Messages};

/// The longest id or name.
const MAX_CHARS: usize = 64;

/// Makes ids and names of calls match `[a-zA-Z0-9_-]{1,64}`, and each id different from those of earlier calls.
///
/// A result goes with the last call before it that had its id. What fits is left as it is, and what follows in the
/// conversation changes nothing before it, so that the same id is sent each time.
pub(crate) fn fit(messages: &mut Messages) {
    if !needs_change(messages) {
        return;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut sent: BTreeMap<String, String> = BTreeMap::new();
    let mut fit_message = |message: &Message| {
        let mut message = message.clone();
        for call in &mut message.tool_calls {
            let fitting = fitting_id(&call.id).into_owned();
            let mut id = fitting.clone();
            let mut n = 1;
            while !taken.insert(id.clone()) {
                n += 1;
                let end = format!("-{n}");
                id = fitting.chars().take(MAX_CHARS - end.len()).collect::<String>() + &end;
            }
            let given = std::mem::replace(&mut call.id, id.clone());
            sent.insert(given, id);
            call.name = fitting_name(&call.name).into_owned();
        }
        if let Some(id) = &mut message.tool_call_id {
            *id = sent.get(id.as_str()).cloned().unwrap_or_else(|| fitting_id(id).into_owned());
        }
        if let Some(name) = &mut message.tool_name {
            *name = fitting_name(name).into_owned();
        }
        Arc::new(message)
    };
    let has_calls = |message: &Message| !message.tool_calls.is_empty() || message.tool_call_id.is_some();
    *messages = messages.shared().map(|m| if has_calls(m) { fit_message(m) } else { Arc::clone(m) }).collect();
}

fn needs_change(messages: &Messages) -> bool {
    let mut seen = BTreeSet::new();
    messages.iter().any(|message| {
        message.tool_calls.iter().any(|call| !fits(&call.id) || !fits(&call.name) || !seen.insert(call.id.as_str()))
            || message.tool_call_id.as_deref().is_some_and(|id| !fits(id))
            || message.tool_name.as_deref().is_some_and(|name| !fits(name))
    })
}

fn fits(text: &str) -> bool {
    (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(is_plain)
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn fitting_id(id: &str) -> Cow<'_, str> {
    if fits(id) { Cow::Borrowed(id) } else { Cow::Owned(hashed(id)) }
}

fn fitting_name(name: &str) -> Cow<'_, str> {
    if fits(name) {
        Cow::Borrowed(name)
    } else if name.is_empty() || name.chars().count() > MAX_CHARS {
        Cow::Owned(hashed(name))
    } else {
        Cow::Owned(plain(name, MAX_CHARS))
    }
}

fn plain(text: &str, most: usize) -> String {
    text.chars().map(|c| if u8::try_from(c).is_ok_and(is_plain) { c } else { '_' }).take(most).collect()
}

/// What can be read of a text, and a hash that tells it from others which look the same then. It is FNV-1a, so that no
/// release changes it.
fn hashed(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut out = plain(text, MAX_CHARS - 17);
    let _ = write!(out, "-{hash:016x}");
    out
}

#[cfg(test)]
mod tests {
    use mellea_core::ToolCall;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn conversation(calls: &[(&str, &str)]) -> Messages {
        let mut messages = vec![Message::user("q")];
        for (id, name) in calls {
            let call = ToolCall::with_id(*id, *name, json!({}));
            let mut asks = Message::assistant("");
            asks.tool_calls = vec![call.clone()];
            messages.extend([asks, Message::tool(&call, "r")]);
        }
        messages.into()
    }

    /// The ids of the calls, after a check that each result goes with its call.
    fn ids(messages: &Messages) -> Vec<String> {
        let all: Vec<_> = messages.iter().collect();
        let mut out = Vec::new();
        for pair in all[1..].chunks(2) {
            assert_eq!(pair[1].tool_call_id.as_deref(), Some(pair[0].tool_calls[0].id.as_str()));
            out.push(pair[0].tool_calls[0].id.clone());
        }
        out
    }

    #[test]
    fn foreign_ids_are_brought_into_form_call_and_result_alike() {
        let mut messages = conversation(&[("functions.find:0", "find"), ("call|1 2", "find"), ("toolu_01", "find"), ("", "f.g")]);
        fit(&mut messages);
        let ids = ids(&messages);
        assert!(ids.iter().all(|id| fits(id)), "{ids:?}");
        assert!(ids[0].starts_with("functions_find_0-") && ids[1].starts_with("call_1_2-") && ids[2] == "toolu_01", "{ids:?}");
        assert_eq!(messages[7].tool_calls[0].name, "f_g");
    }

    #[test]
    fn ids_that_come_again_are_told_apart() {
        let mut messages = conversation(&[("call_0", "find"), ("call_0", "find"), ("a b", "find"), ("a b", "find")]);
        fit(&mut messages);
        let ids = ids(&messages);
        assert_eq!((ids[0].as_str(), ids[1].as_str()), ("call_0", "call_0-2"));
        assert_ne!(ids[2], ids[3]);
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let mut messages = conversation(&[("call_0", "find"), ("toolu_1", "find")]);
        let before = messages.clone();
        fit(&mut messages);
        assert_eq!(messages, before);
    }

    proptest! {
        #[test]
        fn ids_fit_are_unique_and_stay(given in prop::collection::vec(".{0,80}", 1..6)) {
            let calls: Vec<_> = given.iter().map(|id| (id.as_str(), "find")).collect();
            let mut all = conversation(&calls);
            fit(&mut all);
            let all = ids(&all);
            prop_assert!(all.iter().all(|id| fits(id)));
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            let mut before = conversation(&calls[..calls.len() - 1]);
            fit(&mut before);
            prop_assert_eq!(&ids(&before), &all[..all.len() - 1]);
        }
    }
}
