//! What templates written for Python expect beyond Jinja: methods of strings and maps, transformers' helpers.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

/// Adds methods, `raise_exception` and Python's notion of what can be iterated.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_test("iterable", |value: &Value| value.kind() != ValueKind::None && value.try_iter().is_ok());
}

/// Transformers knows a block `generation` that marks the model's own words for training; it renders its body.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, inside)) = rest.split_once("{%") {
        out.push_str(before);
        out.push_str("{%");
        rest = inside;
        let Some((tag, _)) = inside.split_once("%}") else { continue };
        let name = tag.trim_matches(['-', '+', ' ', '\t', '\n', '\r']);
        let replaced = match name {
            "generation" => "with",
            "endgeneration" => "endwith",
            _ => continue,
        };
        out.push_str(&tag.replace(name, replaced));
        rest = inside.get(tag.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_tags_keep_their_dashes() {
        let source = "a{%- generation -%}b{% endgeneration %}{% if generation %}c{% endif %}{% open";
        let expected = "a{%- with -%}b{% endwith %}{% if generation %}c{% endif %}{% open";
        assert_eq!(without_generation_tags(source), expected);
    }
}
