//! Context policies as programs write them: by what the crate makes public, and nothing else.

use std::sync::{Arc, Mutex};

use mellea_core::context::{History, View};
use mellea_core::testing::{Reply, ScriptedBackend};
use mellea_core::{Backend, ChatContext, Context, ContextPolicy, ErrorKind, Message, ModelOutput, Role, Session, ToolCall};
use serde_json::{Value, json};

use crate::history::fault;

/// Shows the last exchanges, and whatever is pinned.
#[derive(Debug)]
struct Pinned {
    last: usize,
    pin: fn(&Message) -> bool,
}

impl Pinned {
    fn remember(last: usize) -> Self {
        Self { last, pin: |message| message.text().contains("Remember") }
    }
}

impl ContextPolicy for Pinned {
    fn view(&self, history: History<'_>) -> View {
        let start = history.exchanges().take(self.last).last().map_or(0, |exchange| exchange.first.position());
        let shown = |past: &mellea_core::context::Past<'_>| {
            past.position() >= start || past.role() == Role::System || (self.pin)(past.message())
        };
        View::messages(history.oldest_first().into_iter().filter(shown).map(|past| Arc::clone(past.message())))
    }

    fn name(&self) -> Option<&str> {
        Some("pinned")
    }

    fn settings(&self) -> Value {
        json!({ "last": self.last })
    }
}

fn texts(context: &Context) -> Vec<String> {
    context.view().iter().map(|m| m.text().into_owned()).collect()
}

fn turn(context: &Context, i: usize) -> Context {
    context.add_turn([Message::user(format!("q{i}"))], Arc::new(ModelOutput::new(format!("a{i}"))))
}

#[tokio::test]
async fn a_window_with_pins() {
    let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("ok")));
    let m = Session::builder(backend.clone()).context(Pinned::remember(2)).build();
    m.add(Message::system("Be brief.")).unwrap();
    m.chat("Remember: my name is Ann.").await.unwrap();
    for i in 0..5 {
        m.chat(format!("q{i}")).await.unwrap();
    }
    let sent = backend.requests().pop().unwrap();
    let said: Vec<_> = sent.messages.iter().map(|m| m.text().into_owned()).collect();
    assert_eq!(said, ["Be brief.", "Remember: my name is Ann.", "q2", "ok", "q3", "ok", "q4"]);
    assert_eq!((m.context().len(), m.context().dropped()), (13, 0), "nothing is dropped unless the policy says so");
    assert!(!m.context().reset().is_stateless());
    assert!(m.fork().context().view().iter().any(|m| m.text().contains("Ann")), "forks keep the policy");
}

#[test]
fn a_policy_that_cuts_a_call_from_its_result_still_shows_a_valid_conversation() {
    let call = ToolCall::with_id("c", "look", json!({}));
    let mut output = ModelOutput::new("Remember to look.");
    output.tool_calls.push(call.clone());
    let context = Context::from(Pinned::remember(1)).add(Message::user("q")).add(output).add(Message::tool(&call, "found"));
    let context = turn(&turn(&context, 1), 2);
    assert_eq!(fault(&context.view()), None);
    let not_called = "error: not called: the conversation went on without a result";
    assert_eq!(texts(&context), ["Remember to look.", not_called, "q2", "a2"]);
}

#[test]
fn a_policy_of_ones_own_is_stored_by_name() {
    let context = turn(&Context::from(Pinned::remember(1)), 1);
    let json = context.to_json().unwrap();
    assert!(json.starts_with(r#"{"policy":{"pinned":{"last":1}},"#), "{json}");
    let error = Context::from_json(&json).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Config { .. }) && error.to_string().contains("`pinned`"), "{error}");
    let again = Context::restore_with(&json, Pinned::remember(1)).unwrap();
    assert_eq!(again, context);
    assert_eq!(again.view(), context.view());
    let other = Context::restore_with(&json, ChatContext::new()).unwrap_err();
    assert!(other.to_string().contains("`pinned`, not `chat`"), "{other}");
    assert_ne!(Context::restore_with(&json, Pinned::remember(2)).unwrap(), context, "other settings");
}

#[test]
fn a_policy_without_a_name_or_with_anothers_is_not_stored() {
    #[derive(Debug)]
    struct Named(Option<&'static str>);
    impl ContextPolicy for Named {
        fn view(&self, _: History<'_>) -> View {
            View::all()
        }
        fn name(&self) -> Option<&str> {
            self.0
        }
    }
    for name in [None, Some("chat"), Some("simple")] {
        let context = Context::from(Named(name));
        let error = context.to_json().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Config { .. }), "{error:?}");
        assert!(serde_json::to_string(&context).is_err());
        assert_eq!(context, context.clone());
        assert_ne!(context, Context::from(Named(name)));
    }
    assert_eq!(Context::from(Named(Some("mine"))).to_json().unwrap(), r#"{"policy":"mine","entries":[]}"#);
}

