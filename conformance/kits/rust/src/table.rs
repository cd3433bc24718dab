//! `operations.json`: the operations with their arguments, made from the specification.

use crate::json::{self, Json};
use crate::system;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Kind of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Listener,
    Stream,
    Process,
    /// Any other: an object of the library.
    Object,
}

impl Kind {
    fn parse(name: &str) -> Kind {
        match name {
            "listener" => Kind::Listener,
            "stream" => Kind::Stream,
            "process" => Kind::Process,
            _ => Kind::Object,
        }
    }
}

/// Type of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Bool,
    U32,
    U64,
    I64,
    Text,
    Bytes,
    Data,
    Raw,
    ListU32,
    ListU64,
    ListText,
    Enum(Vec<&'static str>),
}

/// One argument of an operation.
#[derive(Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: Type,
    pub optional: bool,
    /// May be sent only if this feature is offered.
    pub feature: Option<&'static str>,
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    /// Kind of the handle in `on`.
    pub on: Option<Kind>,
    /// Request keys that name handles the operation makes.
    pub makes: Vec<&'static str>,
    pub arguments: Vec<Argument>,
}

/// Everything in `operations.json` that a peer needs.
#[derive(Debug)]
pub struct Table {
    root: Json,
    operations: BTreeMap<&'static str, Operation>,
}

/// Operations about the peer, not about the library; they run in the lane `control`.
pub const CONTROL: [&str; 5] = ["hello", "configure", "reset", "pending", "cancel"];

impl Table {
    /// The table, parsed once.
    pub fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(|| Table::parse(include_bytes!("../operations.json")))
    }

    fn parse(text: &[u8]) -> Table {
        let root = json::parse(text).expect("operations.json is JSON of the protocol's kind");
        let entries = object(field(&root, "operations"));
        let operations = entries.iter().map(|(name, entry)| (leak(name), Operation::parse(leak(name), entry)));
        let operations = operations.collect();
        Table { root, operations }
    }

    /// The operation of that name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// Symbolic name of an error of this system → status.
    pub fn errors(&self) -> BTreeMap<&'static str, &'static str> {
        object(field(&self.root, system::ERRORS))
            .iter()
            .map(|(name, status)| (leak(name), leak(text(status))))
            .collect()
    }

    /// One of the limits under `protocol`.
    pub fn limit(&self, name: &str) -> usize {
        match field(field(&self.root, "protocol"), name) {
            Json::Number(value) => *value as usize,
            other => panic!("operations.json: {name} is {other}"),
        }
    }

    /// True if `name` is in the list `list` (`statuses`, `features`, `traits`).
    pub fn lists(&self, list: &str, name: &str) -> bool {
        matches!(field(&self.root, list), Json::List(names) if names.iter().any(|entry| text(entry) == name))
    }
}

impl Operation {
    fn parse(name: &'static str, entry: &Json) -> Operation {
        let entry = object(entry);
        let makes = entry.get("makes").map(|makes| object(makes).keys().map(|key| leak(key)).collect());
        let Some(Json::List(arguments)) = entry.get("args") else { panic!("operations.json: {name} lacks args") };
        Operation {
            name,
            on: entry.get("on").map(|kind| Kind::parse(text(kind))),
            makes: makes.unwrap_or_default(),
            arguments: arguments.iter().map(Argument::parse).collect(),
        }
    }
}

impl Argument {
    fn parse(entry: &Json) -> Argument {
        let kind = match text(field(entry, "type")) {
            "bool" => Type::Bool,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "i64" => Type::I64,
            "text" => Type::Text,
            "bytes" => Type::Bytes,
            "data" => Type::Data,
            "raw" => Type::Raw,
            "list_u32" => Type::ListU32,
            "list_u64" => Type::ListU64,
            "list_text" => Type::ListText,
            "enum" => match field(entry, "values") {
                Json::List(values) => Type::Enum(values.iter().map(|value| leak(text(value))).collect()),
                other => panic!("operations.json: values is {other}"),
            },
            other => panic!("operations.json: the type {other}"),
        };
        Argument {
            name: leak(text(field(entry, "name"))),
            kind,
            optional: object(entry).get("optional") == Some(&Json::Bool(true)),
            feature: object(entry).get("feature").map(|feature| leak(text(feature))),
        }
    }
}

/// The table is made once and lives as long as the process: its names are handed out as static strings.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn object(value: &Json) -> &BTreeMap<String, Json> {
    match value {
        Json::Object(object) => object,
        other => panic!("operations.json: an object was expected, not {other}"),
    }
}

fn field<'a>(value: &'a Json, name: &str) -> &'a Json {
    object(value).get(name).unwrap_or_else(|| panic!("operations.json: {name} is missing"))
}

fn text(value: &Json) -> &str {
    match value {
        Json::Text(text) => text,
        other => panic!("operations.json: a text was expected, not {other}"),
    }
}
