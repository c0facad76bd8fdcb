//! Whatever the history, its views are valid conversations.

use std::collections::BTreeSet;

use mellea_core::{ChatContext, Context, Message, ModelOutput, Role, ToolCall};
use proptest::prelude::*;
use serde_json::json;

/// One exchange of a history.
#[derive(Clone, Debug)]
enum Exchange {
    Plain(String, String),
    /// A question, rounds of so many tool calls each, and an answer.
    Tools(String, Vec<usize>),
    Unanswered(String),
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let text = "[a-z ]{1,40}";
    prop_oneof![
        (text, text).prop_map(|(asked, said)| Exchange::Plain(asked, said)),
        (text, prop::collection::vec(1..4_usize, 1..3)).prop_map(|(asked, rounds)| Exchange::Tools(asked, rounds)),
        text.prop_map(Exchange::Unanswered),
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

/// What providers refuse in a conversation.
fn fault(view: &[Message]) -> Option<String> {
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut begun = false;
    for (i, message) in view.iter().enumerate() {
        match message.role {
            Role::Tool => {
                let id = message.tool_call_id.clone().unwrap_or_default();
                if !open.remove(&id) {
                    return Some(format!("message {i} answers the call {id:?}, which nobody made"));
                }
            }
            _ if !open.is_empty() => return Some(format!("message {i} comes before the answers to {open:?}")),
            Role::System if begun => return Some(format!("the system message {i} is not first")),
            Role::System => {}
            Role::User => begun = true,
            Role::Assistant if !begun => return Some(format!("message {i} is an answer to nothing")),
            Role::Assistant => open = message.tool_calls.iter().map(|call| call.id.clone()).collect(),
        }
    }
    None
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
        let context = history(policy, system, &exchanges);
        let view = context.view();
        prop_assert_eq!(fault(&view), None);
        prop_assert_eq!(view.iter().filter(|m| m.role == Role::System).count(), usize::from(system));
        let newest = context.entries().iter().map(|e| e.to_message()).rfind(|m| m.role == Role::User);
        if let Some(newest) = newest {
            prop_assert!(view.contains(&newest), "the newest question is gone");
            let all: Vec<Message> = context.entries().iter().map(|e| e.to_message()).collect();
            let tail = all.iter().rposition(|m| *m == newest).unwrap();
            prop_assert!(view.ends_with(&all[tail..]), "the newest exchange is not whole");
        }
        if policy == ChatContext::new() {
            prop_assert_eq!(view.len(), context.len());
        }
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
