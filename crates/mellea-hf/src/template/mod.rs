//! Chat templates: the Jinja that comes with a model, rendered byte for byte as transformers renders it.

mod clock;
mod json;
mod python;

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value as JinjaValue};
use serde_json::{Map, Value};

pub use clock::Clock;

use crate::error::{Error, Result};
use crate::hub::files::ModelFiles;
use crate::shield::{Shield, free_mark, strings};
use crate::tokenizer::TextTokenizer;

const DEFAULT: &str = "default";
const WITH_TOOLS: &str = "tool_use";
/// Instructions that one rendering may take: far more than a long conversation needs.
const FUEL: u64 = 5_000_000;
/// Variables that a caller's own template variables cannot replace.
const RESERVED: [&str; 4] = ["messages", "tools", "documents", "add_generation_prompt"];

/// What is rendered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversation<'a> {
    /// Messages in the form that templates expect: `role`, `content`, `tool_calls`, …
    pub(crate) messages: &'a [Value],
    /// Tools as OpenAI's function tools.
    pub(crate) tools: &'a [Value],
    pub(crate) documents: &'a [Value],
    /// Whether the prompt ends with the head of the model's turn.
    pub(crate) open_turn: bool,
    /// Further variables, such as `enable_thinking`.
    pub(crate) variables: &'a Map<String, Value>,
}

/// A rendered prompt, with marks where a message spells a control token.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) mark: char,
}

/// The compiled template or templates of a model.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    /// All sources, for those who look for markers in them.
    source: String,
}

impl ChatTemplate {
    /// Finds the template in `chat_template.jinja` or `tokenizer_config.json`.
    pub(crate) fn load(files: &ModelFiles, clock: &Clock) -> Result<Option<Self>> {
        if let Some(source) = files.read_text("chat_template.jinja")? {
            return Self::new(&[(DEFAULT, &source)], clock).map(Some);
        }
        let config = files.read_json::<Value>("tokenizer_config.json")?;
        match config.as_ref().and_then(|config| config.get("chat_template")) {
            Some(Value::String(source)) => Self::new(&[(DEFAULT, source)], clock).map(Some),
            Some(Value::Array(list)) => {
                let text = |item: &'_ Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
                let named: BTreeMap<String, String> =
                    list.iter().filter_map(|item| Some((text(item, "name")?, text(item, "template")?))).collect();
                let named: Vec<_> = named.iter().map(|(name, source)| (name.as_str(), source.as_str())).collect();
                Self::new(&named, clock).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Compiles templates by name; `default` and `tool_use` are the names that are used.
    pub(crate) fn new(templates: &[(&str, &str)], clock: &Clock) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(Error::template)?);
        python::install(&mut environment);
        environment.add_filter("tojson", json::tojson);
        let clock = clock.clone();
        environment.add_function("strftime_now", move |format: &str| clock.format(format));
        for (name, source) in templates {
            let source = python::without_generation_tags(source);
            environment.add_template_owned((*name).to_owned(), source).map_err(refused)?;
        }
        let source = templates.iter().map(|(_, source)| *source).collect();
        Ok(Self { environment, source })
    }

    /// The template's own text.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation; texts that spell a control token are marked, as [`crate::shield`] explains.
    pub(crate) fn render(&self, conversation: &Conversation<'_>, tokenizer: &TextTokenizer) -> Result<Prompt> {
        let c = conversation;
        let texts: Vec<&str> = [c.messages, c.tools, c.documents]
            .into_iter()
            .flatten()
            .flat_map(strings)
            .chain(c.variables.values().flat_map(strings))
            .chain([self.source.as_str()])
            .collect();
        let mark = free_mark(texts.iter().copied())
            .ok_or_else(|| Error::template("the messages contain every noncharacter from U+FDD0 to U+FDEF"))?;
        let all = || tokenizer.control().iter();
        let strict = Shield::new(all().map(|token| token.spelling.as_str()), mark);
        // What the model said before may contain its own think and tool tags; templates look for them.
        let lenient = Shield::new(all().filter(|t| t.special).map(|token| token.spelling.as_str()), mark);
        let messages = c.messages.iter().map(|message| {
            let own = message.get("role").and_then(Value::as_str) == Some("assistant");
            if own { lenient.json(message) } else { strict.json(message) }
        });

        let mut context = Map::new();
        for (name, text) in tokenizer.named() {
            context.insert(name.clone(), Value::String(text.clone()));
        }
        for (name, value) in c.variables {
            if !RESERVED.contains(&name.as_str()) {
                context.insert(name.clone(), strict.json(value));
            }
        }
        // Absent lists are defined as none, as transformers passes them.
        let list = |items: &[Value]| match items {
            [] => Value::Null,
            items => items.iter().map(|item| strict.json(item)).collect(),
        };
        context.insert("messages".to_owned(), messages.collect());
        context.insert("tools".to_owned(), list(c.tools));
        context.insert("documents".to_owned(), list(c.documents));
        context.insert("add_generation_prompt".to_owned(), Value::Bool(c.open_turn));
        Ok(Prompt { text: self.render_values(!c.tools.is_empty(), &context)?, mark })
    }

    fn render_values(&self, tools: bool, context: &Map<String, Value>) -> Result<String> {
        let named = |name| self.environment.get_template(name);
        let template = match tools {
            true => named(WITH_TOOLS).or_else(|_| named(DEFAULT)),
            false => named(DEFAULT),
        };
        template.map_err(refused)?.render(JinjaValue::from(Serde(context))).map_err(refused)
    }
}

fn refused(error: minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::template(format!("{detail}{line}"))
}

#[cfg(test)]
mod tests;
