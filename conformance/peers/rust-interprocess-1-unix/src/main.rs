//! The peer of `interprocess` 1.2.1's Unix part, as a program that depends on the crate uses it: Unix domain sockets
//! (`udsocket`), datagrams and ancillary data among them, unnamed pipes, FIFO files and signals. What the crate calls
//! local sockets has a peer of its own.
//!
//! What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * A call that waits cannot be ended from another thread, and there are no timeouts and no single attempts;
//!   `set_nonblocking` is the only switch.
//! * A socket of messages can be made with a name or connected (`connect`, deprecated). One with neither comes from
//!   `FromRawFd`. A receiver is named by `set_destination`, which lasts.
//! * `create_fifo` makes a FIFO; programs open it with `std::fs`.
//! * `signal::send` and its three relatives hand kill(2) the signal in place of the process, and the process in place of
//!   the signal. Where process numbers are small, that hits a stranger: not offered (docs/findings/rust-interprocess.md).
//! * Credentials are asked for wherever the crate connects or binds by itself; there is no switch.

mod ancillary;
mod messages;
mod names;
mod signals;
mod streams;

use cts_peer::{
    Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome, StreamOptions,
};
use interprocess::os::unix::udsocket::UdStreamListener;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use streams::Stream;

struct Interprocess1Unix;

impl Library for Interprocess1Unix {
    type Listener = UdStreamListener;
    type Stream = Stream;
    type Object = messages::Socket;

    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-1-unix",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Blocking],
            operations: &[
                "local.listen",
                "local.connect",
                "unix.listen",
                "listener.accept",
                "listener.set_nonblocking",
                "listener.raw",
                "listener.release",
                "listener.adopt",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.read_vectored",
                "stream.write_vectored",
                "stream.shutdown",
                "stream.write_ancillary",
                "stream.read_ancillary",
                "stream.peer_credentials",
                "stream.set_nonblocking",
                "stream.raw",
                "stream.release",
                "stream.adopt",
                "stream.close",
                "socket.open",
                "socket.bind",
                "socket.connect",
                "socket.send",
                "socket.receive",
                "socket.next_length",
                "socket.set_nonblocking",
                "socket.raw",
                "socket.release",
                "socket.adopt",
                "socket.close",
                "ancillary.encode",
                "ancillary.decode",
                "pipe.create",
                "fifo.create",
                "fifo.open",
                "signal.number",
                "signal.describe",
                "signal.set_handler",
                "signal.hooked",
            ],
            traits: &[],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec![
            "lanes",
            "name.path",
            "name.namespaced",
            "local.listen.keep_name",
            "stream.duplex",
            "stream.half_close",
            "stream.shutdown.read",
            "stream.peer_credentials.pid",
            "stream.peer_credentials.uid",
            "stream.peer_credentials.gid",
            "ancillary.descriptors",
            "ancillary.credentials",
            "signal.child_stop",
        ]
    }

    fn listen(&self, name: &Name, options: &ListenOptions) -> Result<(UdStreamListener, Vec<u8>), Failure> {
        streams::listen(name, options.keep_name)
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        streams::connect(name)
    }

    fn accept(&self, listener: &UdStreamListener, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::Socket(listener.accept()?))
    }

    fn listener_set_nonblocking(&self, listener: &UdStreamListener, nonblocking: bool) -> Result<(), Failure> {
        Ok(listener.set_nonblocking(nonblocking)?)
    }

    fn listener_raw(&self, listener: &UdStreamListener) -> Result<RawFd, Failure> {
        Ok(listener.as_raw_fd())
    }

    fn listener_release(&self, listener: UdStreamListener) -> Result<RawFd, Failure> {
        Ok(listener.into_raw_fd())
    }

    fn listener_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<UdStreamListener, Failure> {
        // SAFETY: the kit has asked that the descriptor is open, and it is the listener's from here on.
        Ok(unsafe { UdStreamListener::from_raw_fd(fd) })
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

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let found = stream.socket()?.get_peer_credentials()?;
        Ok(Credentials { pid: Some(found.pid as u64), uid: Some(found.uid), gid: Some(found.gid) })
    }

    fn stream_set_nonblocking(&self, stream: &Stream, nonblocking: bool) -> Result<(), Failure> {
        Ok(stream.socket()?.set_nonblocking(nonblocking)?)
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        stream.raw()
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        Ok(stream.release())
    }

    fn stream_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<Stream, Failure> {
        Stream::adopt(fd)
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "unix.listen" => streams::unix_listen(call).into(),
            "stream.shutdown" => streams::shutdown(call).into(),
            "pipe.create" => streams::create_pipe(call).into(),
            "fifo.create" => streams::create_fifo(call).into(),
            "fifo.open" => streams::open_fifo(call).into(),
            "stream.write_ancillary" => ancillary::write(call),
            "stream.read_ancillary" => ancillary::read(call),
            "ancillary.encode" => ancillary::encode(call).into(),
            "ancillary.decode" => ancillary::decode(call).into(),
            "signal.number" => signals::number(call).into(),
            "signal.describe" => signals::describe(call).into(),
            "signal.set_handler" => signals::set_handler(call).into(),
            "signal.hooked" => signals::hooked(call).into(),
            _ => messages::perform(call),
        }
    }
}

fn main() -> std::io::Result<()> {
    cts_peer::run(Interprocess1Unix)
}
