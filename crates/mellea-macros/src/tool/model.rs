//! What a tool's function says, checked.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, LitStr, Path, Receiver, Result, Signature, Type, Visibility, parse_quote};

use crate::attr::{Arguments, once};
use crate::doc::{Doc, FunctionDoc};
use crate::fault::Faults;
use crate::item::Item;
use crate::path;
use crate::signature::{Parameter, check_ordinary, is_named, parameters, peel};

const KEYS: [&str; 4] = ["name", "timeout", "effects", "crate"];

/// How long a tool's name may be for the providers.
const MAX_NAME: usize = 64;

/// A tool.
pub(super) struct Tool {
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) signature: Signature,
    pub(super) body: TokenStream,
    /// How the function takes what it is a method of.
    pub(super) receiver: Option<Taken>,
    pub(super) parameters: Vec<Given>,
    /// The name that the model knows.
    pub(super) name: String,
    pub(super) description: Doc,
    pub(super) timeout: Option<Expr>,
    pub(super) effects: bool,
    pub(super) krate: Path,
}

/// One parameter, by who gives it.
pub(super) enum Given {
    /// The model: a field of the arguments.
    Model(Field),
    /// The program, when it makes the tool. The type is what the function takes, or refers to.
    Program(Parameter, Type, Taken),
}

/// How a function takes something that the tool holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Taken {
    /// `&self`, `state: &T`
    Reference,
    /// `self: Arc<Self>`, `state: T`
    Value,
    /// `self: &Arc<Self>`
    ReferenceToArc,
}

/// A parameter that the model gives, as a field of the arguments.
pub(super) struct Field {
    pub(super) parameter: Parameter,
    pub(super) default: Default,
    pub(super) description: Option<Doc>,
}

/// What a parameter is if the model leaves it out.
pub(super) enum Default {
    /// It may not, unless the type says otherwise.
    Missing,
    /// The type's default.
    OfType,
    /// This value.
    Value(Expr),
}

#[derive(Default)]
struct Settings {
    name: Option<LitStr>,
    timeout: Option<Expr>,
    effects: Option<()>,
    krate: Option<LitStr>,
}

impl Tool {
    /// # Errors
    /// All mistakes.
    pub(super) fn read(arguments: Arguments, item: Item) -> Result<Self> {
        let mut faults = Faults::default();
        let settings = Settings::read(arguments, &mut faults);
        let Item { attrs, vis, mut signature, body } = item;
        let body = body.unwrap_or_else(|| {
            faults.at(&signature.ident, "a tool needs a body: this program runs it when the model calls it");
            TokenStream::new()
        });
        check_ordinary(&signature, &mut faults);
        for lifetime in signature.generics.lifetimes() {
            faults.at(lifetime, "a tool's parameters are values of their own: there is nothing to borrow from");
        }
        let receiver = signature.receiver().and_then(|receiver| taken(receiver, &mut faults));
        let parameters = parameters(&signature, &mut faults);
        let names: Vec<String> = parameters.iter().map(|parameter| parameter.name.unraw().to_string()).collect();
        let doc = FunctionDoc::find(&attrs, &names).unwrap_or_else(|| {
            faults.at(&signature.ident, "say what the tool does in a doc comment: by it the model decides when to call it");
            FunctionDoc { text: Doc::Text(String::new()), parameters: BTreeMap::new() }
        });
        let described = |parameter: &Parameter| doc.parameters.get(&parameter.name.unraw().to_string()).cloned();
        let parameters = parameters.into_iter().map(|parameter| {
            let description = described(&parameter);
            given(parameter, description, &mut faults)
        });
        let parameters = parameters.collect();
        signature.inputs.iter_mut().for_each(|input| {
            if let syn::FnArg::Typed(input) = input {
                input.attrs.clear();
            }
        });
        let description = doc.text;
        let name = name(settings.name.as_ref(), &signature, &mut faults);
        let krate = path::resolve(settings.krate.as_ref()).unwrap_or_else(|error| {
            faults.add(error);
            parse_quote!(crate)
        });
        let (timeout, effects) = (settings.timeout, settings.effects.is_some());
        faults.finish(|| Self { attrs, vis, signature, body, receiver, parameters, name, description, timeout, effects, krate })
    }
}

