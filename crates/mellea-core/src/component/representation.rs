//! What a component says about itself, before it becomes a message.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::{DynComponent, Refusal};
use crate::content::Content;
use crate::message::{Message, Role};
use crate::thunk::{Thunk, ThunkText};
use crate::tool::Tools;

/// What a component says about itself: a template and its arguments, or finished messages.
#[derive(Clone, Debug)]
pub struct Representation {
    pub(crate) body: Body,
    pub(crate) role: Role,
    pub(crate) media: Vec<Content>,
    pub(crate) tools: Tools,
    pub(crate) variables: Vec<(String, Arg)>,
    pub(crate) answer_type: Option<String>,
    pub(crate) requirements: Vec<Statement>,
    pub(crate) repair: Option<Refusal>,
}

/// A requirement of a call, on its way into the prompt.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// Its words, in which the representation's variables count if they are a template.
    pub(crate) text: Arg,
    /// Whether the model gets to read it.
    pub(crate) shown: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Template { name: Cow<'static, str>, source: Option<Cow<'static, str>>, args: Vec<(Cow<'static, str>, Arg)> },
    Messages(Vec<Message>),
}

/// An argument of a template.
///
/// Texts are data: what looks like a template in them stays as it is. Only [`Arg::template`] makes a
/// template of a text, and is meant for texts that stand in the program, never for what was read,
/// retrieved or generated: whoever writes a template can read the call's variables.
#[derive(Clone, Debug)]
pub enum Arg {
    /// Nothing: false in a template.
    None,
    /// Text, used literally.
    Text(String),
    /// A text in which the representation's variables stand for their values, if it has any.
    Template(String),
    /// Any value.
    Json(Value),
    /// Another component, or an answer on its way.
    Part(Part),
    /// Several.
    List(Vec<Self>),
    /// Several with names, in this order; a template sees pairs.
    Pairs(Vec<(String, Self)>),
}

/// A part of a prompt that must be rendered or computed first.
#[derive(Clone, Debug)]
pub enum Part {
    /// A component.
    Component(Arc<dyn DynComponent>),
    /// An answer, perhaps on its way.
    Thunk(PendingText),
}

/// The text of an answer that is perhaps on its way, whatever its type. Made from a [`Thunk`].
#[derive(Clone, Debug)]
pub struct PendingText(pub(crate) ThunkText);

impl<T> From<&Thunk<T>> for PendingText {
    fn from(thunk: &Thunk<T>) -> Self {
        Self(thunk.text())
    }
}

impl Representation {
    /// By the template of this name, see [`Prompts`](crate::Prompts).
    pub fn template(name: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Body::Template { name: name.into(), source: None, args: Vec::new() })
    }

    /// By a template that is given here; `name` is for error messages, and for
    /// [`Prompts::replace`](crate::Prompts::replace).
    pub fn inline(name: impl Into<Cow<'static, str>>, source: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Body::Template { name: name.into(), source: Some(source.into()), args: Vec::new() })
    }

    /// By these messages.
    pub fn messages(messages: impl IntoIterator<Item = Message>) -> Self {
        Self::of(Body::Messages(messages.into_iter().collect()))
    }

    /// By this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::messages([Message::user(text.into())])
    }

    /// With room for so many arguments.
    pub(crate) fn with_room(mut self, count: usize) -> Self {
        if let Body::Template { args, .. } = &mut self.body {
            args.reserve_exact(count);
        }
        self
    }

    fn of(body: Body) -> Self {
        Self {
            body,
            role: Role::User,
            media: Vec::new(),
            tools: Tools::default(),
            variables: Vec::new(),
            requirements: Vec::new(),
            answer_type: None,
            repair: None,
        }
    }

    /// With an argument for the template.
    #[must_use]
    pub fn arg(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Arg>) -> Self {
        if let Body::Template { args, .. } = &mut self.body {
            args.push((name.into(), value.into()));
        }
        self
    }

    /// With variables for the arguments that are templates themselves.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, Arg)>) -> Self {
        self.variables.extend(variables);
        self
    }

    /// Spoken by this role; the user by default.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// With images or audio.
    #[must_use]
    pub fn media(mut self, media: impl IntoIterator<Item = Content>) -> Self {
        self.media.extend(media);
        self
    }

    /// With tools that the component brings along.
    #[must_use]
    pub fn tools(mut self, tools: Tools) -> Self {
        self.tools = tools;
        self
    }

    /// With the type of the answer, told as [`Schema::hint`](crate::Schema::hint) tells it.
    ///
    /// A template that has an argument `answer_type` gets it as its value; otherwise it is added to the end of
    /// the last user's message.
    #[must_use]
    pub fn answer_type(mut self, hint: impl Into<String>) -> Self {
        self.answer_type = Some(hint.into());
        self
    }

    /// With what a model must know about its last answer, which was refused.
    ///
    /// A template that has an argument `repair` gets the finished words as its value; otherwise they
    /// are added to the end of the last user's message.
    #[must_use]
    pub fn repair(mut self, refusal: Refusal) -> Self {
        self.repair = (!refusal.is_empty()).then_some(refusal);
        self
    }

    /// With the requirements of a call. A template that has an argument `requirements` gets those that
    /// are shown as a list; otherwise they are added to the end of the last user's message.
    #[must_use]
    pub(crate) fn state(mut self, requirements: impl IntoIterator<Item = Statement>) -> Self {
        self.requirements.extend(requirements);
        self
    }
}

impl Arg {
    /// A template: a text of the program in which `{{name}}` stands for the value of a variable.
    pub fn template(text: impl Into<String>) -> Self {
        Self::Template(text.into())
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Cow<'_, str>> for Arg {
    fn from(text: Cow<'_, str>) -> Self {
        Self::Text(text.into_owned())
    }
}

macro_rules! json_args {
    ($($type:ty),*) => {$(
        impl From<$type> for Arg {
            fn from(value: $type) -> Self {
                Self::Json(Value::from(value))
            }
        }
    )*};
}

json_args!(bool, i8, i16, i32, i64, u8, u16, u32, u64, isize, usize, f32, f64, Value);

impl<T> From<Thunk<T>> for Arg {
    fn from(thunk: Thunk<T>) -> Self {
        Self::from(&thunk)
    }
}

impl<T> From<&Thunk<T>> for Arg {
    fn from(thunk: &Thunk<T>) -> Self {
        Self::Part(Part::Thunk(thunk.into()))
    }
}

impl From<Arc<dyn DynComponent>> for Arg {
    fn from(component: Arc<dyn DynComponent>) -> Self {
        Self::Part(Part::Component(component))
    }
}

impl<T: Into<Self>> From<Vec<T>> for Arg {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Arg {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}
