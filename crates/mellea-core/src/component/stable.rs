//! JSON that is the same, byte for byte, however often a value is written.
//!
//! Hash maps and hash sets give their entries in another order in every process, and two equal ones
//! do so even within one. A prompt made of them would differ from call to call: no preview could be
//! trusted, no cache would ever hit, and no recorded test would replay.

use serde::ser::{self, Serialize};
use serde_json::value::Serializer as Json;
use serde_json::{Error, Map, Value};

/// The value as JSON, in one order.
///
/// Fields of a struct keep the order in which they are declared, and lists keep theirs. Maps are
/// sorted by key (a `serde_json::Value` is one, and so is a struct with `#[serde(flatten)]`), and sets
/// by the text of their elements.
///
/// # Errors
/// If the value has no form in JSON, such as a map whose keys are lists.
pub(crate) fn stable_json<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    let mut json = value.serialize(Stable)?;
    if is_set::<T>() {
        sort(&mut json);
    }
    Ok(json)
}

/// JSON that is there already, with its maps sorted.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        Value::Object(map) => {
            let mut map: Map<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            map.sort_keys();
            Value::Object(map)
        }
        other => other,
    }
}

/// A value as JSON on one line, also for those to whom more than a newline breaks one.
pub(crate) fn json_line(value: &Value) -> String {
    let line = value.to_string();
    if !line.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{2029}']) {
        return line;
    }
    // Outside ASCII these stand in strings only, where JSON may write them as escapes.
    line.chars().fold(String::with_capacity(line.len() + 8), |mut line, c| {
        match c {
            '\u{7f}' | '\u{85}' | '\u{2028}' | '\u{2029}' => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
        line
    })
}

fn sort(json: &mut Value) {
    if let Value::Array(list) = json {
        list.sort_by_cached_key(Value::to_string);
    }
}

/// Whether a type is a hash set, perhaps behind references and smart pointers. Serde writes sets and
/// lists alike, so only the type's name tells them apart.
fn is_set<T: ?Sized>() -> bool {
    let mut name = std::any::type_name::<T>();
    loop {
        name = name.trim_start_matches(['&', ' ']);
        name = name.strip_prefix("mut ").unwrap_or(name);
        let Some((head, rest)) = name.split_once('<') else { return false };
        match head.rsplit("::").next().unwrap_or(head) {
            "HashSet" | "AHashSet" | "DashSet" => return true,
            "Box" | "Rc" | "Arc" | "Cow" | "RefCell" | "Mutex" | "RwLock" => name = rest,
            _ => return false,
        }
    }
}

/// Writes values as [`stable_json`] says.
struct Stable;

macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<Value, Error> {
            ser::Serializer::$method(Json, value)
        }
    )*};
}

