//! The kit for a peer of IPC-CTS in Rust.
//!
//! A peer is a process that performs operations of one implementation when the runner asks it to, over the peer
//! protocol (`spec/peer_protocol.md`). This crate has everything of it that is not the library under test: the
//! channel, strict JSON, argument checks from `operations.json`, handles, lanes, modes, patterns and digests, errors.
//!
//! An author implements [`Library`], whose methods are single calls of the library under test, and runs it:
//!
//! ```no_run
//! # struct MyLibrary;
//! # impl cts_peer::Library for MyLibrary {
//! #     type Listener = ();
//! #     type Stream = ();
//! #     type Object = ();
//! #     const SHARED_STREAMS: bool = true;
//! #     fn identity(&self) -> cts_peer::Identity { unimplemented!() }
//! #     fn features(&self, _: cts_peer::Mode) -> Vec<&'static str> { unimplemented!() }
//! # }
//! fn main() -> std::io::Result<()> {
//!     cts_peer::run(MyLibrary)
//! }
//! ```
//!
//! `examples/std_unix.rs` is a whole peer, for the standard library's `UnixStream`.
//!
//! In blocking mode the kit never wakes an operation that the library leaves waiting: a `reset` then answers `busy`,
//! and a close from another lane too. In nonblocking mode the kit waits with `poll` and ends its own waiting. In async
//! mode the peer waits for a future of the library and for [`called_off`], whichever comes first; with the feature
//! `tokio` the kit has a runtime that does this (`Tasks`).

mod arguments;
mod bytes;
mod call_off;
mod channel;
#[cfg_attr(unix, path = "child_unix.rs")]
#[cfg_attr(windows, path = "child_windows.rs")]
mod child;
mod handle;
mod json;
mod library;
mod operations;
mod peer;
mod process;
mod status;
#[cfg_attr(unix, path = "system_unix.rs")]
#[cfg_attr(windows, path = "system_windows.rs")]
mod system;
mod table;
#[cfg(feature = "tokio")]
mod tasks;
#[cfg(test)]
mod tests;

pub use arguments::Arguments;
pub use bytes::{to_json, Data};
pub use call_off::called_off;
pub use json::Json;
pub use library::{Credentials, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack, StreamOptions};
pub use operations::{consumed, raw_results, Results};
pub use peer::Call;
pub use status::{Failure, Outcome};
#[cfg(windows)]
pub use system::os_text;
pub use system::RawFd;
#[cfg(feature = "tokio")]
pub use tasks::Tasks;

/// Serves requests on standard input until it ends, and then ends the process with status 0. The calling thread, which
/// must be the main one, becomes the lane `main`.
///
/// # Errors
/// The channel cannot be set up. Nothing has been served then.
pub fn run<L: Library>(library: L) -> std::io::Result<()> {
    let (input, output) = system::take_standard_streams()?;
    peer::serve(library, input, channel::Output::new(output))
}

/// The version of `package` in the text of a `Cargo.lock`: what the peer was really built with.
///
/// # Panics
/// The file does not name the package: the peer would not know what it tests.
pub fn locked_version(cargo_lock: &str, package: &str) -> String {
    let wanted = format!("name = \"{package}\"");
    let mut lines = cargo_lock.lines().skip_while(|line| *line != wanted).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or_else(|| panic!("Cargo.lock does not name {package}")).to_owned()
}
