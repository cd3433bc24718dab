//! The peer of `interprocess` 1.2.1 on Windows, as a program that depends on the crate uses it: local sockets, named pipes,
//! unnamed pipes and the signals of C.
//!
//! What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * Reading and writing take `&mut`, and there is no split, so that one lane at a time uses a stream or pipe.
//! * A call that waits cannot be ended from another thread. There are no timeouts, and no single attempts but those of
//!   `set_nonblocking`.
//! * A read at the end is `ErrorKind::BrokenPipe` of pipes, named and unnamed; of local sockets it is 0.
//! * A local socket has `@` before a namespaced name, as the crate's documentation wants it on every system.

mod named;
mod signals;
mod streams;

use cts_peer::{
    os_text, Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack, Outcome,
    RawFd, StreamOptions,
};
use interprocess::local_socket::{LocalSocketListener, LocalSocketStream, ToLocalSocketName};
use std::io::{IoSlice, IoSliceMut};
use streams::Stream;

/// Before the name of every pipe.
const PREFIX: &str = r"\\.\pipe\";

struct Interprocess1Windows;

enum Listener {
    Local(LocalSocketListener),
    Named(named::Listener),
}

fn wrong_listener() -> Failure {
    Failure::unsupported("the listener is of another kind")
}

/// The name of a pipe behind the prefix, which the crate puts there itself.
fn pipe_name(name: &Name) -> Result<&[u8], Failure> {
    match name.kind {
        NameKind::Namespaced => Ok(&name.bytes),
        NameKind::Native => {
            let prefix = name.bytes.get(..PREFIX.len());
            let known = prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX.as_bytes()));
            known.then(|| &name.bytes[PREFIX.len()..]).ok_or_else(|| Failure::unsupported("no pipe of this machine"))
        }
        NameKind::Path => Err(Failure::unsupported("a pipe has no path")),
    }
}

/// How a program spells the name of a local socket: namespaced ones with `@`. A pipe that is not named so can be given,
/// too, as the crate takes every text for a name here.
fn local_name(name: &Name) -> Result<Vec<u8>, Failure> {
    let mark: &[u8] = if name.kind == NameKind::Namespaced { b"@" } else { b"" };
    Ok([mark, pipe_name(name)?].concat())
}

/// The address of the pipe of that name.
fn native(name: &[u8]) -> Vec<u8> {
    [PREFIX.as_bytes(), name].concat()
}

impl Library for Interprocess1Windows {
    type Listener = Listener;
    type Stream = Stream;
    type Object = named::Object;

    const SHARED_STREAMS: bool = false;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-1-windows",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Blocking],
            operations: &[
                "name.parse",
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.set_nonblocking",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.read_vectored",
                "stream.write_vectored",
                "stream.flush",
                "stream.peer_credentials",
                "stream.set_nonblocking",
                "stream.raw",
                "stream.release",
                "stream.adopt",
                "stream.close",
                "named_pipe.listen",
                "listener.accept_named_pipe",
                "named_pipe.connect",
                "named_pipe.read",
                "named_pipe.write",
                "named_pipe.flush",
                "named_pipe.disconnect",
                "named_pipe.peer",
                "named_pipe.set_nonblocking",
                "named_pipe.raw",
                "named_pipe.release",
                "named_pipe.adopt",
                "named_pipe.close",
                "pipe.create",
                "signal.number",
                "signal.name",
                "signal.describe",
                "signal.set_handler",
                "signal.hooked",
                "signal.raise",
            ],
            traits: &[],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec!["lanes", "name.namespaced", "stream.peer_credentials.pid", "pipe.capacity", "named_pipe.messages"]
    }

    fn name_parse(&self, bytes: &[u8]) -> Result<(NameKind, Vec<u8>), Failure> {
        let name = os_text(bytes)?.to_local_socket_name()?;
        let kind = if name.is_namespaced() { NameKind::Namespaced } else { NameKind::Path };
        Ok((kind, name.inner().as_encoded_bytes().to_vec()))
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(Listener, Vec<u8>), Failure> {
        let name = local_name(name)?;
        let listener = LocalSocketListener::bind(os_text(&name)?)?;
        Ok((Listener::Local(listener), native(&name)))
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::from(LocalSocketStream::connect(os_text(&local_name(name)?)?)?))
    }

    fn accept(&self, listener: &Listener, _options: StreamOptions) -> Result<Stream, Failure> {
        match listener {
            Listener::Local(listener) => Ok(Stream::from(listener.accept()?)),
            Listener::Named(_) => Err(wrong_listener()),
        }
    }

    fn listener_set_nonblocking(&self, listener: &Listener, nonblocking: bool) -> Result<(), Failure> {
        match listener {
            Listener::Local(listener) => Ok(listener.set_nonblocking(nonblocking)?),
            Listener::Named(listener) => Ok(listener.set_nonblocking(nonblocking)?),
        }
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.read(buffer)
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.write(data)
    }

    fn read_vectored(
        &self,
        stream: &Stream,
        buffers: &mut [IoSliceMut],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        stream.read_vectored(buffers)
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.write_vectored(buffers)
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        stream.flush()
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let pid = stream.socket()?.peer_pid()?;
        Ok(Credentials { pid: Some(pid.into()), ..Credentials::default() })
    }

    fn stream_set_nonblocking(&self, stream: &Stream, nonblocking: bool) -> Result<(), Failure> {
        Ok(stream.socket()?.set_nonblocking(nonblocking)?)
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        Ok(stream.raw())
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        Ok(stream.release())
    }

    fn stream_adopt(&self, handle: RawFd, _nonblocking: bool) -> Result<Stream, Failure> {
        Stream::adopt(handle)
    }

    fn stream_discard(&self, stream: Stream) {
        stream.discard();
    }

    fn object_discard(&self, object: named::Object) {
        object.discard();
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "pipe.create" => streams::create_pipe(call).into(),
            "signal.number" => signals::number(call).into(),
            "signal.name" => signals::name(call).into(),
            "signal.describe" => signals::describe(call).into(),
            "signal.set_handler" => signals::set_handler(call).into(),
            "signal.hooked" => signals::hooked(call).into(),
            "signal.raise" => signals::raise(call).into(),
            _ => named::perform(call),
        }
    }
}

fn main() -> std::io::Result<()> {
    cts_peer::run(Interprocess1Windows)
}