/// Puts a summary in the place of old exchanges. The work begins after a turn; the next read has it.
#[derive(Debug)]
struct Summary {
    keep: usize,
    writer: Arc<dyn Backend>,
    made: Arc<Mutex<Option<Made>>>,
}

/// A summary, and the last message that it covers.
#[derive(Clone, Debug)]
struct Made {
    covers: Arc<Message>,
    text: Arc<Message>,
}

impl Summary {
    fn new(keep: usize, writer: impl Backend) -> Self {
        Self { keep, writer: Arc::new(writer), made: Arc::default() }
    }

    /// The summary, if it is of this history, and where the rest begins.
    fn of(&self, history: History<'_>) -> Option<(Arc<Message>, usize)> {
        let made = self.made.lock().unwrap().clone()?;
        let last = history.newest_first().find(|past| Arc::ptr_eq(past.message(), &made.covers))?;
        Some((made.text, last.position() + 1))
    }
}

impl ContextPolicy for Summary {
    fn view(&self, history: History<'_>) -> View {
        let Some((summary, start)) = self.of(history) else { return View::all() };
        let mut before: Vec<_> = history.systems().filter(|(at, _)| *at < start).map(|(_, m)| Arc::clone(m)).collect();
        before.reverse();
        let mut rest: Vec<_> =
            history.newest_first().take_while(|past| past.position() >= start).map(|past| Arc::clone(past.message())).collect();
        rest.reverse();
        View::messages(before.into_iter().chain([summary]).chain(rest))
    }

    fn after_turn(&self, history: History<'_>) {
        let Some(cut) = history.exchanges().nth(self.keep - 1).map(|oldest_kept| oldest_kept.first.position()) else { return };
        let old: Vec<_> = history.oldest_first().into_iter().take_while(|past| past.position() < cut).collect();
        let Some(covers) = old.last().map(|past| Arc::clone(past.message())) else { return };
        let texts: Vec<_> = old.iter().map(|past| past.message().text().into_owned()).collect();
        let (made, m) = (Arc::clone(&self.made), Session::new(Arc::clone(&self.writer)));
        tokio::spawn(async move {
            // A failure leaves everything as it was.
            if let Ok(summary) = m.chat(texts.join("; ")).await {
                let text = Message::user(format!("Summary: {}", summary.text())).into();
                *made.lock().unwrap() = Some(Made { covers, text });
            }
        });
    }

    fn horizon(&self, history: History<'_>) -> usize {
        // The last message that is covered stays, to be found again.
        self.of(history).map_or(0, |(_, start)| start - 1)
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn old_turns_become_a_summary() {
    let writer = ScriptedBackend::empty().answer_with(|request| {
        let said = request.messages[0].text().into_owned();
        Some(Reply::text(format!("({})", said.split("; ").count())))
    });
    let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("ok")));
    let m = Session::builder(backend.clone()).context(Summary::new(2, writer)).build();
    m.add(Message::system("Be brief.")).unwrap();
    m.chat("q0").await.unwrap();
    let early = m.fork();
    for i in 1..5 {
        m.chat(format!("q{i}")).await.unwrap();
        settle().await;
    }
    let seen = texts(&m.context());
    assert!(seen[1].starts_with("Summary: ("), "{seen:?}");
    assert_eq!((&*seen[0], &seen[2..]), ("Be brief.", &["q3", "ok", "q4", "ok"].map(str::to_owned)[..]));
    let another = texts(&early.context());
    assert_eq!(another, ["Be brief.", "q0", "ok"], "the summary of one branch is not another's");
    for i in 5..200 {
        m.chat(format!("q{i}")).await.unwrap();
        settle().await;
    }
    assert!(m.context().len() < 20, "what a summary covers is dropped: {}", m.context().len());
    assert!(m.context().view().len() == 6 && m.context().view()[1].text().starts_with("Summary"));
    assert!(backend.requests().iter().all(|request| fault(&request.messages).is_none() && request.messages.len() < 10));
}

#[tokio::test]
async fn a_failed_summary_leaves_the_context_as_it_was() {
    let writer = ScriptedBackend::empty();
    let backend = ScriptedBackend::empty().answer_with(|_| Some(Reply::text("ok")));
    let m = Session::builder(backend).context(Summary::new(1, writer)).build();
    for i in 0..3 {
        m.chat(format!("q{i}")).await.unwrap();
        settle().await;
    }
    assert_eq!(texts(&m.context()), ["q0", "ok", "q1", "ok", "q2", "ok"]);
}

#[test]
fn a_history_can_be_shown_in_another_way() {
    let context = (0..4).fold(Context::from(ChatContext::new()), |context, i| turn(&context, i));
    let shorter = context.with_policy(ChatContext::new().last_turns(1));
    assert_eq!((texts(&shorter).len(), shorter.len(), context.view().len()), (2, 8, 8));
    assert!(turn(&shorter, 4).dropped() > 0, "from here on the new policy counts");
}
