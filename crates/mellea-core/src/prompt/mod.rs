//! Prompts: every word the library says to a model, and how components become messages.
//!
//! All of the library's own wording is in the templates beside this module ([`Prompts::NAMES`]);
//! each can be replaced, for all models or for some. Values are data: they are put into a template
//! once and never read as templates themselves.
//!
//! # Values in their place
//!
//! Texts that come from elsewhere may hold lines that look like the prompt's own headings. The
//! library's templates pass them through filters, which templates of your own can use as well:
//!
//! - `{{ text|item }}` indents every line but the first, as in an item of a list.
//! - `{{ name|label }}` makes one short line without square brackets.
//! - `{{ text|guard("Question:") }}` indents the lines that begin with this heading.
//! - `{{ text|fenced }}` puts the text between two fences that it cannot close.
//!
//! `{{ gap }}` before each section of a component's template writes nothing the first time, and an empty line
//! from then on, so that sections can be left out.

mod args;
mod lines;
mod refusal;
mod render;
mod variables;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use minijinja::{Environment, UndefinedBehavior, Value};

pub(crate) use refusal::refusal;
pub(crate) use render::{Rendered, Rendering, fill, render};

use crate::error::{Error, ErrorKind, Result};

/// The library's own templates.
const BUILT_IN: [(&str, &str); 8] = [
    ("instruction", include_str!("templates/instruction.jinja")),
    ("judge", include_str!("templates/judge.jinja")),
    ("repair", include_str!("templates/repair.jinja")),
    ("requirements", include_str!("templates/requirements.jinja")),
    ("answer_type", include_str!("templates/answer_type.jinja")),
    ("query", include_str!("templates/query.jinja")),
    ("transform", include_str!("templates/transform.jinja")),
    ("document", include_str!("templates/document.jinja")),
];

/// The library's own templates for some models: a fragment of the model's name, the template's name,
/// and its text. The demonstration model knows only the forms it was trained on, in which a judge does
/// not see the task and a repair does not state the type once more.
const FOR_MODELS: [(&str, &str, &str); 2] = [
    ("mellea/pico", "judge", "{% set task = none %}{% include \"judge\" %}"),
    ("mellea/pico", "repair", "{% set malformed = false %}{% set limit = none %}{% include \"repair\" %}"),
];

/// The work a template may do, in engine steps: far more than any prompt needs, far less than a hang.
const FUEL: u64 = 1_000_000;

/// The templates that prompts are made with.
///
/// ```
/// use mellea_core::Prompts;
///
/// let prompts = Prompts::new()
///     .replace("query", "{{ object }}\n\n{{ query }}")?
///     .replace_for("granite", "document", "<doc>{{ text }}</doc>")?;
/// # Ok::<(), mellea_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Prompts {
    environment: Arc<Environment<'static>>,
    /// Model-name fragment and template name of each replacement for some models.
    special: Arc<Vec<(String, String)>>,
}

impl Prompts {
    /// The names of the library's templates: `instruction`, `judge`, `repair`, `requirements`,
    /// `answer_type`, `query`, `transform`, `document`.
    pub const NAMES: [&str; 8] =
        ["instruction", "judge", "repair", "requirements", "answer_type", "query", "transform", "document"];

    /// The library's own templates.
    #[must_use]
    pub fn new() -> Self {
        static DEFAULT: OnceLock<Arc<Environment<'static>>> = OnceLock::new();
        let environment = DEFAULT.get_or_init(|| {
            let mut environment = empty_environment();
            let special = FOR_MODELS.map(|(model, name, source)| (format!("{model}/{name}"), source));
            let all = BUILT_IN.map(|(name, source)| (name.to_owned(), source));
            for (name, source) in all.into_iter().chain(special) {
                let added = environment.add_template_owned(name, source);
                debug_assert!(added.is_ok(), "a built-in template does not parse: {added:?}");
            }
            Arc::new(environment)
        });
        static SPECIAL: LazyLock<Arc<Vec<(String, String)>>> =
            LazyLock::new(|| Arc::new(FOR_MODELS.map(|(model, name, _)| (model.to_owned(), name.to_owned())).into()));
        Self { environment: Arc::clone(environment), special: Arc::clone(&SPECIAL) }
    }

    /// With another template of this name, or a new one for a component of your own.
    ///
    /// # Errors
    /// [`ErrorKind::Template`] if it does not parse.
    pub fn replace(mut self, name: impl Into<String>, source: impl Into<String>) -> Result<Self> {
        let name = name.into();
        Arc::make_mut(&mut self.environment)
            .add_template_owned(name.clone(), source.into())
            .map_err(|e| template_error(&name, &e))?;
        Ok(self)
    }

    /// With another template of this name for models whose name contains `model`, ignoring case.
    /// Where several match, the longest fragment wins.
    ///
    /// # Errors
    /// [`ErrorKind::Template`] if it does not parse.
    pub fn replace_for(self, model: &str, name: &str, source: impl Into<String>) -> Result<Self> {
        let model = model.to_lowercase();
        let mut prompts = self.replace(format!("{model}/{name}"), source)?;
        Arc::make_mut(&mut prompts.special).push((model, name.to_owned()));
        Ok(prompts)
    }

    /// The full name of the template that serves this model.
    fn resolve<'a>(&'a self, name: &'a str, model: &str) -> Cow<'a, str> {
        let mut special = self.special.iter().filter(|(_, special)| special == name).peekable();
        if special.peek().is_none() {
            return Cow::Borrowed(name);
        }
        let model = model.to_lowercase();
        special
            .filter(|(fragment, _)| model.contains(fragment.as_str()))
            .max_by_key(|(fragment, _)| fragment.len())
            .map_or(Cow::Borrowed(name), |(fragment, name)| Cow::Owned(format!("{fragment}/{name}")))
    }

    /// Renders the template of this name or, where there is none, the `source` that the component
    /// brought along.
    pub(crate) fn render(&self, name: &str, source: Option<&str>, model: &str, values: Value) -> Result<String> {
        let name = self.resolve(name, model);
        let rendered = match (self.environment.get_template(&name), source) {
            (Ok(template), _) => template.render(values),
            (Err(_), Some(source)) => self.environment.render_named_str(&name, source, values),
            (Err(error), None) => Err(error),
        };
        rendered.map_err(|e| template_error(&name, &e))
    }
}

impl Default for Prompts {
    fn default() -> Self {
        Self::new()
    }
}

/// An environment in which nothing is escaped and an undefined variable is an error, except in a test
/// for truth: optional sections are the normal case.
fn empty_environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    lines::add_filters(&mut environment);
    environment
}

fn template_error(name: &str, error: &minijinja::Error) -> Error {
    let reason = match (error.detail(), error.line()) {
        (Some(detail), Some(line)) => format!("{} in line {line}: {detail}", error.kind()),
        (Some(detail), None) => format!("{}: {detail}", error.kind()),
        (None, Some(line)) => format!("{} in line {line}", error.kind()),
        (None, None) => error.kind().to_string(),
    };
    ErrorKind::Template { template: name.to_owned(), reason }.into()
}

#[cfg(test)]
mod tests;
