//! From a representation to messages: first all unfinished parts are awaited together, then
//! everything is rendered.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use futures_util::future::try_join_all;
use minijinja::Value;

use super::Prompts;
use super::variables::Variables;
use crate::component::Body;
use crate::component::{Arg, Document, Part, Representation};
use crate::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Message;

/// How deep components may stand in each other.
const MAX_DEPTH: usize = 64;

/// Renders a representation to the messages that a model reads.
///
/// # Errors
/// The error of a thunk that is a part; [`ErrorKind::Template`], [`ErrorKind::UndefinedVariable`],
/// [`ErrorKind::UnusedVariable`].
pub(crate) async fn render(prompts: &Prompts, model: &str, representation: Representation) -> Result<Vec<Message>> {
    render_nested(prompts, model, representation, 0).await
}

fn render_nested<'a>(
    prompts: &'a Prompts,
    model: &'a str,
    representation: Representation,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Result<Vec<Message>>> + Send + 'a>> {
    Box::pin(async move {
        if depth > MAX_DEPTH {
            let reason = format!("components are nested more than {MAX_DEPTH} deep");
            return Err(ErrorKind::Template { template: "component".into(), reason }.into());
        }
        let Representation { body, role, media, variables, tools: _ } = representation;
        match body {
            Body::Messages(messages) => messages.into_iter().map(|m| flatten_documents(prompts, model, m)).collect(),
            Body::Template { name, source, args } => {
                let all = variables.iter().map(|(_, arg)| arg).chain(args.iter().map(|(_, arg)| arg));
                let mut parts = resolve(prompts, model, all, depth).await?;
                let values = variables.into_iter().map(|(name, arg)| Ok((name, parts.value(arg, &mut None)?)));
                let variables = Variables::new(values.collect::<Result<_>>()?);
                let mut filler = Some(Filler { prompts, variables });
                let args = args.into_iter().map(|(name, arg)| Ok((name, parts.value(arg, &mut filler)?)));
                let args = Value::from(args.collect::<Result<BTreeMap<_, _>>>()?);
                if let Some(filler) = filler {
                    filler.variables.finish()?;
                }
                let mut message = Message::new(role, prompts.render(&name, source.as_deref(), model, args)?);
                message.content.extend(media);
                Ok(vec![message])
            }
        }
    })
}

struct Filler<'a> {
    prompts: &'a Prompts,
    variables: Variables,
}

/// The texts of the parts of one representation, in the order in which [`walk`] meets them.
struct Parts(VecDeque<String>);

/// Awaits and renders all parts of the arguments, concurrently.
async fn resolve<'a>(prompts: &Prompts, model: &str, args: impl Iterator<Item = &'a Arg>, depth: usize) -> Result<Parts> {
    let mut parts = Vec::new();
    args.for_each(|arg| walk(arg, &mut parts));
    let texts = parts.into_iter().map(|part| async move {
        match part {
            Part::Thunk(thunk) => Ok(thunk.into_future().await?.text.clone()),
            Part::Component(component) => {
                let messages = render_nested(prompts, model, component.representation()?, depth + 1).await?;
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
    /// The value that a template sees. Parts must be asked for in the order of [`walk`].
    fn value(&mut self, arg: Arg, filler: &mut Option<Filler<'_>>) -> Result<Value> {
        Ok(match arg {
            Arg::None => Value::from(()),
            Arg::Text(text) => Value::from(text),
            Arg::Template(text) => Value::from(match filler {
                Some(filler) => filler.variables.fill(filler.prompts, &text)?,
                None => text,
            }),
            Arg::Json(value) => Value::from(minijinja::value::Serde(value)),
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
