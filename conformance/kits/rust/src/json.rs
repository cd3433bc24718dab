//! Strict JSON: what the peer protocol allows on a line and nothing else.
//!
//! `serde_json` parses; the visitor here refuses what parsers disagree about: repeated keys, numbers that are not
//! integers within ±(2^53−1), nesting deeper than 8.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Largest magnitude of a number: every integer up to it is exact in every JSON parser.
pub const NUMBER_MAX: i64 = (1 << 53) - 1;
/// Deepest nesting; the outermost object is 1.
pub const DEPTH_MAX: usize = 8;

/// A JSON value of the protocol. There is no floating-point number.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// Parses one line (without its line end). The error says for people what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Value { depth: 1 }.deserialize(&mut parser).map_err(|error| error.to_string())?;
    parser.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads one value that stands at nesting `depth` if it is a list or an object.
struct Value {
    depth: usize,
}

impl Value {
    fn inner<E: Error>(&self) -> Result<Value, E> {
        if self.depth > DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Value { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        if !(-NUMBER_MAX..=NUMBER_MAX).contains(&value) {
            return Err(E::custom("a number beyond 2^53-1"));
        }
        Ok(Json::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        i64::try_from(value).map_err(|_| E::custom("a number beyond 2^53-1")).and_then(|value| self.visit_i64(value))
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<Json, E> {
        Err(E::custom("a number that is no integer within 2^53-1"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let depth = self.inner::<A::Error>()?.depth;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(Value { depth })? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let depth = self.inner::<A::Error>()?.depth;
        let mut object = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(Value { depth })?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} twice")));
            }
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}

impl fmt::Display for Json {
    /// Writes the value as JSON on one line.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Json::Null => formatter.write_str("null"),
            Json::Bool(value) => write!(formatter, "{value}"),
            Json::Number(value) => write!(formatter, "{value}"),
            Json::Text(value) => write_text(formatter, value),
            Json::List(list) => {
                formatter.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(formatter, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                formatter.write_str("]")
            }
            Json::Object(object) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in object.iter().enumerate() {
                    formatter.write_str(if index == 0 { "" } else { "," })?;
                    write_text(formatter, key)?;
                    write!(formatter, ":{value}")?;
                }
                formatter.write_str("}")
            }
        }
    }
}

fn write_text(formatter: &mut fmt::Formatter, text: &str) -> fmt::Result {
    formatter.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Json {
        Json::Number(value.into())
    }
}

impl From<u64> for Json {
    /// Numbers wider than the protocol's travel as decimal strings.
    fn from(value: u64) -> Json {
        match i64::try_from(value) {
            Ok(number) if number <= NUMBER_MAX => Json::Number(number),
            _ => Json::Text(value.to_string()),
        }
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Json {
        Json::Text(value.to_owned())
    }
}

impl<T: Into<Json> + Copy> From<&[T]> for Json {
    fn from(values: &[T]) -> Json {
        Json::List(values.iter().map(|value| (*value).into()).collect())
    }
}
