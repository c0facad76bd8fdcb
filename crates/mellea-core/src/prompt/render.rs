//! From a representation to messages: first all unfinished parts are awaited together, then
//! everything is rendered.

use std::collections::VecDeque;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use minijinja::Value;

use super::args::Args;
use super::variables::Variables;
use super::{Prompts, refusal};

use crate::component::{Arg, Body, Part, Representation, Statement, sorted};
use crate::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Document, Message, Role};

/// How deep components may stand in each other.
const MAX_DEPTH: usize = 64;

/// A representation, rendered.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// What the model reads.
    pub(crate) messages: Vec<Message>,
    /// The texts of the representation's [requirements](Representation::state) with their variables
    /// filled in, in order, those included that are not shown.
    pub(crate) requirements: Vec<String>,
}

/// A representation that is being rendered. Most wait for nothing, and need no future.
pub(crate) enum Rendering<'a> {
    Done(Result<Rendered>),
    Waiting(BoxFuture<'a, Result<Rendered>>),
}

impl Rendering<'_> {
    pub(crate) async fn done(self) -> Result<Rendered> {
        match self {
            Self::Done(done) => done,
            Self::Waiting(rendering) => rendering.await,
        }
    }
}

/// Renders a representation to the messages that a model reads.
///
/// # Errors
/// The error of a thunk that is a part; [`ErrorKind::Template`], [`ErrorKind::UndefinedVariable`],
/// [`ErrorKind::UnusedVariable`].
pub(crate) fn render<'a>(prompts: &'a Prompts, model: &'a str, representation: Representation) -> Rendering<'a> {
    render_nested(prompts, model, representation, 0)
}

/// Fills variables into texts that stand in no prompt. Variables may stay unused here.
///
/// # Errors
/// As [`render`].
pub(crate) async fn fill(prompts: &Prompts, model: &str, variables: Vec<(String, Arg)>, texts: Vec<Arg>) -> Result<Vec<String>> {
    let mut all = Vec::new();
    variables.iter().for_each(|(_, arg)| walk(arg, &mut all));
    let mut parts = resolve(prompts, model, all, 0).await?;
    let mut filler = parts.filler(prompts, variables)?;
    texts.into_iter().map(|text| filler.text(text)).collect()
}

fn render_nested<'a>(prompts: &'a Prompts, model: &'a str, representation: Representation, depth: usize) -> Rendering<'a> {
    if depth > MAX_DEPTH {
        let reason = format!("components are nested more than {MAX_DEPTH} deep");
        return Rendering::Done(Err(ErrorKind::Template { template: "component".into(), reason }.into()));
    }
    if parts_of(&representation).is_empty() {
        return Rendering::Done(assemble(prompts, model, representation, Parts::default()));
    }
    let rendering = async move {
        let parts = resolve(prompts, model, parts_of(&representation), depth).await?;
        assemble(prompts, model, representation, parts)
    };
    Rendering::Waiting(rendering.boxed())
}

/// The parts of a representation that are not text yet, those of the variables first.
fn parts_of(representation: &Representation) -> Vec<&Part> {
    let args = match &representation.body {
        Body::Template { args, .. } => args.as_slice(),
        Body::Messages(_) => &[],
    };
    let mut parts = Vec::new();
    representation.variables.iter().for_each(|(_, arg)| walk(arg, &mut parts));
    args.iter().for_each(|(_, arg)| walk(arg, &mut parts));
    parts
}

/// Makes messages of a representation and the texts of its parts.
fn assemble(prompts: &Prompts, model: &str, representation: Representation, mut parts: Parts) -> Result<Rendered> {
    let Representation { body, role, media, variables, mut answer_type, requirements, repair, tools: _ } = representation;
    let mut filler = Some(parts.filler(prompts, variables)?);
    let mut filled = Vec::with_capacity(requirements.len());
    let mut shown = Vec::new();
    for Statement { text, shown: is_shown } in requirements {
        let text = filler.as_mut().map(|filler| filler.text(text)).transpose()?.unwrap_or_default();
        if is_shown && !text.trim().is_empty() {
            shown.push(text.clone());
        }
        filled.push(text);
    }
    let mut repair = repair.map(|repair| refusal(prompts, model, &repair, answer_type.as_deref())).transpose()?;
    let mut messages = match body {
        Body::Messages(mut messages) => {
            messages.iter_mut().try_for_each(|message| flatten_documents(prompts, model, message))?;
            messages
        }
        Body::Template { name, source, args } => {
            let mut values = Args::with_capacity(args.len());
            for (name, arg) in args {
                let arg = match (&*name, arg) {
                    ("requirements", Arg::List(list)) => {
                        Arg::List(list.into_iter().chain(shown.drain(..).map(Arg::Text)).collect())
                    }
                    ("requirements", Arg::None) => Arg::List(shown.drain(..).map(Arg::Text).collect()),
                    ("answer_type", arg) => answer_type.take().map_or(arg, Arg::Text),
                    ("repair", arg) => repair.take().map_or(arg, Arg::Text),
                    (_, arg) => arg,
                };
                values.push(name, parts.value(arg, &mut filler)?);
            }
            let text = prompts.render(&name, source.as_deref(), model, Value::from_object(values))?;
            let mut message = Message::new(role, text);
            message.content.extend(media);
            vec![message]
        }
    };
    if let Some(filler) = filler {
        filler.variables.finish()?;
    }
    if !shown.is_empty() {
        let section = prompts.render("requirements", None, model, minijinja::context! { requirements => shown })?;
        append(&mut messages, section);
    }
    if let Some(answer_type) = answer_type {
        append(&mut messages, prompts.render("answer_type", None, model, minijinja::context! { answer_type })?);
    }
    if let Some(section) = repair {
        append(&mut messages, section);
    }
    Ok(Rendered { messages, requirements: filled })
}