impl Settings {
    fn read(arguments: Arguments, faults: &mut Faults) -> Self {
        let mut settings = Self::default();
        for argument in arguments {
            let key = argument.key.clone();
            match key.to_string().as_str() {
                "name" => once(&mut settings.name, &key, argument.text("name = \"get_weather\""), faults),
                "timeout" => {
                    let timeout = argument.assigned("timeout = Duration::from_secs(5)");
                    once(&mut settings.timeout, &key, timeout, faults);
                }
                "effects" => once(&mut settings.effects, &key, argument.lone("effects"), faults),
                "crate" => once(&mut settings.krate, &key, argument.text("crate = \"my_crate::mellea\""), faults),
                _ => faults.add(argument.unknown(&KEYS)),
            }
        }
        settings
    }
}

fn name(given: Option<&LitStr>, signature: &Signature, faults: &mut Faults) -> String {
    let name = given.map_or_else(|| signature.ident.unraw().to_string(), LitStr::value);
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(known) {
        let advice =
            format!("a tool's name has 1 to {MAX_NAME} ASCII letters, digits, `_` and `-`: give it one with `name = \"…\"`");
        match given {
            Some(given) => faults.at(given, advice),
            None => faults.at(&signature.ident, advice),
        }
    }
    name
}

/// How a method takes `self`, which other calls of the tool use at the same time.
fn taken(receiver: &Receiver, faults: &mut Faults) -> Option<Taken> {
    let is_self = |ty: &Type| is_named(ty, "Self");
    let is_arc = |ty: &Type| is_named(ty, "Arc");
    match peel(&receiver.ty) {
        Type::Reference(reference) if reference.mutability.is_none() && reference.lifetime.is_none() => match &*reference.elem {
            ty if is_self(ty) => return Some(Taken::Reference),
            ty if is_arc(ty) => return Some(Taken::ReferenceToArc),
            _ => {}
        },
        ty if is_arc(ty) => return Some(Taken::Value),
        _ => {}
    }
    faults.at(receiver, "calls of a tool share what it is a method of: take `&self` or `self: Arc<Self>`");
    None
}

fn given(mut parameter: Parameter, described: Option<String>, faults: &mut Faults) -> Given {
    let (mut default, mut state) = (None, None);
    let mut docs = Vec::new();
    for attribute in std::mem::take(&mut parameter.attrs) {
        let path = attribute.path();
        if path.is_ident("tool") {
            for argument in faults.or_default(attribute.parse_args::<Arguments>()) {
                let key = argument.key.clone();
                match key.to_string().as_str() {
                    "default" => {
                        let value = argument.assigned_or_none("default = 1");
                        let value = value.map(|value| value.map_or(Default::OfType, Default::Value));
                        once(&mut default, &key, value, faults);
                    }
                    "state" => once(&mut state, &key, argument.lone("state"), faults),
                    _ => faults.add(argument.unknown(&["default", "state"])),
                }
            }
        } else if path.is_ident("doc") {
            docs.push(attribute);
        } else if ["serde", "schemars"].iter().any(|known| path.is_ident(known)) {
            parameter.attrs.push(attribute);
        } else {
            let advice = "a tool's parameter takes a doc comment, `#[tool(default = …)]`, `#[tool(state)]`, `#[schemars(…)]` and \
                          `#[serde(…)]`";
            faults.at(attribute, advice);
        }
    }
    if state.is_some() {
        if default.is_some() || !parameter.attrs.is_empty() {
            faults.at(&parameter.name, "the program gives this parameter: it has no default and no place in the schema");
        }
        let (ty, taken) = match peel(&parameter.ty) {
            Type::Reference(reference) => {
                if let Some(mutability) = &reference.mutability {
                    faults.at(mutability, "calls of a tool share its state: take `&T`, and put a lock inside");
                }
                ((*reference.elem).clone(), Taken::Reference)
            }
            ty => (ty.clone(), Taken::Value),
        };
        return Given::Program(parameter, ty, taken);
    }
    match peel(&parameter.ty) {
        Type::Reference(_) => {
            faults.at(
                &parameter.ty,
                "a tool takes its arguments by value: write `String` for `&str`, `Vec<T>` for `&[T]`; what the program gives is \
                 marked `#[tool(state)]`",
            );
        }
        Type::ImplTrait(_) | Type::TraitObject(_) | Type::Infer(_) | Type::BareFn(_) | Type::Ptr(_) => {
            faults.at(&parameter.ty, "a model cannot give this: write a type that is `Deserialize` and `JsonSchema`");
        }
        _ => {}
    }
    let description = Doc::find(&docs).or(described.map(Doc::Text));
    Given::Model(Field { parameter, default: default.unwrap_or(Default::Missing), description })
}
