//! JSON as `serde_json` reads it, which also notes the names that stand twice in an object.
//!
//! `serde_json` takes the last value of a name. A model that wrote two different ones has not said which it
//! means, so an answer with such a name is not read as either.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::equal::same;
use crate::error::{Mismatch, Mismatches};
use crate::path::Path;
use crate::words::shown;

/// The name under which `serde_json` hands over a number if a program turns its `arbitrary_precision` on.
const NUMBER: &str = "$serde_json::private::Number";

/// A value, and the names that stand twice in it with different values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) repeated: Mismatches,
}

/// Reads a text that is one value.
pub(crate) fn read(text: &str) -> Result<Read, serde_json::Error> {
    let repeated = RefCell::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Place { at: &Path::Root, repeated: &repeated }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Read { value, repeated: repeated.into_inner() })
}

/// Puts a member into an object. If another value stood under its name, that is noted and the later one is kept.
pub(crate) fn insert(map: &mut Map<String, Value>, name: String, value: Value, at: &Path<'_>, repeated: &mut Mismatches) {
    match map.entry(name) {
        serde_json::map::Entry::Vacant(entry) => {
            entry.insert(value);
        }
        serde_json::map::Entry::Occupied(mut entry) => {
            if !same(entry.get(), &value) {
                let path = Path::Key(at, entry.key()).pointer();
                if !repeated.faults.iter().any(|fault| fault.path == path) {
                    let found = format!("{} and then {}", shown(entry.get()), shown(&value));
                    repeated.push(Mismatch::new(path, "one value", found));
                }
            }
            entry.insert(value);
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    at: &'a Path<'a>,
    repeated: &'a RefCell<Mismatches>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(Place { at: &Path::Index(self.at, out.len()), ..self })? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Place { at: &Path::Key(self.at, &name), ..self })?;
            if name == NUMBER && keeps_numbers_as_text() {
                let text = value.as_str().unwrap_or_default();
                return text.parse().map(Value::Number).map_err(A::Error::custom);
            }
            insert(&mut out, name, value, self.at, &mut self.repeated.borrow_mut());
        }
        Ok(Value::Object(out))
    }
}

/// Whether `serde_json` keeps numbers as they are written.
fn keeps_numbers_as_text() -> bool {
    // A number that is read loses its last zero.
    serde_json::from_str::<Value>("0.10").is_ok_and(|number| number.to_string().len() == 4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn repeated(text: &str) -> Vec<(String, String)> {
        read(text).unwrap().repeated.faults.into_iter().map(|fault| (fault.path, fault.found)).collect()
    }

    #[test]
    fn what_stands_once_is_read_as_serde_json_reads_it() {
        for text in [
            "null",
            " [1, -1, 1.5, 1e300, 18446744073709551615, 0.10, -0, \"a\\u00e9\\n\", true, {}, []] ",
            r#"{"b": {"z": 1, "y": [{"a": null}]}, "a": "\ud83d\ude00"}"#,
            r#"{"a": 1, "b": 2, "a": 1}"#,
            r#"{"$serde_json::private::Number": "1", "x": 2}"#,
        ] {
            let Read { value, repeated } = read(text).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
            assert_eq!(repeated, Mismatches::default(), "{text}");
        }
        for text in ["", "{", "[1,]", "{} {}", "{\"a\" 1}", &"[".repeat(200), "01", "{1: 2}", "\"\u{1}\""] {
            let (own, theirs) = (read(text).unwrap_err(), serde_json::from_str::<Value>(text).unwrap_err());
            assert_eq!(own.to_string(), theirs.to_string(), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_told_with_its_place() {
        let text = r#"{"a": 1, "\u0061": 2, "l": [{"x/y": {"d": [1], "d": [2]}}], "same": {"k": 1}, "same": {"k": 1.0}}"#;
        assert_eq!(
            repeated(text),
            [("/a".into(), "1 and then 2".into()), ("/l/0/x~1y/d".into(), "an array of 1 and then an array of 1".into())]
        );
        assert_eq!(read(text).unwrap().value["a"], json!(2));
    }

    #[test]
    fn a_name_that_stands_often_is_told_once_and_names_are_bounded() {
        assert_eq!(repeated(r#"{"a": 1, "a": 2, "a": 3}"#).len(), 1);
        let many: Vec<String> = (0..5_000).map(|n| format!(r#""k{n}": 1, "k{n}": 2"#)).collect();
        let read = read(&format!("{{{}}}", many.join(","))).unwrap();
        assert_eq!((read.repeated.faults.len(), read.repeated.more), (16, 4_984));
    }
}
