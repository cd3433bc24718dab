//! Checks of a request's arguments against `operations.json`, before anything is done.

use crate::bytes::{base64_decode, Data, PATTERN_PERIOD};
use crate::json::{Json, NUMBER_MAX};
use crate::status::Failure;
use crate::table::{Argument, Operation, Table, Type};
use std::collections::{BTreeMap, HashSet};

/// Longest pattern.
const PATTERN_MAX: i64 = 1 << 30;
/// Most buffers of a vectored call.
const BUFFERS_MAX: usize = 64;
/// Largest buffer of one call to the library: as long as the longest pattern.
const BUFFER_MAX: u64 = 1 << 30;
/// Highest permission bits.
const MODE_MAX: u64 = 0o777;

/// A checked argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
    Bytes(Vec<u8>),
    Data(Data),
    Raw { kind: String, value: u64 },
    ListUnsigned(Vec<u64>),
    ListText(Vec<String>),
}

/// The checked arguments of a request. The getters give what `operations.json` promises for the operation at hand, so
/// asking for another type, or for a required argument that the operation does not have, is a mistake of the caller.
#[derive(Debug, Default)]
pub struct Arguments(BTreeMap<&'static str, Value>);

impl Arguments {
    /// Checks `request` for `operation`. `features` are those offered now.
    pub fn check(operation: &Operation, request: &BTreeMap<String, Json>, features: &[&str]) -> Result<Self, Failure> {
        let mut values = BTreeMap::new();
        for argument in &operation.arguments {
            let Some(given) = request.get(argument.name) else {
                if !argument.optional {
                    return Err(Failure::invalid_argument(format!("{} is missing", argument.name)));
                }
                continue;
            };
            if let Some(feature) = argument.feature.filter(|feature| !features.contains(feature)) {
                return Err(Failure::unsupported(format!("{} needs the feature {feature}", argument.name)));
            }
            let value = convert(argument, given)
                .map_err(|why| Failure::invalid_argument(format!("{}: {why}", argument.name)))?;
            values.insert(argument.name, value);
        }
        let arguments = Arguments(values);
        let bytes = match operation.name {
            "stream.write_ancillary" => arguments.data().len() as u64,
            "stream.read_ancillary" => arguments.unsigned("max").unwrap_or(0),
            _ => 1,
        };
        if bytes == 0 {
            return Err(Failure::invalid_argument("no byte that anything could travel beside"));
        }
        arguments.check_ranges().map_err(Failure::invalid_argument)?;
        Ok(arguments)
    }

    /// What a type alone does not say.
    fn check_ranges(&self) -> Result<(), String> {
        let limits = [
            ("protocol", 1, u64::MAX),
            ("mode", 0, MODE_MAX),
            ("backlog", 1, u64::MAX),
            ("buffer", 1, BUFFER_MAX),
            ("chunk", 1, u64::MAX),
        ];
        for (name, least, most) in limits {
            if let Some(Value::Unsigned(value)) = self.0.get(name) {
                if *value < least || *value > most {
                    return Err(format!("{name}: {value} is out of range"));
                }
            }
        }
        if self.0.get("until") == Some(&Value::Text("exact".to_owned())) && self.unsigned("max").is_none() {
            return Err("max is missing: `until: exact` needs it".to_owned());
        }
        if let Some(Value::ListUnsigned(lengths)) = self.0.get("lengths") {
            let sum: u64 = lengths.iter().sum();
            if lengths.len() > BUFFERS_MAX || sum > BUFFER_MAX {
                return Err("lengths: more than 64 buffers, or more than 2^30 bytes".to_owned());
            }
            if matches!(self.0.get("data"), Some(Value::Data(data)) if data.len() as u64 != sum) {
                return Err("lengths: their sum is not the length of data".to_owned());
            }
        }
        Ok(())
    }

    /// A bool, if it was given.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.0.get(name)? {
            Value::Bool(value) => Some(*value),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A u32 or u64, if it was given.
    pub fn unsigned(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Unsigned(value) => Some(*value),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A text or enum, if it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(value) => Some(value),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// An i64, if it was given.
    pub fn signed(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Signed(value) => Some(*value),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A list of numbers; empty if it was not given.
    pub fn numbers(&self, name: &str) -> &[u64] {
        match self.0.get(name) {
            None => &[],
            Some(Value::ListUnsigned(values)) => values,
            Some(other) => panic!("{name} is {other:?}"),
        }
    }

    /// True if it was given.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Bytes that the operation requires.
    pub fn bytes(&self, name: &str) -> &[u8] {
        match self.0.get(name) {
            Some(Value::Bytes(value)) => value,
            other => panic!("{name} is {other:?}"),
        }
    }

    /// The required `data`.
    pub fn data(&self) -> &Data {
        match self.0.get("data") {
            Some(Value::Data(value)) => value,
            other => panic!("data is {other:?}"),
        }
    }

    /// The required `lengths`.
    pub fn lengths(&self) -> Vec<usize> {
        match self.0.get("lengths") {
            Some(Value::ListUnsigned(value)) => value.iter().map(|length| *length as usize).collect(),
            other => panic!("lengths is {other:?}"),
        }
    }

    /// The required `raw`: its kind and value.
    pub fn raw(&self) -> (&str, u64) {
        match self.0.get("raw") {
            Some(Value::Raw { kind, value }) => (kind, *value),
            other => panic!("raw is {other:?}"),
        }
    }
}

fn convert(argument: &Argument, given: &Json) -> Result<Value, String> {
    match (&argument.kind, given) {
        (Type::Bool, Json::Bool(value)) => Ok(Value::Bool(*value)),
        (Type::U32, _) => unsigned(given, u32::MAX.into()).map(Value::Unsigned),
        (Type::U64, _) => unsigned(given, u64::MAX).map(Value::Unsigned),
        (Type::I64, Json::Number(value)) => Ok(Value::Signed(*value)),
        (Type::Text, Json::Text(value)) => Ok(Value::Text(value.clone())),
        (Type::Enum(values), Json::Text(value)) if values.contains(&value.as_str()) => Ok(Value::Text(value.clone())),
        (Type::Enum(values), Json::Text(value)) => Err(format!("{value:?} is none of {}", values.join(", "))),
        (Type::Bytes, _) => bytes(given).map(Value::Bytes),
        (Type::Data, _) => data(given).map(Value::Data),
        (Type::Raw, Json::Object(entries)) => raw(entries),
        (Type::ListU32, Json::List(list)) => list_unsigned(list, u32::MAX.into()),
        (Type::ListU64, Json::List(list)) => list_unsigned(list, u64::MAX),
        (Type::ListText, Json::List(list)) => list.iter().map(text).collect::<Result<_, _>>().map(Value::ListText),
        (kind, _) => Err(format!("of another type than {kind:?}")),
    }
}

fn text(given: &Json) -> Result<String, String> {
    match given {
        Json::Text(value) => Ok(value.clone()),
        _ => Err("not a list of texts".to_owned()),
    }
}

fn list_unsigned(list: &[Json], most: u64) -> Result<Value, String> {
    list.iter().map(|given| unsigned(given, most)).collect::<Result<_, _>>().map(Value::ListUnsigned)
}

/// An integer from 0 to `most`; one that is wider than a number of the protocol comes as a decimal string.
fn unsigned(given: &Json, most: u64) -> Result<u64, String> {
    let value = match given {
        Json::Number(value) => u64::try_from(*value).map_err(|_| format!("{value} is negative"))?,
        Json::Text(value) if most > NUMBER_MAX as u64 => {
            decimal(value).filter(|value| *value > NUMBER_MAX as u64).ok_or("not an integer")?
        }
        _ => return Err("not an integer".to_owned()),
    };
    if value > most {
        return Err(format!("{value} is out of range"));
    }
    Ok(value)
}

/// A decimal string without sign or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

fn bytes(given: &Json) -> Result<Vec<u8>, String> {
    match given {
        Json::Text(value) => Ok(value.clone().into_bytes()),
        Json::Object(entries) => match entries.get("b64") {
            Some(Json::Text(value)) if entries.len() == 1 => {
                base64_decode(value).ok_or_else(|| "b64 is not base64 with padding".to_owned())
            }
            _ => Err("neither a string nor {\"b64\"}".to_owned()),
        },
        _ => Err("neither a string nor {\"b64\"}".to_owned()),
    }
}

fn data(given: &Json) -> Result<Data, String> {
    let entries = match given {
        Json::Object(entries) if !entries.contains_key("b64") => entries,
        _ => {
            let bytes = bytes(given)?;
            if bytes.len() > Table::get().limit("inline_bytes_max") {
                return Err(format!("{} bytes travel as a pattern only", bytes.len()));
            }
            return Ok(Data::Bytes(bytes));
        }
    };
    match (entries.get("seed"), entries.get("length")) {
        (Some(Json::Number(seed)), Some(Json::Number(length))) if entries.len() == 2 => {
            if !(0..PATTERN_PERIOD as i64).contains(seed) || !(0..=PATTERN_MAX).contains(length) {
                return Err("seed or length is out of range".to_owned());
            }
            Ok(Data::Pattern { seed: *seed as usize, length: *length as usize })
        }
        _ => Err("neither bytes nor {\"seed\", \"length\"}".to_owned()),
    }
}

fn raw(entries: &BTreeMap<String, Json>) -> Result<Value, String> {
    let keys: HashSet<&str> = entries.keys().map(String::as_str).collect();
    match (entries.get("kind"), entries.get("value")) {
        (Some(Json::Text(kind)), Some(Json::Text(value))) if keys.len() == 2 => {
            if !["fd", "handle", "socket"].contains(&kind.as_str()) {
                return Err(format!("{kind:?} is no kind of handle"));
            }
            let value = decimal(value).ok_or("value is not a decimal string")?;
            Ok(Value::Raw { kind: kind.clone(), value })
        }
        _ => Err("not {\"kind\", \"value\"}".to_owned()),
    }
}
