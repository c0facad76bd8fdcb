//! From a representation to messages: first all unfinished parts are awaited together, then
//! everything is rendered.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;

use futures_util::future::try_join_all;
use minijinja::Value;

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

/// Renders a representation to the messages that a model reads.
///
/// # Errors
/// The error of a thunk that is a part; [`ErrorKind::Template`], [`ErrorKind::UndefinedVariable`],
/// [`ErrorKind::UnusedVariable`].
pub(crate) async fn render(prompts: &Prompts, model: &str, representation: Representation) -> Result<Rendered> {
    render_nested(prompts, model, representation, 0).await
}

/// Fills variables into texts that stand in no prompt. Variables may stay unused here.
///
/// # Errors
/// As [`render`].
pub(crate) async fn fill(prompts: &Prompts, model: &str, variables: Vec<(String, Arg)>, texts: Vec<Arg>) -> Result<Vec<String>> {
    let all = variables.iter().map(|(_, arg)| arg);
    let mut parts = resolve(prompts, model, all, 0).await?;
    let mut filler = parts.filler(prompts, variables)?;
    texts.into_iter().map(|text| filler.text(text)).collect()
}

fn render_nested<'a>(
    prompts: &'a Prompts,
    model: &'a str,
    representation: Representation,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Result<Rendered>> + Send + 'a>> {
    Box::pin(async move {
        if depth > MAX_DEPTH {
            let reason = format!("components are nested more than {MAX_DEPTH} deep");
            return Err(ErrorKind::Template { template: "component".into(), reason }.into());
        }
        let Representation { body, role, media, variables, answer_type, requirements, repair, tools: _ } = representation;
        let args = match &body {
            Body::Template { args, .. } => args.as_slice(),
            Body::Messages(_) => &[],
        };
        let all = variables.iter().map(|(_, arg)| arg).chain(args.iter().map(|(_, arg)| arg));
        let mut parts = resolve(prompts, model, all, depth).await?;
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
        let mut answer_type = answer_type;
        let mut repair = repair.map(|repair| refusal(prompts, model, &repair, answer_type.as_deref())).transpose()?;
        let mut messages = match body {
            Body::Messages(messages) => {
                messages.into_iter().map(|m| flatten_documents(prompts, model, m)).collect::<Result<Vec<_>>>()?
            }
            Body::Template { name, source, args } => {
                let mut values = BTreeMap::new();
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
                    values.insert(name, parts.value(arg, &mut filler)?);
                }
                let mut message = Message::new(role, prompts.render(&name, source.as_deref(), model, Value::from(values))?);
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
    })
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
struct Parts(VecDeque<String>);

/// Awaits and renders all parts of the arguments, concurrently.
async fn resolve<'a>(prompts: &Prompts, model: &str, args: impl Iterator<Item = &'a Arg>, depth: usize) -> Result<Parts> {
    let mut parts = Vec::new();
    args.for_each(|arg| walk(arg, &mut parts));
    let texts = parts.into_iter().map(|part| async move {
        match part {
            Part::Thunk(text) => Ok(text.0.wait().await?.text.clone()),
            Part::Component(component) => {
                let messages = render_nested(prompts, model, component.representation()?, depth + 1).await?.messages;
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
        Ok(Filler { prompts, variables: Variables::new(values.collect::<Result<_>>()?) })
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
fn flatten_documents(prompts: &Prompts, model: &str, mut message: Message) -> Result<Message> {
    for document in std::mem::take(&mut message.documents) {
        message.content.push(Content::text(document_text(prompts, model, &document)?));
    }
    Ok(message)
}

/// A document as a model reads it.
fn document_text(prompts: &Prompts, model: &str, document: &Document) -> Result<String> {
    let Document { text, title, id } = document;
    prompts.render("document", None, model, minijinja::context! { text, title, id })
}
