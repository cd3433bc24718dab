//! The peer of `interprocess` 1.2.1 with its feature `tokio_support`: its asynchronous local sockets, as a program that
//! depends on the crate uses them.
//!
//! The crate's futures are tasks of a Tokio runtime; a close or a cancel drops what is under way, as a program drops a
//! future. What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * Reading and writing take `&mut`: one lane at a time uses a stream or a half, and `stream.duplex` is what its halves are
//!   for, which the feature does not mean.
//! * There are no timeouts, no single attempts and no switch: with Tokio a program has those from Tokio.
//! * A listener shows no address, and neither it nor a stream can be given away or made of a descriptor.

#[path = "../../rust-interprocess-1/src/names.rs"]
mod names;

use cts_peer::{Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack};
use cts_peer::{StreamOptions, Tasks};
use futures_io::{AsyncRead, AsyncWrite};
use interprocess::local_socket::tokio::{LocalSocketListener, LocalSocketStream, OwnedReadHalf, OwnedWriteHalf};
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Interprocess1 {
    tasks: Tasks,
}

enum Ends {
    Whole(LocalSocketStream),
    Reader(OwnedReadHalf),
    Writer(OwnedWriteHalf),
}

/// A stream or half behind the `&mut` that it asks for. The kit lets one lane at a time in, so the lock is never waited for.
struct Stream(Mutex<Ends>);

impl Stream {
    fn new(ends: Ends) -> Stream {
        Stream(Mutex::new(ends))
    }

    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A half has no call for the other direction.
fn wrong_half() -> Failure {
    Failure::unsupported("the half has no such call")
}

impl Ends {
    fn reader(&mut self) -> Result<Pin<&mut (dyn AsyncRead + Unpin + Send)>, Failure> {
        match self {
            Ends::Whole(stream) => Ok(Pin::new(stream)),
            Ends::Reader(half) => Ok(Pin::new(half)),
            Ends::Writer(_) => Err(wrong_half()),
        }
    }

    fn writer(&mut self) -> Result<Pin<&mut (dyn AsyncWrite + Unpin + Send)>, Failure> {
        match self {
            Ends::Whole(stream) => Ok(Pin::new(stream)),
            Ends::Writer(half) => Ok(Pin::new(half)),
            Ends::Reader(_) => Err(wrong_half()),
        }
    }
}

impl Library for Interprocess1 {
    type Listener = LocalSocketListener;
    type Stream = Stream;
    type Object = ();

    const SHARED_STREAMS: bool = false;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-1-tokio",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Async],
            operations: &[
                "name.parse",
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.close",
                "stream.read",
                "stream.write",
                "stream.read_vectored",
                "stream.write_vectored",
                "stream.flush",
                "stream.split",
                "stream.peer_credentials",
                "stream.raw",
                "stream.close",
            ],
            traits: &["keeps_name"],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec!["lanes", "close_while_in_use", "name.path", "name.namespaced", "stream.peer_credentials.pid"]
    }

    fn name_parse(&self, text: &[u8]) -> Result<(NameKind, Vec<u8>), Failure> {
        names::parse(text)
    }

    fn turn(&self) {
        self.tasks.turn();
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(LocalSocketListener, Vec<u8>), Failure> {
        let _entered = self.tasks.enter();
        let spelling = names::spell(name);
        let address = names::native(&spelling);
        let listener = match spelling {
            names::Spelling::Path(path) => LocalSocketListener::bind(path)?,
            names::Spelling::Text(text) => LocalSocketListener::bind(text)?,
        };
        Ok((listener, address))
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        let stream = match names::spell(name) {
            names::Spelling::Path(path) => self.tasks.wait(LocalSocketStream::connect(path))?,
            names::Spelling::Text(text) => self.tasks.wait(LocalSocketStream::connect(text))?,
        };
        Ok(Stream::new(Ends::Whole(stream)))
    }

    fn accept(&self, listener: &LocalSocketListener, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::new(Ends::Whole(self.tasks.wait(listener.accept())?)))
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let mut ends = stream.lock();
        let mut reader = ends.reader()?;
        self.tasks.wait(poll_fn(|context| reader.as_mut().poll_read(context, buffer)))
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let mut ends = stream.lock();
        let mut writer = ends.writer()?;
        self.tasks.wait(poll_fn(|context| writer.as_mut().poll_write(context, data)))
    }

    fn read_vectored(
        &self,
        stream: &Stream,
        buffers: &mut [IoSliceMut],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        let mut ends = stream.lock();
        let mut reader = ends.reader()?;
        self.tasks.wait(poll_fn(|context| reader.as_mut().poll_read_vectored(context, buffers)))
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        let mut ends = stream.lock();
        let mut writer = ends.writer()?;
        self.tasks.wait(poll_fn(|context| writer.as_mut().poll_write_vectored(context, buffers)))
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        let mut ends = stream.lock();
        let mut writer = ends.writer()?;
        self.tasks.wait(poll_fn(|context| writer.as_mut().poll_flush(context)))
    }

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        match stream.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Ends::Whole(stream) => {
                let (reader, writer) = stream.into_split();
                Ok((Stream::new(Ends::Reader(reader)), Stream::new(Ends::Writer(writer))))
            }
            half => Err((Stream::new(half), wrong_half())),
        }
    }

    fn peer_credentials(&self, stream: &Stream) -> Result<Credentials, Failure> {
        let pid = match &*stream.lock() {
            Ends::Whole(stream) => stream.peer_pid()?,
            Ends::Reader(half) => half.peer_pid()?,
            Ends::Writer(half) => half.peer_pid()?,
        };
        Ok(Credentials { pid: Some(pid.into()), ..Credentials::default() })
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        match &*stream.lock() {
            Ends::Whole(stream) => Ok(stream.as_raw_fd()),
            _ => Err(wrong_half()),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess1 { tasks: Tasks::start()? })
}
