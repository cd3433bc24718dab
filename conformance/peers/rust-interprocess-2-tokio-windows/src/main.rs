//! The peer of `interprocess` 2 with its feature `tokio` on Windows, as a program that depends on the crate uses it:
//! asynchronous local sockets, named pipes and unnamed pipes.
//!
//! The crate's futures are tasks of a Tokio runtime; a close or a cancel drops what is under way, as a program drops a
//! future. What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * It reads no messages on Tokio, so that named pipes are of bytes.
//! * Reads and writes have no timeouts, and nothing has single attempts or a switch: with Tokio a program has those from
//!   Tokio. The timeout of a connect to a named pipe is offered; of a local socket's the crate takes no notice.
//! * Only the ends of unnamed pipes give their handle away, and a sending end is dropped twice then
//!   (docs/findings/rust-interprocess.md): not offered.
//! * A flush of a local socket does nothing, as documented; named pipes have one.

// Splitting is deprecated since 2.4.7, and is what every program written for an earlier release uses.
#![allow(deprecated)]

mod named;
#[path = "../../rust-interprocess-2-windows/src/names.rs"]
mod names;
mod streams;

use cts_peer::{
    Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome, RawFd, StreamOptions,
    Tasks,
};
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::{self, ConnectOptions, ListenerOptions};
use std::io;
use streams::Stream;

pub struct Interprocess2 {
    tasks: Tasks,
}

pub enum Listener {
    Local(local_socket::tokio::Listener),
    Named(named::Listener),
}

fn wrong_listener() -> Failure {
    Failure::unsupported("the listener is of another kind")
}

impl Library for Interprocess2 {
    type Listener = Listener;
    type Stream = Stream;
    type Object = named::Object;

    // `&Stream` reads and writes.
    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-2-tokio-windows",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Async],
            operations: &[
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.flush",
                "stream.split",
                "stream.peer_credentials",
                "stream.raw",
                "stream.adopt",
                "stream.close",
                "named_pipe.listen",
                "listener.accept_named_pipe",
                "named_pipe.connect",
                "named_pipe.read",
                "named_pipe.write",
                "named_pipe.flush",
                "named_pipe.peer",
                "named_pipe.raw",
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
            "close_while_in_use",
            "name.namespaced",
            "stream.duplex",
            "stream.read.concurrent",
            "stream.peer_credentials.pid",
            "pipe.capacity",
            "named_pipe.connect.timeout",
        ]
    }

    fn turn(&self) {
        self.tasks.turn();
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(Listener, Vec<u8>), Failure> {
        let _entered = self.tasks.enter();
        let listener = ListenerOptions::new().name(names::local(name)?).create_tokio()?;
        Ok((Listener::Local(listener), names::native(name)))
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        let wanted = ConnectOptions::new().name(names::local(name)?);
        Ok(Stream::Whole(self.tasks.wait(wanted.connect_tokio())?))
    }

    fn accept(&self, listener: &Listener, _options: StreamOptions) -> Result<Stream, Failure> {
        match listener {
            Listener::Local(listener) => Ok(Stream::Whole(self.tasks.wait(listener.accept())?)),
            Listener::Named(_) => Err(wrong_listener()),
        }
    }

    fn listener_close(&self, listener: Listener) -> Result<(), Failure> {
        let _entered = self.tasks.enter();
        drop(listener);
        Ok(())
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.read(&self.tasks, buffer)
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.write(&self.tasks, data)
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        stream.flush(&self.tasks)
    }

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        stream.split()
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        Ok(Credentials { pid: stream.peer_pid()?.map(u64::from), ..Credentials::default() })
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        Ok(stream.raw())
    }

    fn stream_adopt(&self, handle: RawFd, _nonblocking: bool) -> Result<Stream, Failure> {
        let _entered = self.tasks.enter();
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
            "pipe.create" => streams::create_pipe(&self.tasks, call).into(),
            _ => named::perform(&self.tasks, call),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess2 { tasks: Tasks::start()? })
}
