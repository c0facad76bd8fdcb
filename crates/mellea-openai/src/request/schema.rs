//! Asking for the form of an answer, in the way that a server has for it.

use mellea_core::schema::Dialect as GrammarDialect;
use mellea_core::{Format, Result, Schema};
use serde_json::{Map, Value, json};

use super::{Fields, Target};
use crate::dialect::{Guidance, SchemaPolicy};
use crate::learned::Learned;
use mellea_wire::JSON_TOOL;

/// How the form is requested, other than through a field of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Means {
    #[default]
    Field,
    /// A message that tells the schema.
    Message,
    /// A tool, whose arguments are the answer.
    Tool,
}

/// Asks for a form.
pub(super) fn format(
    fields: &mut Fields<'_>,
    target: &Target<'_>,
    format: &Format,
    has_tools: bool,
    extra: &Map<String, Value>,
) -> Result<Means> {
    match format {
        Format::JsonSchema(_) if extra.contains_key("response_format") => {
            fields.unconstrained("the option `response_format` was given, and is sent instead of the schema");
            Ok(Means::Field)
        }
        Format::JsonSchema(schema) => {
            if has_tools && !target.dialect.tools_with_schema {
                fields.warn("this server cannot call tools while it enforces a schema; both are sent");
            }
            Ok(json_schema(fields, target, schema))
        }
        Format::Regex(pattern) => {
            guided(fields, "regex", pattern.as_str().into());
            Ok(Means::Field)
        }
        _ => {
            fields.unconstrained("this backend does not know this form of answer");
            Ok(Means::Field)
        }
    }
}

fn json_schema(fields: &mut Fields<'_>, target: &Target<'_>, schema: &Schema) -> Means {
    let policy = if fields.dialect().drops("response_format") { SchemaPolicy::None } else { target.dialect.schema };
    match policy {
        SchemaPolicy::Strict => {
            let (form, strict) = strict(schema, target.learned, |reason| fields.unconstrained(reason));
            fields.set("response_format", response_format(schema, &form, strict));
        }
        SchemaPolicy::Grammar => {
            let dialect = if target.learned.has(Learned::SIMPLE_SCHEMA) {
                fields.unconstrained("the server refused a schema, so a simpler form is sent");
                GrammarDialect::SimpleGrammar
            } else {
                GrammarDialect::OrderedGrammar
            };
            fields.set("response_format", response_format(schema, &schema.wire(dialect).schema, true));
        }
        SchemaPolicy::Plain => fields.set("response_format", response_format(schema, schema.plain(), true)),
        SchemaPolicy::JsonObject => {
            fields.unconstrained("this service enforces JSON, but no schema");
            fields.set("response_format", json!({ "type": "json_object" }));
            return Means::Message;
        }
        SchemaPolicy::ForcedTool => {
            fields.unconstrained("this service has no schemas; the answer is asked for as the arguments of a tool");
            json_tool(fields, schema);
            return Means::Tool;
        }
        SchemaPolicy::None => fields.unconstrained("this service enforces no schemas"),
    }
    Means::Field
}

/// The schema in the strict form, or unchanged if it has none.
pub(crate) fn strict(schema: &Schema, learned: Learned, mut unconstrained: impl FnMut(String)) -> (Value, bool) {
    let form = match schema.strict() {
        // What the dialect lacks is checked when the answer is read.
        Ok(form) if !learned.has(Learned::LOOSE_SCHEMA) => return (form.schema.clone(), true),
        Ok(form) => {
            unconstrained("the server took schemas with `strict: false` only, and may not enforce them".to_owned());
            form.schema.clone()
        }
        Err(error) => {
            unconstrained(format!("the schema has no strict form, so it is sent with `strict: false` ({error})"));
            schema.plain().clone()
        }
    };
    (form, false)
}

fn response_format(schema: &Schema, form: &Value, strict: bool) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": schema.name(), "schema": form, "strict": strict } })
}

/// Adds the tool by which the answer is asked for, and says that it must be called.
fn json_tool(fields: &mut Fields<'_>, schema: &Schema) {
    let tool = json!({
        "type": "function",
        "function": {
            "name": JSON_TOOL,
            "description": "Gives the answer.",
            "parameters": schema.plain(),
        },
    });
    let only = fields.add_tool(tool);
    // With other tools beside it, the model must be free to call those first.
    let choice = if only { json!({ "type": "function", "function": { "name": JSON_TOOL } }) } else { "required".into() };
    fields.set("tool_choice", choice);
}

/// Asks for guided generation by the server's own fields.
pub(super) fn guided(fields: &mut Fields<'_>, kind: &str, value: Value) {
    match fields.dialect().guidance {
        Guidance::StructuredOutputs => {
            fields.set("structured_outputs", Value::Object(Map::from_iter([(kind.to_owned(), value)])))
        }
        Guidance::Guided => fields.set(&format!("guided_{kind}"), value),
        Guidance::None => {
            let what = if kind == "regex" { "regular expressions" } else { "schemas of raw completions" };
            fields.unconstrained(format!("{} enforces no {what}", fields.dialect().name));
        }
    }
}
