//! Reads fields whose type a server may get wrong: what does not fit counts as missing.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What a type makes of each kind of JSON value; of most it makes nothing.
pub trait Accept<'de>: Sized {
    /// Of a text.
    #[must_use]
    fn text(_text: &str) -> Option<Self> {
        None
    }

    /// Of a text that the JSON holds as it is.
    #[must_use]
    fn borrowed(text: &'de str) -> Option<Self> {
        Self::text(text)
    }

    /// Of a text that was made for it.
    #[must_use]
    fn owned(text: String) -> Option<Self> {
        Self::text(&text)
    }

    /// Of a number without sign and fraction.
    #[must_use]
    fn unsigned(_number: u64) -> Option<Self> {
        None
    }

    /// Of any other number.
    #[must_use]
    fn float(_number: f64) -> Option<Self> {
        None
    }

    /// Of `true` or `false`.
    #[must_use]
    fn boolean(_value: bool) -> Option<Self> {
        None
    }

    /// Of `null`.
    #[must_use]
    fn null() -> Option<Self> {
        None
    }

    /// Of a list.
    ///
    /// # Errors
    /// If it is not JSON.
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    /// Of an object.
    ///
    /// # Errors
    /// If it is not JSON.
    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// For `deserialize_with`: the value, if it is of the right kind.
///
/// # Errors
/// If it is not JSON.
pub fn maybe<'de, D: Deserializer<'de>, T: Accept<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Tolerant::new())
}

/// For `deserialize_with`: the value, or the default.
///
/// # Errors
/// If it is not JSON.
pub fn or_default<'de, D: Deserializer<'de>, T: Accept<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(maybe(deserializer)?.unwrap_or_default())
}

/// Reads a value of this type where there is one.
#[derive(Debug)]
pub struct Tolerant<T>(PhantomData<T>);

impl<T> Default for Tolerant<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Tolerant<T> {
    /// Reads one value.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Accept<'de>> Visitor<'de> for Tolerant<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::text(text))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(T::borrowed(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(T::owned(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(T::unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(T::float(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(T::float(number))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::boolean(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(T::null())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        T::object(object)
    }
}

impl<'de, T: Accept<'de>> DeserializeSeed<'de> for Tolerant<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Accept<'de> for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn owned(text: String) -> Option<Self> {
        Some(text)
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(number.to_string())
    }
}

impl<'de: 'a, 'a> Accept<'de> for Cow<'a, str> {
    fn text(text: &str) -> Option<Self> {
        Some(Self::Owned(text.to_owned()))
    }

    fn borrowed(text: &'de str) -> Option<Self> {
        Some(Self::Borrowed(text))
    }

    fn owned(text: String) -> Option<Self> {
        Some(Self::Owned(text))
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(Self::Owned(number.to_string()))
    }
}

impl<'de> Accept<'de> for bool {
    fn boolean(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl<'de> Accept<'de> for u64 {
    fn text(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(number)
    }

    fn float(number: f64) -> Option<Self> {
        // The cast saturates; what is below zero or has a fraction is no count.
        (number >= 0.0 && number.fract() == 0.0).then_some(number as Self)
    }
}

impl<'de> Accept<'de> for f64 {
    fn text(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &Self| number.is_finite())
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(number as Self)
    }

    fn float(number: f64) -> Option<Self> {
        Some(number)
    }
}

impl<'de> Accept<'de> for Value {
    fn text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn owned(text: String) -> Option<Self> {
        Some(Self::String(text))
    }

    fn unsigned(number: u64) -> Option<Self> {
        Some(number.into())
    }

    fn float(number: f64) -> Option<Self> {
        Some(number.into())
    }

    fn boolean(value: bool) -> Option<Self> {
        Some(value.into())
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(SeqAccessDeserializer::new(list)).map(Some)
    }

    fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl<'de> Accept<'de> for serde_json::Map<String, Value> {
    fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

/// What is seldom there is boxed, so that the rest is small to move.
impl<'de, T: Accept<'de>> Accept<'de> for Box<T> {
    fn text(text: &str) -> Option<Self> {
        T::text(text).map(Self::new)
    }

    fn owned(text: String) -> Option<Self> {
        T::owned(text).map(Self::new)
    }

    fn unsigned(number: u64) -> Option<Self> {
        T::unsigned(number).map(Self::new)
    }

    fn float(number: f64) -> Option<Self> {
        T::float(number).map(Self::new)
    }

    fn boolean(value: bool) -> Option<Self> {
        T::boolean(value).map(Self::new)
    }

    fn null() -> Option<Self> {
        T::null().map(Self::new)
    }

    fn list<A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Ok(T::list(list)?.map(Self::new))
    }

    fn object<A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        Ok(T::object(object)?.map(Self::new))
    }
}

impl<'de, T: Accept<'de>> Accept<'de> for Vec<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Self::new();
        while let Some(item) = list.next_element_seed(Tolerant::new())? {
            if all.is_empty() {
                // Mostly there is one.
                all.reserve_exact(1);
            }
            all.extend(item);
        }
        Ok(Some(all))
    }
}

/// Reads values of these types from objects only; anything else counts as missing.
#[macro_export]
macro_rules! objects {
    ($($type:ty),* $(,)?) => {$(
        impl<'de> $crate::json::Accept<'de> for $type {
            fn object<A: serde::de::MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )*};
}
