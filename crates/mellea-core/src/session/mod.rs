//! The session: one backend, one context, and a method for everything you can ask of them.

mod act;
mod builder;
mod complete;
mod instruct;
mod stream;
mod transform;
mod validate;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use act::Act;
pub use builder::SessionBuilder;
pub use complete::Complete;
pub use instruct::{Bare, Generative, Instruct, Whole};
pub use stream::OutputStream;
pub use transform::{TransformCall, Transformed};
pub use validate::{Validatable, Validate, ValidateTyped, ValidateValue};

use crate::backend::{Backend, ChatRequest};
use crate::component::{Component, Instruction, Query, Queryable, Resume};
use crate::context::{Context, Entry, forgetful};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Message, ToolCall};
use crate::options::ModelOptions;
use crate::output::ModelOutput;
use crate::prompt::Prompts;
use crate::sampling::{CutPolicy, Output, SamplingStrategy};
use crate::schema::Reading;
use crate::tool::{ToolPolicy, ToolResult};

/// One backend and one context, and a method for everything you can ask of them.
///
/// Clones are handles on the same session; [`fork`](Self::fork) branches it. All methods take
/// `&self`: a call works on the context as it was when the call began, and commits its turn when it
/// has succeeded. If the context has moved on meanwhile, the call ends with
/// [`ErrorKind::Conflict`], which carries the finished answer; await calls one after the other, or
/// `fork()`. With a [`SimpleContext`](crate::SimpleContext), the default, calls never conflict. A
/// call that fails or is dropped leaves the context as it was.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, req, testing::ScriptedBackend};
///
/// let m = Session::new(ScriptedBackend::new(["Dear Alice, please come.", "dear alice, please come."]));
/// let email = m
///     .instruct("Write an email to {{name}} inviting them to the launch.")
///     .var("name", "Alice")
///     .require(req("Use only lower-case letters.").validate(|text| text == text.to_lowercase()))
///     .await?;
/// assert_eq!(*email, "dear alice, please come.");
/// assert_eq!(email.attempts().len(), 2);
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    settings: Settings,
    state: Mutex<State>,
    id: u64,
}

/// What stays the same during a session.
#[derive(Clone, Debug)]
struct Settings {
    backend: Arc<dyn Backend>,
    judge: Option<Arc<dyn Backend>>,
    prompts: Prompts,
    options: ModelOptions,
    strategy: Arc<dyn SamplingStrategy>,
    tool_policy: ToolPolicy,
    tool_rounds: Option<usize>,
    cut: CutPolicy,
    reading: Reading,
    strict: bool,
}

#[derive(Clone, Debug)]
struct State {
    context: Context,
    /// Counts commits, so that a call can see whether another was faster.
    version: u64,
    last_prompt: Option<Arc<ChatRequest>>,
    /// The version whose open calls are being run.
    calling: Option<u64>,
}

impl State {
    fn new(context: Context) -> Self {
        Self { context, version: 0, last_prompt: None, calling: None }
    }
}

/// Open calls that are being run, until it is dropped.
struct Claim {
    session: Session,
    snapshot: Snapshot,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.calling = state.calling.filter(|version| *version != self.snapshot.version);
    }
}

/// A context at the moment when a call began.
#[derive(Clone, Debug)]
struct Snapshot {
    context: Context,
    version: u64,
}

impl Session {
    /// A session with this backend, a [`SimpleContext`](crate::SimpleContext), and defaults for the
    /// rest.
    pub fn new(backend: impl Backend) -> Self {
        SessionBuilder::new(backend).build()
    }

    /// A session with settings of its own.
    pub fn builder(backend: impl Backend) -> SessionBuilder {
        SessionBuilder::new(backend)
    }

    /// Asks the model to do something.
    ///
    /// Awaited, the call gives the checked answer. By default the answer is text and there are up to
    /// two attempts, the second with the reasons for which the first was refused.
    pub fn instruct(&self, description: impl Into<String>) -> Instruct {
        Instruct::new(self.clone(), Instruction::new(description))
    }

    /// Says something to the model; the answer is its message.
    ///
    /// The text is sent literally; braces in it mean nothing.
    pub fn chat(&self, message: impl Into<Message>) -> Act<Message> {
        self.act(message.into())
    }

    /// Puts any component to the model; the answer is read as the component says.
    pub fn act<C: Component>(&self, action: C) -> Act<C> {
        Act::new(self.clone(), action)
    }

    /// Asks a question about an object.
    pub fn query(&self, object: impl Queryable, query: impl Into<String>) -> Act<Query> {
        self.act(Query::new(object, query))
    }

    /// Asks for a change of an object, by a new text or by one of the object's own operations.
    pub fn transform(&self, object: impl Queryable, transformation: impl Into<String>) -> TransformCall {
        TransformCall::new(self.clone(), object, transformation.into())
    }

    /// Checks requirements against the last answer, or another output. The context stays as it is.
    ///
    /// Typed requirements are checked against a value: `m.validate([&adult]).value(&user)`.
    pub fn validate<R: Validatable>(&self, requirements: impl IntoIterator<Item = R>) -> R::Call {
        R::call(self.clone(), requirements)
    }

    /// Continues texts as they stand, without a chat template and without history. The context stays
    /// as it is.
    pub fn complete<P: Into<String>>(&self, prompts: impl IntoIterator<Item = P>) -> Complete {
        Complete::new(self.clone(), prompts.into_iter().map(Into::into).collect())
    }

