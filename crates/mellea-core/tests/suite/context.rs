//! Whatever the history, its views are valid conversations.

use std::sync::{Arc, Weak};

use mellea_core::{ChatContext, Context, Entry, ErrorKind, Message, Messages, ModelOutput, Role, SimpleContext, ToolCall};
use proptest::prelude::*;
use serde_json::json;

use crate::history::fault;

/// One exchange of a history.
#[derive(Clone, Debug)]
enum Exchange {
    Plain(String, String),
    /// A question, rounds of so many tool calls each, and an answer.
    Tools(String, Vec<usize>),
    Unanswered(String),
    /// Calls that nobody answered.
    Open(String),
    /// A rule in the middle.
    Rule(String),
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let text = "[a-z ]{1,40}";
    prop_oneof![
        (text, text).prop_map(|(asked, said)| Exchange::Plain(asked, said)),
        (text, prop::collection::vec(1..4_usize, 1..3)).prop_map(|(asked, rounds)| Exchange::Tools(asked, rounds)),
        text.prop_map(Exchange::Unanswered),
        text.prop_map(Exchange::Open),
        text.prop_map(Exchange::Rule),
    ]
}

fn history(policy: ChatContext, system: bool, exchanges: &[Exchange]) -> Context {
    let mut context = Context::from(policy);
    if system {
        context = context.add(Message::system("Be brief."));
    }
    let mut ids = 0;
    for exchange in exchanges {
        match exchange {
            Exchange::Plain(asked, said) => {
                context = context.add(Message::user(asked.as_str())).add(ModelOutput::new(said.as_str()));
            }
            Exchange::Unanswered(asked) => context = context.add(Message::user(asked.as_str())),
            Exchange::Open(asked) => {
                let mut output = ModelOutput::new("");
                output.tool_calls.push(ToolCall::with_id("open", "look", json!({})));
                context = context.add(Message::user(asked.as_str())).add(output);
            }
            Exchange::Rule(text) => context = context.add(Message::system(text.as_str())),
            Exchange::Tools(asked, rounds) => {
                context = context.add(Message::user(asked.as_str()));
                for count in rounds {
                    let mut output = ModelOutput::new("");
                    output.tool_calls = (0..*count)
                        .map(|i| ToolCall { id: format!("call-{}", ids + i), name: "look".into(), arguments: json!({"i": i}) })
                        .collect();
                    ids += count;
                    let calls = output.tool_calls.clone();
                    context = context.add(output);
                    for call in &calls {
                        context = context.add(Message::tool(call, "found"));
                    }
                }
                context = context.add(ModelOutput::new("done"));
            }
        }
    }
    context
}

fn policy() -> impl Strategy<Value = ChatContext> {
    (prop::option::of(0..5_usize), prop::option::of(0..120_u64)).prop_map(|(turns, tokens)| {
        let mut policy = ChatContext::new();
        if let Some(turns) = turns {
            policy = policy.last_turns(turns);
        }
        if let Some(tokens) = tokens {
            policy = policy.token_budget(tokens);
        }
        policy
    })
}