/// Adds a section to the end of the last user's message, or says it as one.
fn append(messages: &mut Vec<Message>, section: String) {
    match messages.last_mut() {
        Some(message) if message.role == Role::User => match message.content.last_mut() {
            Some(Content::Text(block)) if !block.cache => {
                if !block.text.trim().is_empty() {
                    block.text.push_str("\n\n");
                }
                block.text.push_str(&section);
            }
            _ => message.content.push(Content::text(section)),
        },
        _ => messages.push(Message::user(section)),
    }
}

struct Filler<'a> {
    prompts: &'a Prompts,
    variables: Variables,
}

impl Filler<'_> {
    /// A text of the caller's: literal, or filled if it is a template.
    fn text(&mut self, text: Arg) -> Result<String> {
        match text {
            Arg::Template(text) => self.variables.fill(self.prompts, &text),
            Arg::Text(text) => Ok(text),
            _ => Ok(String::new()),
        }
    }
}

/// The texts of the parts of one representation, in the order in which [`walk`] meets them.
#[derive(Default)]
struct Parts(VecDeque<String>);

/// Awaits and renders all parts, concurrently.
async fn resolve(prompts: &Prompts, model: &str, parts: Vec<&Part>, depth: usize) -> Result<Parts> {
    let texts = parts.into_iter().map(|part| async move {
        match part {
            Part::Thunk(text) => Ok(text.0.wait().await?.text.clone()),
            Part::Component(component) => {
                let rendering = render_nested(prompts, model, component.representation()?, depth + 1);
                let messages = rendering.done().await?.messages;
                Ok::<_, Error>(messages.iter().map(Message::text).collect::<Vec<_>>().join("\n"))
            }
        }
    });
    Ok(Parts(try_join_all(texts).await?.into()))
}

fn walk<'a>(arg: &'a Arg, parts: &mut Vec<&'a Part>) {
    match arg {
        Arg::Part(part) => parts.push(part),
        Arg::List(list) => list.iter().for_each(|arg| walk(arg, parts)),
        Arg::Pairs(pairs) => pairs.iter().for_each(|(_, arg)| walk(arg, parts)),
        Arg::None | Arg::Text(_) | Arg::Template(_) | Arg::Json(_) => {}
    }
}

impl Parts {
    /// The variables, whose parts come before all others.
    fn filler<'a>(&mut self, prompts: &'a Prompts, variables: Vec<(String, Arg)>) -> Result<Filler<'a>> {
        let values = variables.into_iter().map(|(name, arg)| Ok((name, self.value(arg, &mut None)?)));
        Ok(Filler { prompts, variables: Variables::new(values.collect::<Result<Vec<_>>>()?) })
    }

    /// The value that a template sees. Parts must be asked for in the order of [`walk`].
    fn value(&mut self, arg: Arg, filler: &mut Option<Filler<'_>>) -> Result<Value> {
        Ok(match arg {
            Arg::None => Value::from(()),
            Arg::Text(text) => Value::from(text),
            Arg::Template(text) => Value::from(match filler {
                Some(filler) => filler.variables.fill(filler.prompts, &text)?,
                None => text,
            }),
            Arg::Json(value) => Value::from(minijinja::value::Serde(sorted(value))),
            Arg::Part(_) => Value::from(self.0.pop_front().unwrap_or_default()),
            Arg::List(list) => list.into_iter().map(|arg| self.value(arg, filler)).collect::<Result<Vec<_>>>()?.into(),
            Arg::Pairs(pairs) => pairs
                .into_iter()
                .map(|(name, arg)| Ok(Value::from(vec![Value::from(name), self.value(arg, filler)?])))
                .collect::<Result<Vec<_>>>()?
                .into(),
        })
    }
}

/// Moves a message's documents into its text.
fn flatten_documents(prompts: &Prompts, model: &str, message: &mut Message) -> Result<()> {
    for document in std::mem::take(&mut message.documents) {
        message.content.push(Content::text(document_text(prompts, model, &document)?));
    }
    Ok(())
}

/// A document as a model reads it.
fn document_text(prompts: &Prompts, model: &str, document: &Document) -> Result<String> {
    let Document { text, title, id } = document;
    prompts.render("document", None, model, minijinja::context! { text, title, id })
}
