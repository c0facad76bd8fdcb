//! What a tool's function says, checked.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, LitStr, Path, Result, Signature, Type, Visibility, parse_quote};

use crate::attr::{Arguments, once};
use crate::doc::Doc;
use crate::fault::Faults;
use crate::item::Item;
use crate::path;
use crate::signature::{Parameter, check_ordinary, is_named, parameters, peel, returned};

const KEYS: [&str; 3] = ["name", "timeout", "crate"];

/// How long a tool's name may be for the providers.
const MAX_NAME: usize = 64;

/// A tool.
pub(super) struct Tool {
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) signature: Signature,
    pub(super) body: TokenStream,
    pub(super) fields: Vec<Field>,
    /// The name that the model knows.
    pub(super) name: String,
    pub(super) description: Doc,
    pub(super) timeout: Option<Expr>,
    /// Whether the function gives a `Result`, as far as its name tells.
    pub(super) fallible: bool,
    pub(super) krate: Path,
}

/// One parameter, as a field of the arguments.
pub(super) struct Field {
    pub(super) parameter: Parameter,
    pub(super) default: Default,
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
        let fields = parameters(&signature, &mut faults).into_iter().map(|parameter| field(parameter, &mut faults)).collect();
        signature.inputs.iter_mut().for_each(|input| {
            if let syn::FnArg::Typed(input) = input {
                input.attrs.clear();
            }
        });
        let description = Doc::find(&attrs).unwrap_or_else(|| {
            faults.at(&signature.ident, "say what the tool does in a doc comment: by it the model decides when to call it");
            Doc::Text(String::new())
        });
        let name = name(settings.name.as_ref(), &signature, &mut faults);
        let fallible = returned(&signature).is_some_and(|ty| is_named(ty, "Result"));
        let krate = path::resolve(settings.krate.as_ref()).unwrap_or_else(|error| {
            faults.add(error);
            parse_quote!(crate)
        });
        let timeout = settings.timeout;
        faults.finish(|| Self { attrs, vis, signature, body, fields, name, description, timeout, fallible, krate })
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

fn field(mut parameter: Parameter, faults: &mut Faults) -> Field {
    match peel(&parameter.ty) {
        Type::Reference(_) => {
            faults.at(&parameter.ty, "a tool takes its arguments by value: write `String` for `&str`, `Vec<T>` for `&[T]`");
        }
        Type::ImplTrait(_) | Type::TraitObject(_) | Type::Infer(_) | Type::BareFn(_) | Type::Ptr(_) => {
            faults.at(&parameter.ty, "a model cannot give this: write a type that is `Deserialize` and `JsonSchema`");
        }
        _ => {}
    }
    let mut default = None;
    for attribute in std::mem::take(&mut parameter.attrs) {
        let path = attribute.path();
        if path.is_ident("tool") {
            for argument in faults.or_default(attribute.parse_args::<Arguments>()) {
                let key = argument.key.clone();
                let value = if key == "default" {
                    argument.assigned_or_none("default = 1").map(|value| value.map_or(Default::OfType, Default::Value))
                } else {
                    Err(argument.unknown(&["default"]))
                };
                once(&mut default, &key, value, faults);
            }
        } else if ["doc", "serde", "schemars"].iter().any(|known| path.is_ident(known)) {
            parameter.attrs.push(attribute);
        } else {
            let advice = "a tool's parameter takes a doc comment, `#[tool(default = …)]`, `#[schemars(…)]` and `#[serde(…)]`";
            faults.at(attribute, advice);
        }
    }
    Field { parameter, default: default.unwrap_or(Default::Missing) }
}
