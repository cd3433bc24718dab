//! The peer of `interprocess` 2 with its feature `tokio`: its asynchronous local sockets and unnamed pipes, as a program
//! that depends on the crate uses them.
//!
//! The crate's futures are tasks of a Tokio runtime; a close or a cancel drops what is under way, as a program drops a
//! future. What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * `try_overwrite` takes a name from a live listener too, as documented, so that it is not the feature
//!   `local.listen.reclaim`.
//! * Reads and writes have no timeouts, and nothing has single attempts or a switch: with Tokio a program has those from
//!   Tokio. The connect's own timeout is offered.
//! * Tokio's traits read into one buffer at a time.
//! * `poll_shutdown` of the enumerations `Stream` and `SendHalf`, and of `&Stream`, does nothing, as documented. That of the
//!   streams and halves inside of them, which programs for Unix use (`os::unix::uds_local_socket::tokio`), shuts the writing
//!   direction down; it asks for `&mut`. That one is offered.

// Splitting is deprecated since 2.4.7, and is what every program written for an earlier release uses.
#![allow(deprecated)]

#[path = "../../rust-interprocess-2/src/names.rs"]
mod names;

use cts_peer::{
    Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome, Results, StreamOptions,
    Tasks,
};
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::tokio::{Listener, RecvHalf, SendHalf, Stream as LocalSocket};
use interprocess::local_socket::{ConnectOptions, ListenerOptions};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use interprocess::os::unix::uds_local_socket::tokio as uds;
use interprocess::unnamed_pipe::tokio::{pipe, Recver, Sender};
use interprocess::ConnectWaitMode;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

struct Interprocess2 {
    tasks: Tasks,
}

/// A stream, a half of one, or an end of a pipe. Ends of pipes ask for `&mut`: one lane at a time uses one. So does the
/// shutdown of a stream or half, while reads and writes share it.
enum Stream {
    Whole(RwLock<LocalSocket>),
    Reader(RecvHalf),
    Writer(RwLock<SendHalf>),
    Recver(Mutex<Recver>),
    Sender(Mutex<Sender>),
}

/// A half or end has no call for the other direction.
fn wrong_half() -> Failure {
    Failure::unsupported("the half or end has no such call")
}

/// An end, for the only lane that uses it.
fn lone<T>(end: &Mutex<T>) -> Result<MutexGuard<'_, T>, Failure> {
    match end.try_lock() {
        Ok(end) => Ok(end),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::unsupported("another lane is inside of the end, which asks for &mut"))
        }
    }
}

/// A stream or half for those who share it.
fn shared<T>(ends: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    ends.read().unwrap_or_else(PoisonError::into_inner)
}

/// A stream or half for the only lane that uses it.
fn lone_stream<T>(ends: &RwLock<T>) -> Result<RwLockWriteGuard<'_, T>, Failure> {
    match ends.try_write() {
        Ok(ends) => Ok(ends),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::unsupported("another lane is inside of the stream: poll_shutdown asks for &mut"))
        }
    }
}