impl ser::Serializer for Stable {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Entries;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    scalars!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        stable_json(value)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Error> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, Error> {
        stable_json(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        Ok(tagged(Some(variant), stable_json(value)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Error> {
        Ok(List { list: Vec::new(), variant: None })
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<List, Error> {
        Ok(List { list: Vec::new(), variant: Some(variant) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Error> {
        Ok(Entries { map: Map::new(), key: None })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields, Error> {
        // Numbers and raw JSON, with some of serde_json's features, are structs with a secret name.
        if name.starts_with("$serde_json::private::") {
            return Ok(Fields::Json(ser::Serializer::serialize_struct(Json, name, len)?));
        }
        Ok(Fields::Own { map: Map::new(), variant: None })
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Fields, Error> {
        Ok(Fields::Own { map: Map::new(), variant: Some(variant) })
    }
}

/// A variant's content under its name.
fn tagged(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Object(Map::from_iter([(variant.to_owned(), value)])),
        None => value,
    }
}

struct List {
    list: Vec<Value>,
    variant: Option<&'static str>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.list.push(stable_json(value)?);
        Ok(())
    }

    fn done(self) -> Value {
        tagged(self.variant, Value::Array(self.list))
    }
}

macro_rules! lists {
    ($($trait:ident: $method:ident),*) => {$(
        impl ser::$trait for List {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }

            fn end(self) -> Result<Value, Error> {
                Ok(self.done())
            }
        }
    )*};
}

lists!(SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field, SerializeTupleVariant: serialize_field);

struct Entries {
    map: Map<String, Value>,
    key: Option<String>,
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(match stable_json(key)? {
            Value::String(key) => key,
            key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
            _ => return Err(ser::Error::custom("a key of a map must be a text, a number or a truth value")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().unwrap_or_default();
        self.map.insert(key, stable_json(value)?);
        Ok(())
    }

    fn end(mut self) -> Result<Value, Error> {
        self.map.sort_keys();
        Ok(Value::Object(self.map))
    }
}

enum Fields {
    Own { map: Map<String, Value>, variant: Option<&'static str> },
    Json(<Json as ser::Serializer>::SerializeStruct),
}

impl Fields {
    fn put<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        match self {
            Self::Own { map, .. } => {
                map.insert(key.to_owned(), stable_json(value)?);
                Ok(())
            }
            Self::Json(json) => ser::SerializeStruct::serialize_field(json, key, value),
        }
    }

    fn done(self) -> Result<Value, Error> {
        match self {
            Self::Own { map, variant } => Ok(tagged(variant, Value::Object(map))),
            Self::Json(json) => ser::SerializeStruct::end(json),
        }
    }
}

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Fields {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.put(key, value)
            }

            fn end(self) -> Result<Value, Error> {
                self.done()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::sync::Arc;

    use serde::Serialize;
    use serde_json::json;

    use super::*;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        stable_json(value).unwrap().to_string()
    }

    #[derive(Serialize)]
    struct Outer<'a> {
        zebra: u8,
        apple: HashMap<String, HashMap<u32, char>>,
        tags: HashSet<&'a str>,
        shared: Arc<HashSet<(u8, String)>>,
        maybe: Option<HashSet<u8>>,
        nested: Vec<HashSet<i32>>,
        kind: Kind,
        #[serde(flatten)]
        rest: HashMap<String, bool>,
    }

    #[derive(Serialize)]
    enum Kind {
        Pair(HashSet<u8>, u8),
        Named { b: u8, a: HashMap<bool, u8> },
        One(HashSet<u8>),
        Unit,
    }

    fn outer(kind: Kind) -> Outer<'static> {
        let letters = || ["q", "w", "e", "r", "t", "y", "u", "i", "o", "p"];
        Outer {
            zebra: 1,
            apple: letters().iter().map(|l| ((*l).to_owned(), (0..9).map(|n| (n, 'x')).collect())).collect(),
            tags: letters().into(),
            shared: Arc::new(letters().iter().map(|l| (7, (*l).to_owned())).collect()),
            maybe: Some((0..20).collect()),
            nested: vec![(-9..9).collect(), HashSet::new()],
            kind,
            rest: letters().iter().map(|l| ((*l).to_owned(), true)).collect(),
        }
    }

    #[test]
    fn equal_values_are_written_alike_whatever_their_hashers_say() {
        type Make = fn() -> Kind;
        let kinds: [Make; 4] = [
            || Kind::Pair((0..20).collect(), 3),
            || Kind::Named { b: 1, a: [(true, 1), (false, 2)].into() },
            || Kind::One((0..20).collect()),
            || Kind::Unit,
        ];
        for make in kinds {
            let first = written(&outer(make()));
            for _ in 0..20 {
                assert_eq!(written(&outer(make())), first);
            }
        }
    }

    #[test]
    fn structs_and_lists_keep_their_order() {
        #[derive(Serialize)]
        struct Declared {
            zebra: u8,
            apple: Vec<u8>,
            middle: (char, &'static str),
        }
        let value = Declared { zebra: 1, apple: vec![3, 1, 2], middle: ('b', "a") };
        assert_eq!(written(&value), r#"{"zebra":1,"apple":[3,1,2],"middle":["b","a"]}"#);
        assert_eq!(written(&[2, 1]), "[2,1]");
    }

    #[test]
    fn everything_else_is_written_as_serde_json_does() {
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct Wrapped(u8);
        #[derive(Serialize)]
        #[serde(tag = "type")]
        enum Tagged {
            A { x: u8 },
        }
        fn same<T: Serialize>(value: T) {
            assert_eq!(stable_json(&value).unwrap(), serde_json::to_value(&value).unwrap());
        }
        same((1_u8, -1_i64, 1.5_f64, f32::NAN, u64::MAX, 'c', "text", true));
        same((Unit, Wrapped(3), None::<u8>, Some("x"), ()));
        same(Tagged::A { x: 1 });
        same(BTreeMap::from([(1_u8, json!({"b": [1, {"d": 1, "c": 2}], "a": null}))]));
        same((Kind::Unit, Kind::Named { b: 1, a: HashMap::new() }));
        same(std::time::Duration::from_millis(1500));
        assert!(stable_json(&HashMap::from([(vec![1_u8], 2_u8)])).is_err());
        assert!(stable_json(&HashMap::from([(Some(1_u8), 2_u8)])).is_ok());
    }

    #[test]
    fn a_line_of_json_has_no_line_break_of_any_kind() {
        let value = json!({"a\u{2028}": ["b\n\u{85}\u{2029}é", 1]});
        let line = json_line(&value);
        assert_eq!(line, r#"{"a\u2028":["b\n\u0085\u2029é",1]}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn json_values_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "y": 2}], "a": {"d": 1, "c": 2}});
        let text = r#"{"a":{"c":2,"d":1},"b":[{"y":2,"z":1}]}"#;
        assert_eq!((written(&value), sorted(value).to_string()), (text.to_owned(), text.to_owned()));
    }
}
