//! Fields that take what they can read and leave out the rest: an odd field must not cost an answer.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A text; nothing if it is missing, or of another type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

/// A number of at least 0; a text that holds one counts as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(pub Option<u64>);

/// A number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Real(pub Option<f64>);

/// An object; nothing if it is missing, or of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<T>(pub Option<T>);

/// The objects of a list; anything else in it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// The arguments of a tool call: a text, or what that text should have held.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Arguments<'a> {
    /// None.
    #[default]
    None,
    /// A piece of the text.
    Text(Cow<'a, str>),
    /// An object or a list.
    Value(Value),
}

impl Text<'_> {
    /// The text, if there is one that is not empty.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }
}

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct TextVisitor;
struct CountVisitor;
struct RealVisitor;
struct ObjectVisitor<T>(PhantomData<T>);
struct ListVisitor<T>(PhantomData<T>);
struct ArgumentsVisitor;

/// The methods of a visitor that give nothing for what it is not made for.
macro_rules! nothing {
    ($nothing:expr; $($kind:ident),*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }
        $(nothing!(@ $kind $nothing);)*
    };
    (@ unit $nothing:expr) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ number $nothing:expr) => {
        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> { Ok($nothing) }
        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ text $nothing:expr) => {
        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> { Ok($nothing) }
    };
    (@ list $nothing:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
    (@ map $nothing:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    nothing!(Text(None); unit, number, list, map);

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }
}

impl<'de> Visitor<'de> for CountVisitor {
    type Value = Count;

    nothing!(Count(None); unit, list, map);

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(Some(number)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Count, E> {
        Ok(Count(u64::try_from(number).ok()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Count, E> {
        // Up to here, each integer is a number of its own.
        let whole = number >= 0.0 && number <= 2_f64.powi(53) && number.fract() == 0.0;
        Ok(Count(whole.then_some(number as u64)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Count, E> {
        Ok(Count(text.trim().parse().ok()))
    }
}

impl<'de> Visitor<'de> for RealVisitor {
    type Value = Real;

    nothing!(Real(None); unit, text, list, map);

    fn visit_u64<E: Error>(self, number: u64) -> Result<Real, E> {
        Ok(Real(Some(number as f64)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Real, E> {
        Ok(Real(Some(number as f64)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Real, E> {
        Ok(Real(Some(number)))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    nothing!(Object(None); unit, number, text, list);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Object(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    nothing!(List(Vec::new()); unit, number, text, map);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Object(item)) = list.next_element()? {
            items.extend(item);
        }
        Ok(List(items))
    }
}

impl<'de> Visitor<'de> for ArgumentsVisitor {
    type Value = Arguments<'de>;

    nothing!(Arguments::None; unit, number);

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Arguments::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Arguments::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Arguments::Value(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Arguments::Value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RealVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Arguments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentsVisitor)
    }
}
