//! What can go to other threads, and how large it is. Most of this is checked when it compiles.

use std::fmt::Debug;

use futures_core::Stream;
use mellea_core::testing::conformance::Fixture;
use mellea_core::testing::{Cassette, Recorder, Replayer, Reply, ScriptedBackend};
use mellea_core::{
    Act, Attempt, Backend, Bare, Budget, Capabilities, ChatContext, ChatRequest, Context, Delta, DeltaStream, Error, ErrorKind,
    Event, EventStream, Generative, Instruct, Instruction, Message, ModelOptions, ModelOutput, Output, OutputStream, Prompts,
    RawRequest, Representation, RequestOptions, Requirement, SamplingResult, SamplingStrategy, Schema, Session, SessionBuilder,
    Thunk, Tool, Tools, TransformCall, Transformed, Usage, Validate, ValidationResult, Validator, Verdict, Warning, Whole,
};

fn shared<T: Send + Sync + 'static + ?Sized>() {}
fn sent<T: Send + 'static + ?Sized>() {}
fn debug<T: Debug>() {}
fn unpin<T: Unpin>() {}
#[expect(clippy::needless_pass_by_value, reason = "its size is what is asked for")]
fn sent_future<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> usize {
    size_of_val(&future)
}
fn sent_stream<S: Stream + Send + Unpin + 'static>() {}

macro_rules! table {
    ($check:ident: $($type:ty),* $(,)?) => { $($check::<$type>();)* };
}

#[test]
fn values_and_handles_are_shared_between_threads() {
    table! { shared:
        Session, SessionBuilder, Context, ChatContext, Thunk, DeltaStream, Error, ErrorKind, Event, Message, ModelOptions,
        ModelOutput, RequestOptions, ChatRequest, RawRequest, Capabilities, Schema, Prompts, Representation, Requirement,
        ValidationResult, Verdict, Attempt, Budget, Usage, Warning, Delta, Tools, Instruction, Output, SamplingResult, Transformed,
        Act<Message>, Instruct<String, Whole>, Instruct<u8, Bare>, Generative<Vec<String>>, TransformCall, Validate,
        ScriptedBackend, Recorder<ScriptedBackend>, Replayer, Cassette, Reply, Fixture,
        dyn Backend, dyn SamplingStrategy, dyn Tool, dyn Validator,
    }
    // A stream may hold a closure or a connection that only one thread may use at a time.
    table! { sent: EventStream, OutputStream }
    table! { debug:
        Session, SessionBuilder, Context, Thunk, DeltaStream, Error, EventStream, OutputStream, ModelOptions, ChatRequest, Schema,
        Prompts, Requirement, Attempt, Output, SamplingResult, Act<Message>, Instruct, TransformCall, Validate, ScriptedBackend,
        Recorder<ScriptedBackend>, Replayer, Cassette, Reply, Fixture,
    }
    table! { unpin: Thunk, DeltaStream, EventStream, OutputStream, Session, <Thunk as IntoFuture>::IntoFuture }
    sent_stream::<EventStream>();
    sent_stream::<DeltaStream>();
    sent_stream::<OutputStream>();
}

#[test]
fn handles_are_small() {
    let pointer = size_of::<usize>();
    for (what, size, most) in [
        ("Error", size_of::<Error>(), 1),
        ("Result<()>", size_of::<mellea_core::Result<()>>(), 1),
        ("Session", size_of::<Session>(), 1),
        ("Thunk", size_of::<Thunk>(), 1),
        ("Schema", size_of::<Schema>(), 1),
        ("the future of a thunk", size_of::<<Thunk as IntoFuture>::IntoFuture>(), 1),
        ("the future of an instruction", size_of::<<Instruct as IntoFuture>::IntoFuture>(), 2),
        ("the future of an act", size_of::<<Act<Message> as IntoFuture>::IntoFuture>(), 2),
        ("EventStream", size_of::<EventStream>(), 2),
        ("DeltaStream", size_of::<DeltaStream>(), 3),
        ("Context", size_of::<Context>(), 6),
    ] {
        assert!(size <= most * pointer, "{what} has {size} bytes, {} are allowed", most * pointer);
    }
}

#[tokio::test]
async fn futures_go_to_other_threads_and_fit_on_a_stack() {
    let m = Session::new(ScriptedBackend::empty());
    let instruct = || m.instruct("Hello");
    let chat = || m.chat("Hello");
    for (what, size) in [
        ("instruct", sent_future(instruct().into_future())),
        ("instruct, bare", sent_future(instruct().bare().into_future())),
        ("instruct, typed", sent_future(instruct().format::<Vec<u8>>().into_future())),
        ("sample", sent_future(instruct().sample())),
        ("stream", sent_future(instruct().stream())),
        ("start", sent_future(instruct().start())),
        ("preview", sent_future(instruct().preview())),
        ("chat", sent_future(chat().into_future())),
        ("chat, sample", sent_future(chat().sample())),
        ("chat, stream", sent_future(chat().stream())),
        ("query", sent_future(m.query("text", "what?").into_future())),
        ("transform", sent_future(m.transform("text", "how").into_future())),
        ("validate", sent_future(m.validate(["short"]).into_future())),
        ("functional::call", {
            let (backend, context) = (m.backend().clone(), Context::default());
            sent_future(async move { mellea_core::functional::call(&backend, &context, |m| m.chat("Hello")).await })
        }),
        ("thunk", sent_future(Thunk::from("x").into_future())),
    ] {
        // Clippy calls 16 KiB large.
        assert!(size <= 16 << 10, "the future of {what} has {size} bytes");
    }
    fn dropped<B: Backend>(backend: &B) -> usize {
        size_of_val(&backend.chat(ChatRequest::default()))
    }
    assert_eq!(dropped(&ScriptedBackend::empty()), 2 * size_of::<usize>());
}
