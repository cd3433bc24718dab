//! The peer of `interprocess` 2: its synchronous local sockets, unnamed pipes and FIFO files, as a program that depends on
//! the crate uses them.
//!
//! What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * A call that waits cannot be ended from another thread: no `close_while_in_use`.
//! * `try_overwrite` takes a name from a live listener too, as documented, so that it is not the feature
//!   `local.listen.reclaim`. `reclaim_name` is the removal of the file by a close, and on by default.
//! * There is no single attempt to connect that says `would_block`: `ConnectWaitMode::Deferred` answers with a stream
//!   whether or not it is connected. So `wait: false` is not offered; `set_nonblocking` is.
//! * Timeouts of reads and writes are those of the socket, which a nonblocking one ignores: offered in blocking mode.

// Splitting is deprecated since 2.4.7, and is what every program written for an earlier release uses.
#![allow(deprecated)]

mod names;
mod pipes;

use cts_peer::{
    Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome, StreamOptions,
};
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::traits::{RecvHalf as _, SendHalf as _};
use interprocess::local_socket::{
    self, ConnectOptions, Listener, ListenerNonblockingMode, ListenerOptions, RecvHalf, SendHalf,
};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use interprocess::os::unix::uds_local_socket;
use interprocess::ConnectWaitMode;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

struct Interprocess2;

/// A stream or a half of one.
enum Stream {
    Whole(local_socket::Stream),
    Reader(RecvHalf),
    Writer(SendHalf),
    /// An end of a pipe or FIFO.
    Pipe(pipes::End),
}

impl Stream {
    /// The Unix stream inside: of a half, the one that both halves share.
    fn socket(&self) -> Result<&uds_local_socket::Stream, Failure> {
        match self {
            Stream::Whole(local_socket::Stream::UdSocket(stream)) => Ok(stream),
            Stream::Reader(RecvHalf::UdSocket(half)) => Ok(half.as_stream()),
            Stream::Writer(SendHalf::UdSocket(half)) => Ok(half.as_stream()),
            Stream::Pipe(_) => Err(Failure::unsupported("the end of a pipe has no such call")),
        }
    }

    fn fd(&self) -> RawFd {
        match (self, self.socket()) {
            (Stream::Pipe(end), _) => end.fd(),
            (_, Ok(socket)) => socket.as_fd().as_raw_fd(),
            (_, Err(_)) => unreachable!("every other stream has a socket"),
        }
    }

    fn set_recv_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Whole(stream) => stream.set_recv_timeout(timeout),
            Stream::Reader(half) => half.set_timeout(timeout),
            Stream::Writer(_) => Ok(()),
            Stream::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn set_send_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Whole(stream) => stream.set_send_timeout(timeout),
            Stream::Writer(half) => half.set_timeout(timeout),
            Stream::Reader(_) => Ok(()),
            Stream::Pipe(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A half has no call for the other direction.
fn wrong_half() -> Failure {
    Failure::unsupported("the half has no such call")
}

/// Sets the timeout, makes the call, and takes the timeout off again. The system reports it as EAGAIN, which on a
/// stream that waits can mean nothing else.
fn with_timeout(
    timeout_ms: Option<u64>,
    set: impl Fn(Option<Duration>) -> io::Result<()>,
    act: impl FnOnce() -> Result<usize, Failure>,
) -> Result<usize, Failure> {
    let Some(timeout_ms) = timeout_ms else { return act() };
    set(Some(Duration::from_millis(timeout_ms)))?;
    let result = act();
    set(None)?;
    result.map_err(|failure| match failure.status {
        "would_block" => Failure { status: "timed_out", ..failure },
        _ => failure,
    })
}

/// The address that a listener is bound to, from the standard library's listener inside.
fn native(listener: &Listener) -> Result<Vec<u8>, Failure> {
    let Listener::UdSocket(listener) = listener;
    let address = listener.inner().local_addr()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_name() {
        return Ok([b"\0", name].concat());
    }
    let path = address.as_pathname().ok_or_else(|| Failure::new("failed", "the listener has no address"))?;
    Ok(path.as_os_str().as_bytes().to_vec())
}

fn listener_mode(nonblocking: bool) -> ListenerNonblockingMode {
    ListenerNonblockingMode::from_bool(nonblocking, false)
}

impl Library for Interprocess2 {
    type Listener = Listener;
    type Stream = Stream;
    type Object = ();

    // `&Stream` reads and writes.
    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-2",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Blocking, Mode::Nonblocking],
            operations: &[
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.native",
                "listener.set_nonblocking",
                "listener.raw",
                "listener.release",
                "listener.adopt",
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
                "pipe.create",
                "fifo.create",
                "fifo.open",
            ],
            traits: &[],
        }
    }

