//! What the author of a peer writes: calls to the library under test, and what of them is offered.

use crate::peer::Call;
use crate::status::{Failure, Outcome};
use crate::system::RawFd;

/// How the peer reaches the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Calls that wait.
    Blocking,
    /// Calls that answer `would_block`; the kit waits for readiness.
    Nonblocking,
    /// Futures of the library, each of which the peer awaits beside [`crate::called_off`], in the thread that asks for it:
    /// dropping a future is how a program of such a library ends it. Lanes are tasks to the runner.
    Async,
}

impl Mode {
    /// As the protocol calls it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Blocking => "blocking",
            Mode::Nonblocking => "nonblocking",
            Mode::Async => "async",
        }
    }
}

/// Who the peer is.
#[derive(Debug)]
pub struct Identity {
    /// Name of the implementation under test.
    pub implementation: &'static str,
    /// Its version.
    pub version: String,
    /// The first one is the default.
    pub modes: &'static [Mode],
    /// Operations offered, beside `hello`, `configure`, `reset` and `pending`.
    pub operations: &'static [&'static str],
    pub traits: &'static [&'static str],
}

/// Kind of a local socket name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    Path,
    Namespaced,
    /// An address as the system binds it; on Linux an abstract one begins with a NUL.
    Native,
}

/// A local socket name.
#[derive(Clone, Debug)]
pub struct Name {
    pub kind: NameKind,
    pub bytes: Vec<u8>,
}

/// Options of [`Library::listen`]. Those whose feature is not offered are never set.
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    pub reclaim: bool,
    pub mode: Option<u32>,
    pub backlog: Option<u32>,
    pub keep_name: bool,
    /// The listener shall be in the library's nonblocking mode, if it has one.
    pub nonblocking: bool,
}

/// Options of a call that makes a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamOptions {
    /// The library's own timeout.
    pub timeout_ms: Option<u64>,
    /// `wait: false`.
    pub one_attempt: bool,
    /// The stream shall be in the library's nonblocking mode.
    pub nonblocking: bool,
}

/// Who is at the other end, as far as the library says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials {
    pub pid: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// A result of what consumes a stream: a library that cannot, gives it back beside the reason.
pub type OrBack<T, S> = Result<T, (S, Failure)>;

fn not_offered<T>() -> Result<T, Failure> {
    Err(Failure::unsupported("not offered"))
}