    /// Runs the tool calls of an answer, and adds the results to the context.
    ///
    /// The calls run side by side, each with its time limit; results come in the order of the calls.
    /// [`resume`](Self::resume) lets the model go on from them. An answer without calls has no results.
    ///
    /// # Errors
    /// [`ErrorKind::Tool`], before any tool is run, if the context does not end with these calls: they
    /// were run before, or are being run, the conversation went on without them, or the answer is another
    /// session's.
    /// [`ErrorKind::Conflict`] if the context moved on while the tools ran. A failing tool is a result,
    /// not an error. In a session whose context shows the model nothing there is neither error.
    pub async fn call_tools<T>(&self, output: &Output<T>) -> Result<Vec<ToolResult>> {
        let calls = &output.output().tool_calls;
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let claim = self.claim(calls)?;
        let results = output.tools().run_all(calls, &self.0.settings.tool_policy).await;
        let Some(Claim { snapshot, .. }) = &claim else { return Ok(results) };
        let context = results.iter().fold(snapshot.context.clone(), |context, result| context.add(Message::from(result)));
        // Beside each other, calls of a stateless session may have replaced the turn: nobody misses it.
        if context.is_stateless() && self.state().version != snapshot.version {
            return Ok(results);
        }
        self.commit(snapshot, context, None).map(|()| results)
    }

    /// Sees to it that calls are run once: the context must end with them, and nobody else may be running
    /// them. A stateless session may run them as often as it likes; then there may be nothing to add to.
    fn claim(&self, calls: &[ToolCall]) -> Result<Option<Claim>> {
        let mut state = self.state();
        let refusal = match state.context.refusal(calls) {
            None if state.calling == Some(state.version) => Some(being_run(calls)),
            refusal => refusal,
        };
        match refusal {
            Some(_) if state.context.is_stateless() => Ok(None),
            Some(error) => Err(error),
            None => {
                state.calling = Some(state.version);
                let snapshot = Snapshot { context: state.context.clone(), version: state.version };
                Ok(Some(Claim { session: self.clone(), snapshot }))
            }
        }
    }

    /// Lets the model go on from the end of the context, such as the results of its tool calls.
    ///
    /// It is for sessions with a [`ChatContext`](crate::ChatContext), or another context that shows the
    /// model its history: with a simple context the call ends with [`ErrorKind::Config`].
    pub fn resume(&self) -> Act<Resume> {
        self.act(Resume)
    }

    /// Adds something to the context without asking the model.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] in a session whose context shows the model nothing; [`ErrorKind::Tool`] if
    /// it is a tool's message that answers no open call.
    pub fn add(&self, entry: impl Into<Entry>) -> Result<()> {
        let entry = entry.into();
        let mut state = self.state();
        if state.context.is_stateless() {
            return Err(forgetful("a simple context shows the model nothing that is added to it"));
        }
        if let Some(error) = state.context.refusal_of(&entry) {
            return Err(error);
        }
        state.context = state.context.add(entry);
        state.version += 1;
        Ok(())
    }

    /// Another session that starts with this one's context and goes its own way.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut state = self.state().clone();
        (state.context, state.calling) = (state.context.fork(), None);
        Self::assemble(self.0.settings.clone(), state)
    }

    /// Forgets the conversation; the settings stay.
    pub fn reset(&self) {
        let mut state = self.state();
        *state = State { version: state.version + 1, ..State::new(state.context.reset()) };
    }

    /// The context as it is now.
    #[must_use]
    pub fn context(&self) -> Context {
        self.state().context.clone()
    }

    /// The request of the latest turn, exactly as it was sent. [`preview`](Instruct::preview) shows
    /// one before it is sent.
    #[must_use]
    pub fn last_prompt(&self) -> Option<Arc<ChatRequest>> {
        self.state().last_prompt.clone()
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.0.settings.backend
    }

    /// A number that tells this session from all others of the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    fn assemble(settings: Settings, state: State) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(Arc::new(Inner { settings, state: Mutex::new(state), id: NEXT.fetch_add(1, Ordering::Relaxed) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> Snapshot {
        let state = self.state();
        // What a call of a stateless session cannot see it need not share with the calls beside it.
        let context = if state.context.is_stateless() { state.context.reset() } else { state.context.clone() };
        Snapshot { context, version: state.version }
    }

    /// Replaces the context, if it is still the one that the call began with.
    fn commit(&self, snapshot: &Snapshot, context: Context, prompt: Option<Arc<ChatRequest>>) -> Result<()> {
        let mut state = self.state();
        if state.version != snapshot.version && !context.is_stateless() {
            return Err(Error::from(ErrorKind::Conflict)
                .with_hint("await calls one after the other, or give each its own `fork()` of the session"));
        }
        let context = std::mem::replace(&mut state.context, context);
        state.version += 1;
        let prompt = if prompt.is_some() { std::mem::replace(&mut state.last_prompt, prompt) } else { None };
        // To free a turn takes longer than to commit one: others need not wait for it.
        drop(state);
        drop((context, prompt));
        Ok(())
    }

    /// Commits a turn.
    fn commit_turn(
        &self,
        snapshot: &Snapshot,
        asked: &[Arc<Message>],
        output: &Arc<ModelOutput>,
        request: Arc<ChatRequest>,
    ) -> Result<()> {
        let context = snapshot.context.add_turn(asked.iter().cloned(), Arc::clone(output));
        self.commit(snapshot, context.clone(), Some(request)).map_err(|e| e.with_partial(Arc::clone(output)))?;
        context.policy().after_turn(context.history());
        Ok(())
    }
}

fn being_run(calls: &[ToolCall]) -> Error {
    let (tool, id) = calls.first().map(|call| (call.name.clone(), call.id.as_str())).unwrap_or_default();
    Error::from(ErrorKind::Tool { tool, reason: format!("the call `{id}` is being run") })
        .with_hint("run the calls of an answer once")
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("backend", &self.0.settings.backend)
            .field("context", &state.context)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
