//! The peer of `interprocess` 1.2.1's Unix domain sockets on Tokio (`os::unix::udsocket::tokio`), as a program that depends
//! on the crate uses them: streams and sockets of messages. What the crate calls local sockets has a peer of its own.
//!
//! The crate's futures are tasks of a Tokio runtime; a close or a cancel drops what is under way, as a program drops a
//! future. What the crate has not got is not offered, and nothing here makes up for it:
//!
//! * Reading and writing of streams take `&mut`: one lane at a time uses a stream or a half. Sockets of messages are shared.
//! * There are no timeouts, no single attempts and no switch: with Tokio a program has those from Tokio.
//! * Nothing of this half of the crate passes or takes descriptors or credentials, and a receive tells no sender.
//! * A listener and a socket leave their file behind: the guards that remove it are the blocking half's.

#[path = "../../rust-interprocess-1-tokio/src/ends.rs"]
mod ends;
mod messages;
#[path = "../../rust-interprocess-1-unix/src/names.rs"]
mod names;

use cts_peer::{Call, Credentials, Failure, Identity, Library, ListenOptions, Mode, Name, OrBack, Outcome};
use cts_peer::{Results, StreamOptions, Tasks};
use ends::Ends;
use interprocess::os::unix::udsocket::tokio::{OwnedReadHalf, OwnedWriteHalf, UdSocket, UdStream, UdStreamListener};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};

struct Interprocess1 {
    tasks: Tasks,
}

type Stream = ends::Stream<UdStream, OwnedReadHalf, OwnedWriteHalf>;

/// The descriptor of what the crate has let go of. It drops what it could not let go of.
fn given_away(released: io::Result<RawFd>) -> RawFd {
    released.unwrap_or_else(|error| panic!("it is gone: {error}"))
}

/// The directions that a request names.
fn directions(call: &Call<Interprocess1>) -> Shutdown {
    match call.arguments.text("how") {
        Some("read") => Shutdown::Read,
        Some("write") => Shutdown::Write,
        _ => Shutdown::Both,
    }
}

fn shutdown(call: &Call<Interprocess1>) -> Result<Results, Failure> {
    let how = directions(call);
    call.with_stream(false, |stream| match (&*stream.lock(), how) {
        (Ends::Whole(stream), how) => Ok(stream.shutdown(how)?),
        (Ends::Reader(half), Shutdown::Read) => Ok(half.shutdown()?),
        (Ends::Writer(half), Shutdown::Write) => Ok(half.shutdown()?),
        _ => Err(ends::wrong_half()),
    })?;
    Ok(Vec::new())
}

impl Interprocess1 {
    fn bind(&self, name: &Name) -> Result<(UdStreamListener, Vec<u8>), Failure> {
        let _entered = self.tasks.enter();
        let path = names::spell(name)?;
        let address = names::native(&path);
        Ok((UdStreamListener::bind(path)?, address))
    }

    fn unix_listen(&self, call: &Call<Interprocess1>) -> Result<Results, Failure> {
        if !call.arguments.has("kind") || !call.arguments.has("name") {
            return Err(Failure::invalid_argument("the name is missing"));
        }
        let name = call.name_under("kind", "name");
        call.begin();
        let (listener, address) = self.bind(&name)?;
        call.add_listener(listener);
        Ok(vec![("native", cts_peer::to_json(&address))])
    }
}

impl Library for Interprocess1 {
    type Listener = UdStreamListener;
    type Stream = Stream;
    type Object = UdSocket;

    const SHARED_STREAMS: bool = false;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-interprocess-1-tokio-unix",
            version: cts_peer::locked_version(include_str!("../Cargo.lock"), "interprocess"),
            modes: &[Mode::Async],
            operations: &[
                "local.listen",
                "local.connect",
                "unix.listen",
                "listener.accept",
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
                "stream.shutdown",
                "stream.peer_credentials",
                "stream.raw",
                "stream.release",
                "stream.adopt",
                "stream.close",
                "socket.open",
                "socket.bind",
                "socket.connect",
                "socket.send",
                "socket.receive",
                "socket.shutdown",
                "socket.peer_credentials",
                "socket.raw",
                "socket.release",
                "socket.adopt",
                "socket.close",
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
            "stream.half_close",
            "stream.shutdown.read",
            "stream.peer_credentials.pid",
            "stream.peer_credentials.uid",
            "stream.peer_credentials.gid",
        ]
    }

    fn turn(&self) {
        self.tasks.turn();
    }

    fn listen(&self, name: &Name, _options: &ListenOptions) -> Result<(UdStreamListener, Vec<u8>), Failure> {
        self.bind(name)
    }

    fn connect(&self, name: &Name, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::whole(self.tasks.wait(UdStream::connect(names::spell(name)?))?))
    }

    fn accept(&self, listener: &UdStreamListener, _options: StreamOptions) -> Result<Stream, Failure> {
        Ok(Stream::whole(self.tasks.wait(listener.accept())?))
    }

    fn listener_raw(&self, listener: &UdStreamListener) -> Result<RawFd, Failure> {
        Ok(listener.as_raw_fd())
    }

    fn listener_release(&self, listener: UdStreamListener) -> Result<RawFd, Failure> {
        let _entered = self.tasks.enter();
        Ok(listener.into_raw_fd()?)
    }

    fn listener_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<UdStreamListener, Failure> {
        let _entered = self.tasks.enter();
        // SAFETY: the kit has asked that the descriptor is open. The crate closes it if this fails.
        Ok(unsafe { UdStreamListener::from_raw_fd(fd) }?)
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
        let found = match &*stream.lock() {
            Ends::Whole(stream) => stream.get_peer_credentials()?,
            Ends::Reader(half) => half.get_peer_credentials()?,
            Ends::Writer(half) => half.get_peer_credentials()?,
        };
        Ok(Credentials { pid: Some(found.pid as u64), uid: Some(found.uid), gid: Some(found.gid) })
    }

    fn stream_raw(&self, stream: &Stream) -> Result<RawFd, Failure> {
        match &*stream.lock() {
            Ends::Whole(stream) => Ok(stream.as_raw_fd()),
            _ => Err(ends::wrong_half()),
        }
    }

    fn stream_release(&self, stream: Stream) -> OrBack<RawFd, Stream> {
        let _entered = self.tasks.enter();
        match stream.into_ends() {
            Ends::Whole(stream) => Ok(given_away(stream.into_raw_fd())),
            half => Err((Stream::new(half), ends::wrong_half())),
        }
    }

    fn stream_adopt(&self, fd: RawFd, _nonblocking: bool) -> Result<Stream, Failure> {
        let _entered = self.tasks.enter();
        // SAFETY: the kit has asked that the descriptor is open. The crate closes it if this fails.
        Ok(Stream::whole(unsafe { UdStream::from_raw_fd(fd) }?))
    }

    fn other(&self, call: &Call<Self>) -> Outcome {
        match call.name_of_operation() {
            "unix.listen" => self.unix_listen(call).into(),
            "stream.shutdown" => shutdown(call).into(),
            _ => messages::perform(&self.tasks, call),
        }
    }
}

fn main() -> io::Result<()> {
    cts_peer::run(Interprocess1 { tasks: Tasks::start()? })
}
