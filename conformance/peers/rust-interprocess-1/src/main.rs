//! The peer of `interprocess` 1.2.1: its synchronous local sockets, as a program that depends on the crate uses them.
//!
//! What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * Reading and writing take `&mut`, and there is no split, so that one lane at a time uses a stream: no
//!   `stream.duplex`.
//! * A call that waits cannot be ended from another thread: no `close_while_in_use`.
//! * The listener shows no descriptor and no address. So the mode nonblocking means nonblocking streams, which do show
//!   theirs and can be waited for; `accept` waits by itself in both modes, as there is nothing else to wait with.
//! * `connect` and `accept` have no single attempt, so that `wait: false` is not offered; `set_nonblocking` is.

mod names;

use cts_peer::{Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack, StreamOptions};
use interprocess::local_socket::{LocalSocketListener, LocalSocketStream};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, TryLockError};

struct Interprocess1;

/// A stream behind the `&mut` that it asks for. The kit lets one lane at a time in, so the lock is never waited for.
struct Stream(Mutex<LocalSocketStream>);

impl Stream {
    fn new(stream: LocalSocketStream, nonblocking: bool) -> Result<Stream, Failure> {
        if nonblocking {
            stream.set_nonblocking(true)?;
        }
        Ok(Stream(Mutex::new(stream)))
    }

    fn lock(&self) -> MutexGuard<'_, LocalSocketStream> {
        match self.0.try_lock() {
            Ok(stream) => stream,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("the kit lets one lane at a time use a stream"),
        }
    }

    fn into_inner(self) -> LocalSocketStream {
        self.0.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Library for Interprocess1 {
    type Listener = LocalSocketListener;
    type Stream = Stream;
    type Object = ();

    const SHARED_STREAMS: bool = false;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-1",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Blocking, Mode::Nonblocking],
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
            ],
            traits: &["keeps_name"],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec!["lanes", "name.path", "name.namespaced", "stream.peer_credentials.pid"]
    }

    fn name_parse(&self, text: &[u8]) -> Result<(NameKind, Vec<u8>), Failure> {
        names::parse(text)
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(LocalSocketListener, Vec<u8>), Failure> {
        let spelling = names::spell(name);
        let address = names::native(&spelling);
        let listener = match spelling {
            names::Spelling::Path(path) => LocalSocketListener::bind(path)?,
            names::Spelling::Text(text) => LocalSocketListener::bind(text)?,
        };
        Ok((listener, address))
    }

    fn connect(&self, name: &Name, options: StreamOptions) -> Result<Stream, Failure> {
        let stream = match names::spell(name) {
            names::Spelling::Path(path) => LocalSocketStream::connect(path)?,
            names::Spelling::Text(text) => LocalSocketStream::connect(text)?,
        };
        Stream::new(stream, options.nonblocking)
    }

    fn accept(&self, listener: &LocalSocketListener, options: StreamOptions) -> Result<Stream, Failure> {
        Stream::new(listener.accept()?, options.nonblocking)
    }

    fn listener_set_nonblocking(&self, listener: &LocalSocketListener, nonblocking: bool) -> Result<(), Failure> {
        Ok(listener.set_nonblocking(nonblocking)?)
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.lock().read(buffer)?)
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.lock().write(data)?)
    }

    fn read_vectored(
        &self,
        stream: &Stream,
        buffers: &mut [IoSliceMut],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        Ok(stream.lock().read_vectored(buffers)?)
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.lock().write_vectored(buffers)?)
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        Ok(stream.lock().flush()?)
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let pid = stream.lock().peer_pid()?;
        Ok(Credentials { pid: Some(pid.into()), ..Credentials::default() })
    }

    fn stream_poll_fd(&self, stream: &Stream) -> Option<RawFd> {
        Some(stream.lock().as_raw_fd())
    }

    fn stream_set_nonblocking(&self, stream: &Stream, nonblocking: bool) -> Result<(), Failure> {
        Ok(stream.lock().set_nonblocking(nonblocking)?)
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        Ok(stream.lock().as_raw_fd())
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        Ok(stream.into_inner().into_raw_fd())
    }

    fn stream_adopt(&self, fd: RawFd, nonblocking: bool) -> Result<Stream, Failure> {
        // SAFETY: the kit has asked that the descriptor is open, and it is the stream's from here on.
        let stream = unsafe { LocalSocketStream::from_raw_fd(fd) };
        let set = if nonblocking { stream.set_nonblocking(true) } else { Ok(()) };
        match set {
            Ok(()) => Stream::new(stream, false),
            Err(error) => {
                let _ = stream.into_raw_fd();
                Err(error.into())
            }
        }
    }
}

fn main() -> std::io::Result<()> {
    cts_peer::run(Interprocess1)
}
