use super::*;
use crate::tool::ToolCall;
use serde_json::json;

fn chat(limits: ChatContext, texts: &[(&str, Role)]) -> Context {
    texts.iter().fold(limits.into(), |c: Context, (text, role)| c.add(Message::new(*role, *text)))
}

fn texts(context: &Context) -> Vec<String> {
    context.view().iter().map(|m| m.text().into_owned()).collect()
}

#[test]
fn branches_share_their_past_and_nothing_else() {
    let start: Context = ChatContext::new().into();
    let one = start.add(Message::user("1"));
    let (a, b) = (one.add(Message::user("a")), one.add(Message::user("b")));
    assert_eq!((texts(&a), texts(&b)), (vec!["1".to_owned(), "a".into()], vec!["1".to_owned(), "b".into()]));
    assert_ne!(a.id(), b.id());
    assert_eq!(a.id(), one.add(Message::user("a")).id(), "equal histories have equal ids");
}

#[test]
fn the_same_message_may_come_twice() {
    let context = chat(ChatContext::new(), &[("again", Role::User), ("again", Role::User)]);
    assert_eq!(context.len(), 2);
}

#[test]
fn the_last_turns_are_whole_and_system_messages_stay() {
    let context = chat(
        ChatContext::new().last_turns(1),
        &[("rules", Role::System), ("1", Role::User), ("one", Role::Assistant), ("2", Role::User), ("two", Role::Assistant)],
    );
    assert_eq!(texts(&context), ["rules", "2", "two"]);
}

#[test]
fn a_budget_drops_whole_exchanges_and_never_the_newest() {
    let long = "x".repeat(400);
    let context = chat(
        ChatContext::new().token_budget(10),
        &[("rules", Role::System), ("1", Role::User), ("one", Role::Assistant), (&long, Role::User)],
    );
    assert_eq!(texts(&context), ["rules".to_owned(), long]);
}

#[test]
fn tool_messages_stay_with_their_calls() {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({"a": 1}) };
    let mut asks = Message::assistant("");
    asks.tool_calls.push(call.clone());
    let base: Context = ChatContext::new().last_turns(1).into();
    let context = base
        .add(Message::user("old"))
        .add(Message::assistant("older"))
        .add(Message::user("1 + 1?"))
        .add(asks)
        .add(Message::tool(&call, "2"));
    let roles: Vec<Role> = context.view().iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
}

#[test]
fn the_last_output_is_found_behind_any_number_of_messages() {
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({}) };
    let mut context = Context::from(ChatContext::new()).add(Message::user("q")).add(ModelOutput::new("calls"));
    for _ in 0..10 {
        context = context.add(Message::tool(&call, "2"));
    }
    assert_eq!(context.last_output().unwrap().text, "calls");
    let turn = context.last_turn().unwrap();
    assert_eq!(turn.input.unwrap().role, Role::Tool);
    assert!(turn.output.is_none());
}

#[test]
fn a_simple_context_shows_nothing_and_keeps_one_turn() {
    let mut context = Context::default();
    for i in 0..3 {
        context = context.add_turn([Message::user(i.to_string())], Arc::new(ModelOutput::new("x")));
    }
    assert!(context.view().is_empty());
    assert_eq!(context.len(), 2);
}

#[test]
fn reasoning_is_replayed_only_with_tool_calls() {
    let mut output = ModelOutput { thinking: Some("hm".into()), ..ModelOutput::new("a") };
    assert_eq!(Message::from(&output).thinking, None);
    output.tool_calls.push(ToolCall { id: "1".into(), name: "t".into(), arguments: json!({}) });
    assert_eq!(Message::from(&output).thinking.as_deref(), Some("hm"));
}

#[test]
fn a_context_survives_json() {
    let context =
        chat(ChatContext::new().last_turns(3), &[("rules", Role::System), ("1", Role::User)]).add(ModelOutput::new("one"));
    let json = serde_json::to_string(&context).unwrap();
    let back: Context = serde_json::from_str(&json).unwrap();
    assert_eq!(back, context);
    assert_eq!(back.id(), context.id());
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
}

#[test]
fn a_million_turns_can_be_dropped() {
    let mut context: Context = ChatContext::new().into();
    for _ in 0..1_000_000 {
        context = context.add(Message::user("x"));
    }
    let fork = context.add(Message::user("y"));
    let small_stack = std::thread::Builder::new().stack_size(64 * 1024);
    small_stack.spawn(move || drop((context, fork))).unwrap().join().unwrap();
}
