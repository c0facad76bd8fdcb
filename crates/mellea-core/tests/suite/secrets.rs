//! A secret that a program gives to a backend is shown nowhere.

use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex};

use mellea_core::testing::{Recorder, Replayer, Reply, ScriptedBackend};
use mellea_core::{
    Backend, ChatContext, ChatRequest, Error, Message, ModelOption, ModelOptions, RawRequest, RequestOptions, Session, check, req,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::fake::{Breaks, Fake};

/// Neither of the shape of a key nor otherwise conspicuous: it must be hidden for where it stands.
const CANARY: &str = "canary-3c1f";

/// Writes down everything that spans and events carry.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<String>>);

impl Visit for Notebook {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl Subscriber for Notebook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let _ = write!(self.0.lock().unwrap(), "\n{} ", span.metadata().name());
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What shows the secret.
#[derive(Default)]
struct Leaks(Vec<&'static str>);

impl Leaks {
    fn look(&mut self, what: &'static str, value: &impl Debug) {
        self.text(what, &format!("{value:?} {value:#?}"));
    }

    fn error(&mut self, what: &'static str, error: &Error) {
        self.look(what, error);
        self.text(what, &serde_json::to_string(error).unwrap());
        let mut next: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = next {
            self.text(what, &error.to_string());
            next = error.source();
        }
    }

    fn text(&mut self, what: &'static str, text: &str) {
        if text.contains(CANARY) && !self.0.contains(&what) {
            self.0.push(what);
        }
    }
}

fn options() -> ModelOptions {
    ModelOptions::new().with("api_key", CANARY).with("headers", json!({"Authorization": format!("Bearer {CANARY}")}))
}

#[tokio::test]
async fn no_output_shows_a_secret() {
    let notebook = Notebook::default();
    let guard = tracing::subscriber::set_default(notebook.clone());
    let mut leaks = Leaks::default();
    let fake = Fake::new(Breaks::Nothing);
    assert_eq!(fake.secret, CANARY);
    let recorder = Recorder::new(fake.clone());

    leaks.look("ModelOptions", &options());
    let builder = Session::builder(recorder.clone()).context(ChatContext::new()).options(&options());
    leaks.look("SessionBuilder", &builder);
    let m = builder.build();
    leaks.look("Session", &m);
    let instruct = || m.instruct("Say hello.").options(&options());
    leaks.look("Instruct", &instruct());
    leaks.look("Act", &m.chat("Hello").options(&options()));
    leaks.look("Transform", &m.transform("a", "b").with(|act| act.options(&options())));
    leaks.look("Validate", &m.validate([req("short").judged_by(fake.clone())]).text("x"));
    leaks.look("ChatRequest", &instruct().preview().await.unwrap());
    let plain = |extra| {
        let mut options = RequestOptions::default();
        options.extra = extra;
        options
    };
    leaks.look("RequestOptions", &plain(options().extra().clone()));
    leaks.look("RawRequest", &RawRequest::new("x").options(plain(options().extra().clone())));

    let output = instruct().await.unwrap();
    leaks.look("Output", &output);
    let refused = || instruct().require(check("never").validate(|_| false));
    leaks.look("SamplingResult", &refused().sample().await.unwrap());
    leaks.error("RequirementsNotMet", &refused().await.unwrap_err());
    let stream = instruct().stream().await.unwrap();
    leaks.look("OutputStream", &stream);
    leaks.look("OutputStream", &stream);
    stream.finish().await.unwrap();
    leaks.look("Context", &m.context());
    leaks.text("Context", &serde_json::to_string(&m.context()).unwrap());
    leaks.look("last_prompt", &m.last_prompt());
    leaks.error("EmptyPrompt", &m.chat("").await.unwrap_err());
    leaks.error("InvalidOption", &m.chat("x").option(ModelOption::Seed, "x").await.unwrap_err());
    leaks.error("Refused", &Session::new(fake.clone()).backend().chat(ChatRequest::default()).await.unwrap_err());

    let cassette = recorder.cassette().unwrap();
    leaks.look("Recorder", &recorder);
    leaks.look("Cassette", &cassette);
    leaks.text("Cassette", &cassette.to_json().unwrap());
    let replayer = Replayer::new(cassette);
    leaks.look("Replayer", &replayer);
    let mut unknown = ChatRequest::new(vec![Message::user("never recorded")]);
    unknown.options.extra = options().extra().clone();
    leaks.error("Replayer", &replayer.chat(unknown).await.unwrap_err());
    let scripted = ScriptedBackend::new([Reply::text("x")]).default_options(options());
    leaks.look("ScriptedBackend", &scripted);

    drop(guard);
    let notes = notebook.0.lock().unwrap().clone();
    assert!(notes.contains("gen_ai.operation.name"), "the spans were captured: {notes}");
    leaks.text("tracing", &notes);
    assert!(leaks.0.is_empty(), "these show the secret: {:?}", leaks.0);
}

impl fmt::Debug for Notebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notebook")
    }
}
