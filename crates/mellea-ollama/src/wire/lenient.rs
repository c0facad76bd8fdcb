//! Reads fields that may be missing, null, or of another type than documented: they count as missing.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What can be made of any JSON value; by default nothing.
trait Lenient<'de>: Default {
    fn text(_: Cow<'de, str>) -> Self {
        Self::default()
    }
    fn number(_: f64) -> Self {
        Self::default()
    }
    fn whole(number: u64) -> Self {
        Self::number(number as f64)
    }
    fn flag(_: bool) -> Self {
        Self::default()
    }
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<T, E> {
        Ok(T::flag(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<T, E> {
        Ok(T::number(v as f64))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<T, E> {
        Ok(T::whole(v))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<T, E> {
        Ok(T::number(v))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(v.to_owned())))
    }
    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(v)))
    }
    fn visit_string<E: Error>(self, v: String) -> Result<T, E> {
        Ok(T::text(Cow::Owned(v)))
    }
    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::object(map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        T::list(items)
    }
}

fn any<'de, D: Deserializer<'de>, T: Lenient<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Any(PhantomData))
}

#[derive(Default)]
struct Text<'de>(Cow<'de, str>);

impl<'de> Lenient<'de> for Text<'de> {
    fn text(text: Cow<'de, str>) -> Self {
        Self(text)
    }
}

#[derive(Default)]
struct Number(Option<f64>);

impl Lenient<'_> for Number {
    fn number(number: f64) -> Self {
        Self(Some(number))
    }
}

#[derive(Default)]
struct Whole(Option<u64>);

impl Lenient<'_> for Whole {
    fn number(number: f64) -> Self {
        let fits = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
        Self(fits.then_some(number as u64))
    }
    fn whole(number: u64) -> Self {
        Self(Some(number))
    }
}

#[derive(Default)]
struct Flag(bool);

impl Lenient<'_> for Flag {
    fn flag(flag: bool) -> Self {
        Self(flag)
    }
}

#[derive(Default)]
struct Object<T>(T);

impl<'de, T: Default + Deserialize<'de>> Lenient<'de> for Object<T> {
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Self)
    }
}

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        any(from)
    }
}

struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for List<T> {
    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Self(all))
    }
}

/// A text; anything else is the empty one.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    any(from).map(|Text(text)| text.into_owned())
}

/// A text that is borrowed where it can be.
pub(super) fn borrowed<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Cow<'a, str>, D::Error> {
    any(from).map(|Text(text)| text)
}

/// A number.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    any(from).map(|Number(number)| number)
}

/// A count.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    any(from).map(|Whole(number)| number)
}

/// True or not.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    any(from).map(|Flag(flag)| flag)
}

/// An object; anything else is its default.
pub(super) fn object<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    any(from).map(|Object(object)| object)
}

/// A list of objects; an item of another kind is a default, and no list is an empty one.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    any(from).map(|List(items): List<Object<T>>| items.into_iter().map(|Object(item)| item).collect())
}

/// A list of texts.
pub(super) fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct One(String);
    impl<'de> Deserialize<'de> for One {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            text(from).map(Self)
        }
    }
    any(from).map(|List(items)| items.into_iter().map(|One(item)| item).filter(|item| !item.is_empty()).collect())
}