    fn features(&self, mode: Mode) -> Vec<&'static str> {
        let mut features = vec![
            "lanes",
            "name.path",
            "name.namespaced",
            "local.listen.mode",
            "local.connect.timeout",
            "stream.duplex",
            "stream.peer_credentials.pid",
            "stream.peer_credentials.uid",
            "stream.peer_credentials.gid",
        ];
        if mode == Mode::Blocking {
            features.extend(["stream.read.timeout", "stream.write.timeout"]);
        }
        features
    }

    fn listen(&self, name: &Name, options: &ListenOptions) -> Result<(Listener, Vec<u8>), Failure> {
        let mut wanted =
            ListenerOptions::new().name(names::spell(name)?).nonblocking(listener_mode(options.nonblocking));
        if let Some(mode) = options.mode {
            wanted = wanted.mode(mode as _);
        }
        let listener = wanted.create_sync()?;
        let address = native(&listener)?;
        Ok((listener, address))
    }

    fn connect(&self, name: &Name, options: StreamOptions) -> Result<Stream, Failure> {
        let timeout = options.timeout_ms.map(Duration::from_millis);
        let wanted = ConnectOptions::new()
            .name(names::spell(name)?)
            .wait_mode(timeout.map_or(ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout))
            .nonblocking_stream(options.nonblocking);
        Ok(Stream::Whole(wanted.connect_sync()?))
    }

    fn accept(&self, listener: &Listener, options: StreamOptions) -> Result<Stream, Failure> {
        let stream = listener.accept()?;
        if options.nonblocking {
            stream.set_nonblocking(true)?;
        }
        Ok(Stream::Whole(stream))
    }

    fn listener_native(&self, listener: &Listener) -> Result<Vec<u8>, Failure> {
        native(listener)
    }

    fn listener_poll_fd(&self, listener: &Listener) -> Option<RawFd> {
        let Listener::UdSocket(listener) = listener;
        Some(listener.as_fd().as_raw_fd())
    }

    fn listener_set_nonblocking(&self, listener: &Listener, nonblocking: bool) -> Result<(), Failure> {
        Ok(listener.set_nonblocking(listener_mode(nonblocking))?)
    }

    fn listener_raw(&self, listener: &Listener) -> Result<RawFd, Failure> {
        let Listener::UdSocket(listener) = listener;
        Ok(listener.as_fd().as_raw_fd())
    }

    fn listener_release(&self, listener: Listener) -> Result<RawFd, Failure> {
        let Listener::UdSocket(listener) = listener;
        Ok(OwnedFd::from(listener).into_raw_fd())
    }

    fn listener_adopt(&self, fd: RawFd, nonblocking: bool) -> Result<Listener, Failure> {
        // SAFETY: the kit has asked that the descriptor is open, and it is the listener's from here on.
        let listener = uds_local_socket::Listener::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let set = if nonblocking { listener.set_nonblocking(listener_mode(true)) } else { Ok(()) };
        match set {
            Ok(()) => Ok(Listener::from(listener)),
            Err(error) => {
                let _ = OwnedFd::from(listener).into_raw_fd();
                Err(error.into())
            }
        }
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let set = |timeout| stream.set_recv_timeout(timeout);
        with_timeout(timeout_ms, set, || match stream {
            Stream::Whole(stream) => Ok((&*stream).read(buffer)?),
            Stream::Reader(half) => Ok((&*half).read(buffer)?),
            Stream::Pipe(end) => end.read(buffer),
            Stream::Writer(_) => Err(wrong_half()),
        })
    }

    fn write(&self, stream: &Stream, data: &[u8], timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let set = |timeout| stream.set_send_timeout(timeout);
        with_timeout(timeout_ms, set, || match stream {
            Stream::Whole(stream) => Ok((&*stream).write(data)?),
            Stream::Writer(half) => Ok((&*half).write(data)?),
            Stream::Pipe(end) => end.write(data),
            Stream::Reader(_) => Err(wrong_half()),
        })
    }

    fn read_vectored(
        &self,
        stream: &Stream,
        buffers: &mut [IoSliceMut],
        timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        let set = |timeout| stream.set_recv_timeout(timeout);
        with_timeout(timeout_ms, set, || match stream {
            Stream::Whole(stream) => Ok((&*stream).read_vectored(buffers)?),
            Stream::Reader(half) => Ok((&*half).read_vectored(buffers)?),
            Stream::Pipe(end) => end.read_vectored(buffers),
            Stream::Writer(_) => Err(wrong_half()),
        })
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let set = |timeout| stream.set_send_timeout(timeout);
        with_timeout(timeout_ms, set, || match stream {
            Stream::Whole(stream) => Ok((&*stream).write_vectored(buffers)?),
            Stream::Writer(half) => Ok((&*half).write_vectored(buffers)?),
            Stream::Pipe(end) => end.write_vectored(buffers),
            Stream::Reader(_) => Err(wrong_half()),
        })
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        match stream {
            Stream::Whole(stream) => Ok((&*stream).flush()?),
            Stream::Writer(half) => Ok((&*half).flush()?),
            Stream::Pipe(end) => end.flush(),
            Stream::Reader(_) => Err(wrong_half()),
        }
    }

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        match stream {
            Stream::Whole(stream) => {
                let (reader, writer) = stream.split();
                Ok((Stream::Reader(reader), Stream::Writer(writer)))
            }
            half => Err((half, wrong_half())),
        }
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let credentials = stream.socket()?.peer_creds()?;
        Ok(Credentials {
            pid: credentials.pid().map(|pid| pid as u64),
            uid: credentials.euid(),
            gid: credentials.egid(),
        })
    }

    fn stream_poll_fd(&self, stream: &Stream) -> Option<RawFd> {
        match stream {
            Stream::Pipe(end) => end.poll_fd(),
            _ => Some(stream.fd()),
        }
    }

    fn stream_set_nonblocking(&self, stream: &Stream, nonblocking: bool) -> Result<(), Failure> {
        match stream {
            Stream::Pipe(end) => end.set_nonblocking(nonblocking),
            _ => Ok(stream.socket()?.set_nonblocking(nonblocking)?),
        }
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        Ok(stream.fd())
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        match stream {
            Stream::Whole(local_socket::Stream::UdSocket(stream)) => Ok(OwnedFd::from(stream).into_raw_fd()),
            Stream::Pipe(end) => Ok(OwnedFd::from(end).into_raw_fd()),
            half => Err((half, wrong_half())),
        }
    }

    fn stream_adopt(&self, fd: RawFd, nonblocking: bool) -> Result<Stream, Failure> {
        if let Some(end) = pipes::End::adopt(fd, nonblocking)? {
            return Ok(Stream::Pipe(end));
        }
        // SAFETY: the kit has asked that the descriptor is open, and it is the stream's from here on.
        let stream = uds_local_socket::Stream::from(unsafe { OwnedFd::from_raw_fd(fd) });
        let set = if nonblocking { stream.set_nonblocking(true) } else { Ok(()) };
        match set {
            Ok(()) => Ok(Stream::Whole(stream.into())),
            Err(error) => {
                let _ = OwnedFd::from(stream).into_raw_fd();
                Err(error.into())
            }
        }
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "pipe.create" => pipes::create(call).into(),
            "fifo.create" => pipes::create_fifo(call).into(),
            _ => pipes::open_fifo(call).into(),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess2)
}
