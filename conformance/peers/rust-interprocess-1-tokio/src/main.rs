//! The peer of `interprocess` 1.2.1 with its feature `tokio_support`: its asynchronous local sockets, as a program that
//! depends on the crate uses them.
//!
//! The crate's futures are tasks of a Tokio runtime; a close or a cancel drops what is under way, as a program drops a
//! future. What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * Reading and writing take `&mut`: one lane at a time uses a stream or a half, and `stream.duplex` is what its halves are
//!   for, which the feature does not mean.
//! * A shutdown is `poll_close`, which ends both directions of a stream at once: not the feature `stream.half_close`.
//! * There are no timeouts, no single attempts and no switch: with Tokio a program has those from Tokio.
//! * A listener shows no address, and neither it nor a stream can be given away or made of a descriptor.

mod ends;
#[path = "../../rust-interprocess-1/src/names.rs"]
mod names;

use cts_peer::{Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack, Outcome};
use cts_peer::{Results, StreamOptions, Tasks};
use ends::Ends;
use interprocess::local_socket::tokio::{LocalSocketListener, LocalSocketStream, OwnedReadHalf, OwnedWriteHalf};
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};

struct Interprocess1 {
    tasks: Tasks,
}

type Stream = ends::Stream<LocalSocketStream, OwnedReadHalf, OwnedWriteHalf>;

/// Of a stream `poll_close` ends both directions, of its writing half that one.
fn shutdown(tasks: &Tasks, call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let how = call.arguments.text("how");
    call.with_stream(false, |stream| {
        let mut ends = stream.lock();
        let mut closing = match (&mut *ends, how) {
            (whole @ Ends::Whole(_), Some("both")) => whole.writer()?,
            (half @ Ends::Writer(_), Some("write")) => half.writer()?,
            (Ends::Whole(_), _) => return Err(Failure::unsupported("poll_close ends both directions")),
            _ => return Err(ends::wrong_half()),
        };
        tasks.wait(poll_fn(|context| closing.as_mut().poll_close(context)))
    })?;
    Ok(Vec::new())
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
                "stream.shutdown",
                "stream.peer_credentials",
                "stream.raw",
                "stream.close",
            ],
            traits: &["keeps_name"],
        }
    }

    fn features(&self, _mode: Mode) -> Vec<&'static str> {
        vec![
            "lanes",
            "close_while_in_use",
            "name.path",
            "name.namespaced",
            "stream.peer_credentials.pid",
            "stream.shutdown.read",
        ]
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
        Ok(Stream::whole(stream))
    }

    fn accept(&self, listener: &LocalSocketListener, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::whole(self.tasks.wait(listener.accept())?))
    }

    fn read(&self, stream: &Stream, buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.read(&self.tasks, buffer)
    }

    fn write(&self, stream: &Stream, data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.write(&self.tasks, data)
    }

    fn read_vectored(
        &self,
        stream: &Stream,
        buffers: &mut [IoSliceMut],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        stream.read_vectored(&self.tasks, buffers)
    }

    fn write_vectored(&self, stream: &Stream, buffers: &[IoSlice], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        stream.write_vectored(&self.tasks, buffers)
    }

    fn flush(&self, stream: &Stream) -> Result<(), Failure> {
        stream.flush(&self.tasks)
    }

    fn split(&self, stream: Stream) -> OrBack<(Stream, Stream), Stream> {
        match stream.into_ends() {
            Ends::Whole(stream) => {
                let (reader, writer) = stream.into_split();
                Ok((Stream::new(Ends::Reader(reader)), Stream::new(Ends::Writer(writer))))
            }
            half => Err((Stream::new(half), ends::wrong_half())),
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
            _ => Err(ends::wrong_half()),
        }
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "stream.shutdown" => shutdown(&self.tasks, call).into(),
            other => Err(Failure::unsupported(format!("the peer does not know {other}"))).into(),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess1 { tasks: Tasks::start()? })
}