/// The library under test. Override what it has and list it in [`Identity::operations`]; leave the rest. Methods make
/// the library's call and nothing else: no retry, no waiting, no wake-up that the library does not do itself.
pub trait Library: Send + Sync + 'static {
    /// A listening endpoint. Dropping it must close it.
    type Listener: Send + Sync + 'static;
    /// A stream, or one half of it. Dropping it must close it.
    type Stream: Send + Sync + 'static;
    /// Behind handles of every other kind (sockets of messages, watchers); `()` if there are none. Dropping it must close it.
    type Object: Send + Sync + 'static;

    /// False if the library's streams are used through `&mut`: the kit lets one lane at a time use such a stream and
    /// answers another one `unsupported`.
    const SHARED_STREAMS: bool;

    /// Who the peer is.
    fn identity(&self) -> Identity;

    /// Features offered in `mode`.
    fn features(&self, mode: Mode) -> Vec<&'static str>;

    /// In [`Mode::Async`]: returns after a full turn of the loop that completes futures, so that what could be completed when
    /// it was called has been.
    fn turn(&self) {}

    /// Performs an operation that no method below stands for (`pipe.create`, `socket.send`, `signal.send`, ...). The kit
    /// closes an object itself.
    fn other(&self, call: &Call<Self>) -> Outcome
    where
        Self: Sized,
    {
        Err(Failure::unsupported(format!("the peer does not know {}", call.name_of_operation()))).into()
    }

    /// Kind and name in a textual name.
    fn name_parse(&self, _text: &[u8]) -> Result<(NameKind, Vec<u8>), Failure> {
        not_offered()
    }

    /// Text of a name.
    fn name_format(&self, _name: &Name) -> Result<Vec<u8>, Failure> {
        not_offered()
    }

    /// Address that `os` binds for a name; `None` is this system.
    fn name_native(&self, _name: &Name, _os: Option<&str>) -> Result<Vec<u8>, Failure> {
        not_offered()
    }

    /// Longest name of a kind on `os`.
    fn name_limit(&self, _kind: NameKind, _os: Option<&str>) -> Result<u64, Failure> {
        not_offered()
    }

    /// Binds and listens; the listener and the address bound.
    fn listen(&self, _name: &Name, _options: &ListenOptions) -> Result<(Self::Listener, Vec<u8>), Failure> {
        not_offered()
    }

    /// Connects.
    fn connect(&self, _name: &Name, _options: StreamOptions) -> Result<Self::Stream, Failure> {
        not_offered()
    }

    /// Takes the next connection.
    fn accept(&self, _listener: &Self::Listener, _options: StreamOptions) -> Result<Self::Stream, Failure> {
        not_offered()
    }

    /// Address that a listener is bound to.
    fn listener_native(&self, _listener: &Self::Listener) -> Result<Vec<u8>, Failure> {
        not_offered()
    }

    /// Descriptor on which a user of the library waits for a connection; `None` if the library shows none, and then
    /// `accept` waits by itself in every mode.
    fn listener_poll_fd(&self, _listener: &Self::Listener) -> Option<RawFd> {
        None
    }

    /// The library's switch.
    fn listener_set_nonblocking(&self, _listener: &Self::Listener, _nonblocking: bool) -> Result<(), Failure> {
        not_offered()
    }

    /// The descriptor, borrowed.
    fn listener_raw(&self, _listener: &Self::Listener) -> Result<RawFd, Failure> {
        not_offered()
    }

    /// The descriptor, given away.
    fn listener_release(&self, _listener: Self::Listener) -> Result<RawFd, Failure> {
        not_offered()
    }

    /// A listener of an open descriptor, which it owns if this succeeds.
    fn listener_adopt(&self, _fd: RawFd, _nonblocking: bool) -> Result<Self::Listener, Failure> {
        not_offered()
    }

    /// Closes.
    fn listener_close(&self, listener: Self::Listener) -> Result<(), Failure> {
        drop(listener);
        Ok(())
    }

    /// One call of the library's read: 0 for a buffer that is not empty is the end.
    fn read(&self, _stream: &Self::Stream, _buffer: &mut [u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        not_offered()
    }

    /// One call of the library's write.
    fn write(&self, _stream: &Self::Stream, _data: &[u8], _timeout_ms: Option<u64>) -> Result<usize, Failure> {
        not_offered()
    }

    /// One call of the library's vectored read.
    fn read_vectored(
        &self,
        _stream: &Self::Stream,
        _buffers: &mut [std::io::IoSliceMut],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        not_offered()
    }

    /// One call of the library's vectored write.
    fn write_vectored(
        &self,
        _stream: &Self::Stream,
        _buffers: &[std::io::IoSlice],
        _timeout_ms: Option<u64>,
    ) -> Result<usize, Failure> {
        not_offered()
    }

    /// Hands on what the library holds back.
    fn flush(&self, _stream: &Self::Stream) -> Result<(), Failure> {
        not_offered()
    }

    /// A reading and a writing half.
    fn split(&self, stream: Self::Stream) -> OrBack<(Self::Stream, Self::Stream), Self::Stream> {
        Err((stream, Failure::unsupported("not offered")))
    }

    /// Who is at the other end.
    fn peer_credentials(&self, _stream: &Self::Stream) -> Result<Credentials, Failure> {
        not_offered()
    }

    /// Descriptor on which a user of the library waits for readiness.
    fn stream_poll_fd(&self, _stream: &Self::Stream) -> Option<RawFd> {
        None
    }

    /// The library's switch.
    fn stream_set_nonblocking(&self, _stream: &Self::Stream, _nonblocking: bool) -> Result<(), Failure> {
        not_offered()
    }

    /// The descriptor, borrowed.
    fn stream_raw(&self, _stream: &Self::Stream) -> Result<RawFd, Failure> {
        not_offered()
    }

    /// The descriptor, given away. A stream that cannot (a half) is given back beside the reason.
    fn stream_release(&self, stream: Self::Stream) -> OrBack<RawFd, Self::Stream> {
        Err((stream, Failure::unsupported("not offered")))
    }

    /// A stream of an open descriptor, which it owns if this succeeds.
    fn stream_adopt(&self, _fd: RawFd, _nonblocking: bool) -> Result<Self::Stream, Failure> {
        not_offered()
    }

    /// Closes.
    fn stream_close(&self, stream: Self::Stream) -> Result<(), Failure> {
        drop(stream);
        Ok(())
    }

    /// Closes in a reset. Where a close waits for the other end, this one does not: a reset must end.
    fn stream_discard(&self, stream: Self::Stream) {
        let _ = self.stream_close(stream);
    }

    /// The same for an object.
    fn object_discard(&self, object: Self::Object) {
        drop(object);
    }
}