/// An end that nobody uses any more.
fn sole<T>(end: Mutex<T>) -> T {
    end.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A stream that nobody uses any more.
fn unshared<T>(ends: RwLock<T>) -> T {
    ends.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The descriptor of what the crate has let go of. It drops what it could not let go of.
fn given_away(released: io::Result<OwnedFd>) -> RawFd {
    released.unwrap_or_else(|error| panic!("the stream is gone: {error}")).into_raw_fd()
}

/// Who is at the other end, as Tokio says.
fn shown(stream: &UnixStream) -> Result<Credentials, Failure> {
    let shown = stream.peer_cred()?;
    Ok(Credentials { pid: shown.pid().map(|pid| pid as u64), uid: Some(shown.uid()), gid: Some(shown.gid()) })
}

/// The address that a listener is bound to, from Tokio's listener inside.
fn native(listener: &Listener) -> Result<Vec<u8>, Failure> {
    let Listener::UdSocket(listener) = listener;
    let address = listener.inner().local_addr()?;
    if let Some(name) = address.as_abstract_name() {
        return Ok([b"\0", name].concat());
    }
    let path = address.as_pathname().ok_or_else(|| Failure::new("failed", "the listener has no address"))?;
    Ok(path.as_os_str().as_bytes().to_vec())
}

impl Interprocess2 {
    fn wait_write_vectored(
        &self,
        writer: impl AsyncWrite + Unpin + Send,
        buffers: &[IoSlice],
    ) -> Result<usize, Failure> {
        let mut writer = writer;
        self.tasks.wait(poll_fn(|context| Pin::new(&mut writer).poll_write_vectored(context, buffers)))
    }

    fn wait_read(&self, reader: impl AsyncRead + Unpin + Send, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut reader = reader;
        self.tasks.wait(reader.read(buffer))
    }

    fn wait_write(&self, writer: impl AsyncWrite + Unpin + Send, data: &[u8]) -> Result<usize, Failure> {
        let mut writer = writer;
        self.tasks.wait(writer.write(data))
    }

    /// The writing direction of what is inside of the crate's enumerations.
    fn shutdown(&self, call: &Call<Interprocess2>) -> Result<Results, Failure> {
        let how = call.arguments.text("how");
        call.with_stream(false, |stream| match (stream, how) {
            (Stream::Whole(stream), Some("write")) => {
                let LocalSocket::UdSocket(stream) = &mut *lone_stream(stream)?;
                self.wait_shutdown(Pin::new(stream))
            }
            (Stream::Writer(half), Some("write")) => {
                let SendHalf::UdSocket(half) = &mut *lone_stream(half)?;
                self.wait_shutdown(Pin::new(half))
            }
            (Stream::Recver(_) | Stream::Sender(_), _) => Err(Failure::unsupported("a pipe has no direction to end")),
            _ => Err(Failure::unsupported("poll_shutdown ends the writing direction")),
        })?;
        Ok(Vec::new())
    }

    fn wait_shutdown(&self, mut writer: Pin<&mut (impl AsyncWrite + Send)>) -> Result<(), Failure> {
        self.tasks.wait(poll_fn(|context| writer.as_mut().poll_shutdown(context)))
    }

    fn create_pipe(&self, call: &Call<Interprocess2>) -> Result<Results, Failure> {
        let _entered = self.tasks.enter();
        call.begin();
        let (sender, recver) = pipe()?;
        call.add_stream("read_as", Stream::Recver(Mutex::new(recver)));
        call.add_stream("write_as", Stream::Sender(Mutex::new(sender)));
        Ok(Vec::new())
    }
}

impl Library for Interprocess2 {
    type Listener = Listener;
    type Stream = Stream;
    type Object = ();

    // `&Stream` reads and writes.
    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-2-tokio",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Async],
            operations: &[
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.native",
                "listener.raw",
                "listener.release",
                "listener.adopt",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.write_vectored",
                "stream.flush",
                "stream.split",
                "stream.shutdown",
                "stream.peer_credentials",
                "stream.raw",
                "stream.release",
                "stream.adopt",
                "stream.close",
                "pipe.create",
            ],
            traits: &[],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec![
            "lanes",
            "close_while_in_use",
            "name.path",
            "name.namespaced",
            "local.listen.mode",
            "local.connect.timeout",
            "stream.duplex",
            "stream.half_close",
            "stream.read.concurrent",
            "stream.peer_credentials.pid",
            "stream.peer_credentials.uid",
            "stream.peer_credentials.gid",
        ]
    }

    fn turn(&self) {
        self.tasks.turn();
    }

    fn listen(&self, name: &Name, options: &ListenOptions) -> Result<(Listener, Vec<u8>), Failure> {
        let _entered = self.tasks.enter();
        let mut wanted = ListenerOptions::new().name(names::spell(name)?);
        if let Some(mode) = options.mode {
            wanted = wanted.mode(mode as _);
        }
        let listener = wanted.create_tokio()?;
        let address = native(&listener)?;
        Ok((listener, address))
    }

    fn connect(&self, name: &Name, options: StreamOptions) -> Result<Stream, Failure> {
        let timeout = options.timeout_ms.map(Duration::from_millis);
        let wanted = ConnectOptions::new()
            .name(names::spell(name)?)
            .wait_mode(timeout.map_or(ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout));
        Ok(Stream::Whole(RwLock::new(self.tasks.wait(wanted.connect_tokio())?)))
    }

    fn accept(&self, listener: &Listener, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::Whole(RwLock::new(self.tasks.wait(listener.accept())?)))
    }

    fn listener_native(&self, listener: &Listener) -> Result<Vec<u8>, Failure> {
        native(listener)
    }

    fn listener_raw(&self, listener: &Listener) -> Result<RawFd, Failure> {
        let Listener::UdSocket(listener) = listener;
        Ok(listener.as_fd().as_raw_fd())
    }

    fn listener_release(&self, listener: Listener) -> Result<RawFd, Failure> {
        let Listener::UdSocket(listener) = listener;
        Ok(OwnedFd::try_from(listener)?.into_raw_fd())
    }

    fn listener_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<Listener, Failure> {
        let _entered = self.tasks.enter();
        // SAFETY: the kit has asked that the descriptor is open. The crate closes it if this fails.
        Ok(Listener::UdSocket(uds::Listener::try_from(unsafe { OwnedFd::from_raw_fd(fd) })?))
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        match stream {
            Stream::Whole(stream) => self.wait_read(&*shared(stream), buffer),
            Stream::Reader(half) => self.wait_read(half, buffer),
            Stream::Recver(end) => self.wait_read(&mut *lone(end)?, buffer),
            Stream::Writer(_) | Stream::Sender(_) => Err(wrong_half()),
        }
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        match stream {
            Stream::Whole(stream) => self.wait_write(&*shared(stream), data),
            Stream::Writer(half) => self.wait_write(&*shared(half), data),
            Stream::Sender(end) => self.wait_write(&mut *lone(end)?, data),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_half()),
        }
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        match stream {
            Stream::Whole(stream) => self.wait_write_vectored(&*shared(stream), buffers),
            Stream::Writer(half) => self.wait_write_vectored(&*shared(half), buffers),
            Stream::Sender(end) => self.wait_write_vectored(&mut *lone(end)?, buffers),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_half()),
        }
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        match stream {
            Stream::Whole(stream) => self.tasks.wait((&mut &*shared(stream)).flush()),
            Stream::Writer(half) => self.tasks.wait((&mut &*shared(half)).flush()),
            Stream::Sender(end) => self.tasks.wait(lone(end)?.flush()),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_half()),
        }
    }

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        match stream {
            Stream::Whole(stream) => {
                let (reader, writer) = unshared(stream).split();
                Ok((Stream::Reader(reader), Stream::Writer(RwLock::new(writer))))
            }
            other => Err((other, wrong_half())),
        }
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let credentials = match stream {
            Stream::Whole(stream) => shared(stream).peer_creds()?,
            // A half has no such call, but shows Tokio's stream inside.
            Stream::Reader(RecvHalf::UdSocket(half)) => return shown(half.as_tokio().as_ref()),
            Stream::Writer(half) => {
                let half = shared(half);
                let SendHalf::UdSocket(half) = &*half;
                return shown(half.as_tokio().as_ref());
            }
            Stream::Recver(_) | Stream::Sender(_) => return Err(wrong_half()),
        };
        Ok(Credentials {
            pid: credentials.pid().map(|pid| pid as u64),
            uid: credentials.euid(),
            gid: credentials.egid(),
        })
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        match stream {
            Stream::Whole(stream) => {
                let stream = shared(stream);
                let LocalSocket::UdSocket(stream) = &*stream;
                Ok(stream.as_fd().as_raw_fd())
            }
            Stream::Reader(RecvHalf::UdSocket(half)) => Ok(half.as_fd().as_raw_fd()),
            Stream::Writer(half) => {
                let half = shared(half);
                let SendHalf::UdSocket(half) = &*half;
                Ok(half.as_fd().as_raw_fd())
            }
            Stream::Recver(end) => Ok(lone(end)?.as_fd().as_raw_fd()),
            Stream::Sender(end) => Ok(lone(end)?.as_fd().as_raw_fd()),
        }
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        match stream {
            Stream::Whole(stream) => {
                let LocalSocket::UdSocket(stream) = unshared(stream);
                Ok(given_away(OwnedFd::try_from(stream)))
            }
            Stream::Recver(end) => Ok(given_away(OwnedFd::try_from(sole(end)))),
            Stream::Sender(end) => Ok(given_away(OwnedFd::try_from(sole(end)))),
            half => Err((half, wrong_half())),
        }
    }

    fn stream_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<Stream, Failure> {
        let _entered = self.tasks.enter();
        // SAFETY: fcntl touches no memory.
        let access = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_ACCMODE;
        // SAFETY: the kit has asked that the descriptor is open. The crate closes it if this fails.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        match access {
            libc::O_RDONLY => Ok(Stream::Recver(Mutex::new(owned.try_into()?))),
            libc::O_WRONLY => Ok(Stream::Sender(Mutex::new(owned.try_into()?))),
            _ => Ok(Stream::Whole(RwLock::new(uds::Stream::try_from(owned)?.into()))),
        }
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "stream.shutdown" => self.shutdown(call).into(),
            _ => self.create_pipe(call).into(),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess2 { tasks: Tasks::start()? })
}
