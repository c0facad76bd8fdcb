//! What a generative function says, checked.

use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, Path, Result, Signature, Type, Visibility, parse_quote};

use crate::attr::{Arguments, once};
use crate::doc::{Doc, FunctionDoc};
use crate::fault::Faults;
use crate::item::Item;
use crate::path;
use crate::signature::{Parameter, check_ordinary, is_named, parameters, peel, returned};

const KEYS: [&str; 7] = ["require", "check", "precondition", "strategy", "option", "options", "crate"];

/// A generative function.
pub(super) struct Generative {
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) signature: Signature,
    pub(super) parameters: Vec<Parameter>,
    pub(super) description: Doc,
    pub(super) answer: Type,
    pub(super) settings: Vec<Setting>,
    pub(super) krate: Path,
}

/// What the attribute adds to every call.
pub(super) enum Setting {
    Require(Expr),
    Check(Expr),
    Precondition(Expr),
    Strategy(Expr),
    Option(Expr, Expr),
    Options(Expr),
}

impl Generative {
    /// # Errors
    /// All mistakes.
    pub(super) fn read(arguments: Arguments, item: Item) -> Result<Self> {
        let mut faults = Faults::default();
        let (settings, krate) = settings(arguments, &mut faults);
        let Item { attrs, vis, signature, body } = item;
        if let Some(body) = body {
            faults.at(body, "a generative function has no body, a model carries it out: end it with `;`");
        }
        check_ordinary(&signature, &mut faults);
        if let Some(receiver) = signature.receiver() {
            let advice =
                "a generative function has no `self`: make it a function of its own, and pass what the model needs to see";
            faults.at(receiver, advice);
        }
        let parameters = parameters(&signature, &mut faults);
        parameters.iter().for_each(|parameter| check_parameter(parameter, &mut faults));
        let description = description(&attrs, &parameters).unwrap_or_else(|| {
            faults.at(&signature.ident, "say what the function does in a doc comment: it is what the model is told");
            Doc::Text(String::new())
        });
        let answer = answer(&signature, &mut faults);
        faults.finish(|| Self { attrs, vis, signature, parameters, description, answer, settings, krate })
    }
}

/// The doc comment, with what it and the parameters' own comments say about parameters as a list.
fn description(attrs: &[Attribute], parameters: &[Parameter]) -> Option<Doc> {
    let names: Vec<String> = parameters.iter().map(|parameter| parameter.name.unraw().to_string()).collect();
    let FunctionDoc { text, parameters: mut texts } = FunctionDoc::find(attrs, &names)?;
    for (parameter, name) in parameters.iter().zip(&names) {
        if let Some(Doc::Text(own)) = Doc::find(&parameter.attrs) {
            texts.insert(name.clone(), own);
        }
    }
    let Doc::Text(mut text) = text else { return Some(text) };
    let described = names.iter().filter_map(|name| texts.get(name).map(|text| (name, text)));
    for (at, (name, about)) in described.enumerate() {
        text.push_str(if at == 0 { "\n\nArguments:\n- " } else { "\n- " });
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&about.replace('\n', "\n  "));
    }
    Some(Doc::Text(text))
}

fn settings(arguments: Arguments, faults: &mut Faults) -> (Vec<Setting>, Path) {
    let (mut settings, mut strategy, mut krate) = (Vec::new(), None, None);
    for argument in arguments {
        let key = argument.key.clone();
        match key.to_string().as_str() {
            "require" => {
                let listed = faults.or_default(argument.listed("require(\"Be brief.\")"));
                settings.extend(listed.into_iter().map(Setting::Require));
            }
            "check" => {
                let listed = faults.or_default(argument.listed("check(\"Be brief.\")"));
                settings.extend(listed.into_iter().map(Setting::Check));
            }
            "precondition" => {
                let listed = faults.or_default(argument.listed("precondition(\"The text is in English.\")"));
                settings.extend(listed.into_iter().map(Setting::Precondition));
            }
            "strategy" => once(&mut strategy, &key, argument.assigned("strategy = RejectionSampling::new(3)"), faults),
            "option" => match argument.pair("option(ModelOption::Temperature, 0.2)") {
                Ok((key, value)) => settings.push(Setting::Option(key, value)),
                Err(error) => faults.add(error),
            },
            "options" => match argument.assigned("options = ModelOptions::new()") {
                Ok(options) => settings.push(Setting::Options(options)),
                Err(error) => faults.add(error),
            },
            "crate" => once(&mut krate, &key, argument.text("crate = \"my_crate::mellea\""), faults),
            _ => faults.add(argument.unknown(&KEYS)),
        }
    }
    settings.extend(strategy.map(Setting::Strategy));
    let krate = path::resolve(krate.as_ref()).unwrap_or_else(|error| {
        faults.add(error);
        parse_quote!(crate)
    });
    (settings, krate)
}

fn check_parameter(parameter: &Parameter, faults: &mut Faults) {
    if let Some(mutability) = &parameter.mutability {
        faults.at(mutability, "a parameter of a generative function is only shown to the model: leave out `mut`");
    }
    for attribute in parameter.attrs.iter().filter(|attribute| !attribute.path().is_ident("doc")) {
        let advice = "a parameter of a generative function has no attributes besides a doc comment";
        faults.at(attribute, advice);
    }
}

/// The type of the answer, which must be one that an answer can have.
fn answer(signature: &Signature, faults: &mut Faults) -> Type {
    let Some(ty) = returned(signature) else {
        let advice = "say what the answer is: `-> String` for text, or any type that is `Deserialize` and `JsonSchema`";
        faults.add(Error::new_spanned(&signature.ident, advice));
        return parse_quote!(());
    };
    match peel(ty) {
        _ if is_named(ty, "Result") => {
            faults.at(ty, "the call gives a `Result` by itself: write the type of the answer alone");
        }
        Type::Reference(_) => faults.at(ty, "an answer is a value of its own: write `String` for `&str`, `Vec<T>` for `&[T]`"),
        Type::ImplTrait(_) => faults.at(ty, "the answer's type decides what the model is asked for: name it"),
        Type::TraitObject(_) | Type::Infer(_) | Type::Never(_) | Type::BareFn(_) | Type::Ptr(_) => {
            faults.at(ty, "a model cannot answer with this: write a type that is `Deserialize` and `JsonSchema`");
        }
        _ => {}
    }
    ty.clone()
}