proptest! {
    #[test]
    fn views_are_valid_and_keep_what_matters(
        policy in policy(),
        system: bool,
        exchanges in prop::collection::vec(exchange(), 0..12),
    ) {
        let context = history(policy.keep_all(), system, &exchanges);
        let view = context.view();
        prop_assert_eq!(fault(&view), None);
        let all: Vec<Arc<Message>> = context.entries().iter().map(|e| e.to_message()).collect();
        // All that is shown was said, in this order, and no rule is missing or moved.
        let mut left = view.iter().filter(|m| !m.text().contains("not called")).peekable();
        for message in &all {
            let id_aside = |m: &Message| (m.role, m.text().into_owned(), m.tool_calls.len());
            if left.peek().is_some_and(|shown| id_aside(shown) == id_aside(message)) {
                left.next();
            } else {
                prop_assert!(message.role != Role::System, "a rule is gone");
            }
        }
        prop_assert_eq!(left.next(), None, "what is shown is out of order");
        let newest = all.iter().rposition(|m| m.role == Role::User).unwrap_or(all.len());
        prop_assert!(all[newest..].iter().all(|m| !m.tool_calls.is_empty() || view.iter().any(|shown| *shown == **m)));
        // What is dropped is not missed.
        let dropping = history(policy, system, &exchanges);
        prop_assert!(dropping.len() <= context.len());
        prop_assert_eq!(dropping.dropped() + dropping.len(), context.len());
        let told = |view: &Messages| view.iter().map(|m| (m.role, m.text().into_owned())).collect::<Vec<_>>();
        prop_assert_eq!(told(&dropping.view()), told(&view));
    }

    #[test]
    fn contexts_survive_storage_and_equal_histories_have_equal_ids(
        policy in policy(),
        system: bool,
        exchanges in prop::collection::vec(exchange(), 0..6),
        more in "[a-z]{1,9}",
    ) {
        let context = history(policy, system, &exchanges);
        let stored = serde_json::to_string(&context).unwrap();
        let again: Context = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&again, &context);
        prop_assert_eq!(again.id(), context.id());
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), stored);
        prop_assert_eq!(again.view(), context.view());
        prop_assert_eq!(history(policy, system, &exchanges).id(), context.id());
        let (one, other) = (context.add(Message::user(more.as_str())), context.add(Message::user(format!("{more}!"))));
        prop_assert!(one.id() != context.id() && one.id() != other.id());
        prop_assert!(one.id() != context.add(Message::assistant(more.as_str())).id());
    }
}

