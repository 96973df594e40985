//! Reading the JSON of event content from clients.
//!
//! Events are hashed and signed in [canonical JSON], which knows only integers, and only those
//! that every JSON implementation keeps exact.
//!
//! [canonical JSON]: https://spec.matrix.org/v1.19/appendices/#canonical-json

use std::fmt;

use ruma::{CanonicalJsonObject, CanonicalJsonValue, Int};
use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use crate::EventError;

/// How deep arrays and objects may nest in a request's JSON.
///
/// The specification names no limit. Servers written in Python stop at about 1,000 levels; a
/// lower limit than a peer's would one day split a room. The tests parse, serialize and drop this
/// much on 1.5 MiB of stack without optimization.
pub const MAX_NESTING: usize = 1_024;

/// Why bytes are not the content of an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all, or not in UTF-8: 400 `M_NOT_JSON`.
    #[error("not valid JSON: {0}")]
    NotJson(String),
    /// JSON that no event may contain: 400 `M_BAD_JSON`.
    #[error("JSON not allowed in events: {0}")]
    BadJson(String),
    /// Nested deeper than [`MAX_NESTING`]: 400 `M_BAD_JSON`.
    #[error("JSON nested deeper than {MAX_NESTING} levels")]
    TooDeep,
}

/// Checks that `bytes` nest no deeper than [`MAX_NESTING`], without parsing them.
///
/// Says nothing else: what is not JSON may pass.
///
/// # Errors
///
/// [`JsonError::TooDeep`].
pub fn check_nesting(bytes: &[u8]) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    // Whatever is escaped, a quote above all, does not end the string.
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Err(JsonError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Reads the content of an event as a client sent it.
///
/// Of equal keys in one object the last one counts, as everywhere in the Matrix world.
///
/// # Errors
///
/// [`JsonError::NotJson`] for bad syntax, text that is not UTF-8 and lone surrogates;
/// [`JsonError::BadJson`] for anything but an object, and for numbers that are not integers
/// between −(2^53−1) and 2^53−1 written as such (`1.0`, `1e3` and `-0` are refused);
/// [`JsonError::TooDeep`].
pub fn parse_object(bytes: &[u8]) -> Result<CanonicalJsonObject, JsonError> {
    check_nesting(bytes)?;
    read_object(bytes).map_err(|error| into_error(&error))
}

/// Reads an event that is stored, or was made from one: its content has passed [`parse_object`],
/// and what is around it may nest deeper than a client's JSON.
///
/// # Errors
///
/// [`EventError::Broken`] if it is not an object of canonical JSON.
pub(crate) fn parse_stored(bytes: &[u8]) -> Result<CanonicalJsonObject, EventError> {
    Ok(read_object(bytes)?)
}

fn read_object(bytes: &[u8]) -> Result<CanonicalJsonObject, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    deserializer.disable_recursion_limit();
    let object = (&mut deserializer).deserialize_any(ObjectVisitor)?;
    deserializer.end()?;
    Ok(object)
}

fn into_error(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    match error.classify() {
        // The only type that is not welcome, and its text would quote what the client sent.
        Category::Data if text.starts_with("invalid type") => {
            JsonError::BadJson("expected an object".to_owned())
        }
        Category::Data => JsonError::BadJson(text),
        // A number no float can hold is well-formed JSON all the same.
        Category::Syntax if text.starts_with("number out of range") => JsonError::BadJson(text),
        Category::Syntax | Category::Eof | Category::Io => JsonError::NotJson(text),
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = CanonicalJsonObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        read_map(map)
    }
}

fn read_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<CanonicalJsonObject, A::Error> {
    let mut object = CanonicalJsonObject::new();
    while let Some(key) = map.next_key::<String>()? {
        object.insert(key, map.next_value_seed(ValueSeed)?);
    }
    Ok(object)
}

/// Reads a value of canonical JSON without an ordinary JSON value in between.
struct ValueSeed;

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = CanonicalJsonValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value without floats")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let value = Int::try_from(value).map_err(|_| E::custom("integer out of range"))?;
        Ok(CanonicalJsonValue::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        let value = Int::try_from(value).map_err(|_| E::custom("integer out of range"))?;
        Ok(CanonicalJsonValue::Integer(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom("numbers must be integers"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(Self)? {
            array.push(value);
        }
        Ok(CanonicalJsonValue::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        read_map(map).map(CanonicalJsonValue::Object)
    }
}
