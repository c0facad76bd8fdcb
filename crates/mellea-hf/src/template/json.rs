//! `tojson` as Python's `json.dumps` writes it: its separators, its floats, no HTML escaping.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value as JinjaValue};
use serde_json::{Number, Value};

/// The filter `tojson(ensure_ascii, indent, separators, sort_keys)`; only the first may stand without its name.
pub(super) fn tojson(value: &JinjaValue, ascii: Option<bool>, options: Kwargs) -> Result<JinjaValue, Error> {
    let indent = options.get::<Option<usize>>("indent")?;
    let separators = options.get::<Option<Vec<String>>>("separators")?.unwrap_or_default();
    let (item, key) = match separators.as_slice() {
        [item, key] => (item.clone(), key.clone()),
        // With an indent Python leaves the space behind the comma out.
        _ => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let printer = Printer {
        indent,
        item,
        key,
        ascii: options.get::<Option<bool>>("ensure_ascii")?.or(ascii).unwrap_or(false),
        sort: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let value = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, "tojson failed").with_source(error))?;
    let mut out = String::new();
    printer.write(&value, 0, &mut out);
    Ok(JinjaValue::from(out))
}

struct Printer {
    indent: Option<usize>,
    item: String,
    key: String,
    ascii: bool,
    sort: bool,
}

impl Printer {
    fn write(&self, value: &Value, depth: usize, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Value::Number(number) => out.push_str(&python_number(number)),
            Value::String(text) => self.string(text, out),
            Value::Array(items) if items.is_empty() => out.push_str("[]"),
            Value::Object(map) if map.is_empty() => out.push_str("{}"),
            Value::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.border(at, depth + 1, out);
                    self.write(item, depth + 1, out);
                }
                self.line(depth, out);
                out.push(']');
            }
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.sort {
                    entries.sort_by_key(|(key, _)| *key);
                }
                out.push('{');
                for (at, (key, item)) in entries.into_iter().enumerate() {
                    self.border(at, depth + 1, out);
                    self.string(key, out);
                    out.push_str(&self.key);
                    self.write(item, depth + 1, out);
                }
                self.line(depth, out);
                out.push('}');
            }
        }
    }

    fn border(&self, at: usize, depth: usize, out: &mut String) {
        if at > 0 {
            out.push_str(&self.item);
        }
        self.line(depth, out);
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                // Noncharacters may be marks of the shield, which are taken out later.
                c if self.ascii && !c.is_ascii() && !('\u{FDD0}'..='\u{FDEF}').contains(&c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// Python writes floats with the shortest digits, and with an exponent below 1e-4 and from 1e16 on.
fn python_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..16).contains(&exponent) => format!("{float:?}"),
        Ok(exponent) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        let cases = [
            (1.0, "1.0"), (21.5, "21.5"), (1e-5, "1e-05"), (0.0001, "0.0001"), (1e16, "1e+16"), (1.5e300, "1.5e+300"),
            (1e15, "1000000000000000.0"), (-2.5e-7, "-2.5e-07"), (0.0, "0.0"),
        ];
        for (float, expected) in cases {
            assert_eq!(python_number(&Number::from_f64(float).unwrap()), expected);
        }
        assert_eq!(python_number(&Number::from(7)), "7");
    }
}