#[test]
fn a_million_turns_drop_on_a_small_stack() {
    let work = || {
        let mut context = Context::from(ChatContext::new());
        let shared = std::sync::Arc::new(ModelOutput::new("x"));
        for _ in 0..1_000_000 {
            context = context.add(std::sync::Arc::clone(&shared));
        }
        let fork = context.add(Message::user("and?"));
        assert_eq!(fork.len(), 1_000_001);
        drop(context);
        drop(fork);
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(work).unwrap().join().unwrap();
}

#[test]
fn system_messages_stay_where_they_stand() {
    let turn = |context: Context, i: u32| context.add(Message::user(format!("q{i}"))).add(ModelOutput::new(format!("a{i}")));
    let texts = |policy: ChatContext| -> Vec<String> {
        let context = turn(Context::from(policy).add(Message::system("first")), 1).add(Message::system("middle"));
        let context = turn(turn(context, 2).add(Message::system("late")), 3);
        context.view().iter().map(|m| m.text().into_owned()).collect()
    };
    assert_eq!(texts(ChatContext::new().last_turns(1)), ["first", "middle", "late", "q3", "a3"]);
    assert_eq!(texts(ChatContext::new().last_turns(2)), ["first", "middle", "q2", "a2", "late", "q3", "a3"]);
    let all = ["first", "q1", "a1", "middle", "q2", "a2", "late", "q3", "a3"];
    assert_eq!(texts(ChatContext::new().last_turns(3)), all);
    assert_eq!(texts(ChatContext::new()), all);
    assert_eq!(texts(ChatContext::new().token_budget(8)), ["first", "middle", "late", "q3", "a3"]);
}

fn long_chat(context: impl Into<Context>, turns: usize) -> (Context, Weak<Message>) {
    let first = Arc::new(Message::user("the first question"));
    let seen = Arc::downgrade(&first);
    let start = context.into().add(Message::system("Be brief.")).add(first);
    let turn = |context: Context, i: usize| {
        // What was read must not keep what is dropped.
        assert!(context.view().len() <= 2 * turns + 2);
        context.add_turn([Message::user(format!("question {i}"))], Arc::new(ModelOutput::new("a")))
    };
    ((0..turns).fold(start, turn), seen)
}

#[test]
fn what_can_never_be_seen_again_is_dropped() {
    for policy in [ChatContext::new().last_turns(8), ChatContext::new().token_budget(60)] {
        let (context, first) = long_chat(policy, 100_000);
        assert!(context.len() < 40, "{} entries for {policy:?}", context.len());
        assert_eq!(context.len() + context.dropped(), 200_002);
        assert!(first.upgrade().is_none(), "the first question is still in memory");
        assert_eq!(context.view()[0].text(), "Be brief.");
        assert_eq!(context.view().last().unwrap().text(), "a");
        let stored = context.to_json().unwrap();
        let again = Context::from_json(&stored).unwrap();
        assert_eq!((again.len(), again.dropped(), again.id()), (context.len(), context.dropped(), context.id()));
        assert_eq!(again.view(), context.view());
    }
    let (context, first) = long_chat(ChatContext::new().last_turns(8).keep_all(), 1_000);
    assert_eq!((context.len(), context.dropped(), context.view().len()), (2_002, 0, 17));
    assert!(first.upgrade().is_some());
    let (context, first) = long_chat(SimpleContext::new(), 1_000);
    assert_eq!(context.len(), 2, "a simple context keeps the last turn");
    assert!(first.upgrade().is_none());
}

#[test]
fn a_branch_keeps_what_another_drops() {
    let policy = ChatContext::new().last_turns(2);
    let before = (0..2).fold(Context::from(policy), |c, i| c.add(Message::user(i.to_string())).add(ModelOutput::new("a")));
    let (json, view) = (before.to_json().unwrap(), before.view());
    let (after, _) = long_chat(before.clone(), 100);
    assert!(after.dropped() > 0);
    assert_eq!((before.to_json().unwrap(), before.view()), (json, view));
}

#[test]
fn branches_read_their_own_history_in_any_order() {
    let mut branches = vec![Context::from(ChatContext::new())];
    for i in 0..200_usize {
        let at = i * 7 % branches.len();
        let next = branches[at].add(Message::user(i.to_string()));
        if i % 5 == 0 {
            branches.push(next)
        } else {
            branches[at] = next
        }
        for context in [&branches[at], &branches[i * 3 % branches.len()]] {
            let said: Vec<_> = context.entries().iter().map(|e| e.to_message().text().into_owned()).collect();
            let read: Vec<_> = context.view().iter().map(|m| m.text().into_owned()).collect();
            assert_eq!(read, said);
        }
    }
}

#[test]
fn a_view_shares_its_messages_and_costs_no_copies() {
    let document = "x".repeat(10 << 20);
    let big = Arc::new(Message::user(document));
    let mut context = Context::from(ChatContext::new()).add(Arc::clone(&big)).add(ModelOutput::new("read"));
    for _ in 0..3 {
        let view = context.view();
        assert!(std::ptr::eq(&view[0], &*big));
        let answer = view.shared().nth(1).unwrap().clone();
        context = context.add(Message::user("and?"));
        assert!(std::ptr::eq(&context.view()[1], &*answer), "an answer's message is made once");
    }
}

#[test]
fn a_stored_context_names_its_policy() {
    let context = Context::from(ChatContext::new().last_turns(3)).add(Message::user("hi"));
    assert_eq!(Context::from_json(&context.to_json().unwrap()).unwrap(), context);
    let simple = Context::from(SimpleContext::new());
    assert_eq!(simple.to_json().unwrap(), r#"{"policy":"simple","entries":[]}"#);
    for (json, says) in [
        (r#"{"policy":"pinned","entries":[]}"#, "policy `pinned`, which must be given"),
        (r#"{"policy":{"pinned":{"n":1}},"entries":[]}"#, "policy `pinned`, which must be given"),
        (r#"{"policy":{"chat":{"last_turns":"two"}},"entries":[]}"#, "invalid type"),
        (r#"{"policy":7,"entries":[]}"#, "does not name its policy"),
        (r#"{"entries":[]}"#, "not a stored context"),
        ("[", "not a stored context"),
    ] {
        let error = Context::from_json(json).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(serde_json::from_str::<Context>(json).is_err());
    }
}

#[test]
fn no_stored_number_is_too_large() {
    let json = r#"{"policy":"chat","dropped":18446744073709551615,"entries":[{"message":{"role":"user"}}]}"#;
    let context = Context::from_json(json).unwrap().add(Message::user("more"));
    assert_eq!((context.len(), context.view().len()), (2, 2));
    assert!(context.dropped() > 0);
}

#[test]
fn an_entry_is_the_same_however_it_is_given() {
    let message = Arc::new(Message::user("hi"));
    assert_eq!(Entry::from(Arc::clone(&message)), Entry::from(Message::user("hi")));
    let json = serde_json::to_value(Entry::from(message)).unwrap();
    assert_eq!(json["message"]["role"], "user");
}
