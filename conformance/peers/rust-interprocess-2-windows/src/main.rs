//! The peer of `interprocess` 2 on Windows, as a program that depends on the crate uses it: synchronous local sockets, named
//! pipes and unnamed pipes.
//!
//! What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * A call that waits cannot be ended from another thread: no `close_while_in_use`.
//! * A local socket has no timeouts: those of reads and writes are `Unsupported`, and that of a connect has no effect, as
//!   documented. A connect to a named pipe has one. There are no single attempts but those of `set_nonblocking`.
//! * Nonblocking mode is a switch of what exists: nothing tells readiness, so that no mode of the peer could wait for it.

// Splitting is deprecated since 2.4.7, and is what every program written for an earlier release uses.
#![allow(deprecated)]

mod named;
mod names;
mod streams;

use cts_peer::{
    Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome, RawFd, StreamOptions,
};
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{self, ConnectOptions, ListenerNonblockingMode, ListenerOptions};
use std::io::{IoSlice, IoSliceMut};
use std::os::windows::io::{AsRawHandle, IntoRawHandle, OwnedHandle};
use streams::Stream;

struct Interprocess2Windows;

enum Listener {
    Local(local_socket::Listener),
    Named(named::Listener),
}

fn wrong_listener() -> Failure {
    Failure::unsupported("the listener is of another kind")
}

impl Library for Interprocess2Windows {
    type Listener = Listener;
    type Stream = Stream;
    type Object = named::Object;

    // `&Stream` reads and writes.
    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-2-windows",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Blocking],
            operations: &[
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.set_nonblocking",
                "listener.raw",
                "listener.release",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.read_vectored",
                "stream.write_vectored",
                "stream.flush",
                "stream.split",
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
                "named_pipe.peer",
                "named_pipe.set_nonblocking",
                "named_pipe.raw",
                "named_pipe.release",
                "named_pipe.adopt",
                "named_pipe.close",
                "pipe.create",
            ],
            traits: &[],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec![
            "lanes",
            "name.namespaced",
            "stream.duplex",
            "stream.peer_credentials.pid",
            "pipe.capacity",
            "named_pipe.messages",
            "named_pipe.connect.timeout",
        ]
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(Listener, Vec<u8>), Failure> {
        let listener = ListenerOptions::new().name(names::local(name)?).create_sync()?;
        Ok((Listener::Local(listener), names::native(name)))
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::Whole(ConnectOptions::new().name(names::local(name)?).connect_sync()?))
    }

    fn accept(&self, listener: &Listener, _options: StreamOptions) -> Result<Stream, Failure> {
        match listener {
            Listener::Local(listener) => Ok(Stream::Whole(listener.accept()?)),
            Listener::Named(_) => Err(wrong_listener()),
        }
    }

    fn listener_set_nonblocking(&self, listener: &Listener, nonblocking: bool) -> Result<(), Failure> {
        match listener {
            Listener::Local(listener) => {
                Ok(listener.set_nonblocking(ListenerNonblockingMode::from_bool(nonblocking, false))?)
            }
            Listener::Named(listener) => Ok(listener.set_nonblocking(nonblocking)?),
        }
    }

    fn listener_raw(&self, listener: &Listener) -> Result<RawFd, Failure> {
        Ok(match listener {
            Listener::Local(local_socket::Listener::NamedPipe(listener)) => listener.inner().as_raw_handle(),
            Listener::Named(listener) => listener.raw(),
        } as RawFd)
    }

    fn listener_release(&self, listener: Listener) -> Result<RawFd, Failure> {
        Ok(match listener {
            Listener::Local(local_socket::Listener::NamedPipe(listener)) => OwnedHandle::from(listener),
            Listener::Named(listener) => listener.release(),
        }
        .into_raw_handle() as RawFd)
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

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        stream.split()
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        Ok(Credentials { pid: stream.peer_pid()?.map(u64::from), ..Credentials::default() })
    }

    fn stream_set_nonblocking(&self, stream: &Stream, nonblocking: bool) -> Result<(), Failure> {
        stream.set_nonblocking(nonblocking)
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        Ok(stream.raw())
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        stream.release()
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
            _ => named::perform(call),
        }
    }
}

fn main() -> std::io::Result<()> {
    cts_peer::run(Interprocess2Windows)
}
