//! Statuses, and the native error → status table of `operations.json`.

use crate::json::Json;
use crate::system;
use crate::table::Table;
use std::collections::HashMap;
use std::io;
use std::sync::OnceLock;

/// Why an operation did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// One of the statuses of `operations.toml`, not `ok`.
    pub status: &'static str,
    /// The system's error number, if there was one.
    pub native: Option<i32>,
    /// For people.
    pub why: String,
}

impl Failure {
    /// A failure of the class `status` that no system error number belongs to.
    pub fn new(status: &'static str, why: impl Into<String>) -> Failure {
        Failure { status, native: None, why: why.into() }
    }

    /// An argument is outside what the operation accepts.
    pub fn invalid_argument(why: impl Into<String>) -> Failure {
        Failure::new("invalid_argument", why)
    }

    /// Neither the library nor its peer offers it.
    pub fn unsupported(why: impl Into<String>) -> Failure {
        Failure::new("unsupported", why)
    }

    /// The handle was closed, or everything was reset, while the operation waited.
    pub fn cancelled() -> Failure {
        Failure::new("cancelled", "the handle was closed")
    }
}

impl From<io::Error> for Failure {
    /// By the system's error number if the error carries one, else by its kind.
    fn from(error: io::Error) -> Failure {
        let native = error.raw_os_error();
        let status = native.map_or_else(|| status_of_kind(error.kind()), status_of_errno);
        Failure { status, native, why: error.to_string() }
    }
}

/// The status of an error number by the table; `failed` if it is not listed.
pub fn status_of_errno(number: i32) -> &'static str {
    static TABLE: OnceLock<HashMap<i32, &'static str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let listed = Table::get().errors();
        listed.iter().filter_map(|(name, status)| Some((system::error_number(name)?, *status))).collect()
    });
    table.get(&number).copied().unwrap_or("failed")
}

/// Errors that the library made itself, without asking the system.
fn status_of_kind(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "not_found",
        io::ErrorKind::PermissionDenied => "permission_denied",
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "reset",
        io::ErrorKind::NotConnected => "not_connected",
        io::ErrorKind::AddrInUse => "in_use",
        io::ErrorKind::BrokenPipe => "broken_pipe",
        io::ErrorKind::AlreadyExists => "already_exists",
        io::ErrorKind::WouldBlock => "would_block",
        io::ErrorKind::InvalidInput => "invalid_argument",
        io::ErrorKind::InvalidData => "malformed",
        io::ErrorKind::TimedOut => "timed_out",
        io::ErrorKind::Interrupted => "interrupted",
        io::ErrorKind::Unsupported => "unsupported",
        io::ErrorKind::OutOfMemory => "out_of_resources",
        _ => "failed",
    }
}

/// The outcome of an operation: its status beside results, which count whatever the status is.
#[derive(Debug, Default)]
pub struct Outcome {
    pub failure: Option<Failure>,
    pub results: Vec<(&'static str, Json)>,
}

impl Outcome {
    /// `ok` with these results.
    pub fn ok(results: Vec<(&'static str, Json)>) -> Outcome {
        Outcome { failure: None, results }
    }
}

impl From<Result<Vec<(&'static str, Json)>, Failure>> for Outcome {
    fn from(result: Result<Vec<(&'static str, Json)>, Failure>) -> Outcome {
        match result {
            Ok(results) => Outcome::ok(results),
            Err(failure) => Outcome { failure: Some(failure), results: Vec::new() },
        }
    }
}
