//! A whole peer, for the local sockets of Rust's standard library: an example, and what the kit's tests talk to.

use cts_peer::{Call, Failure, Identity, Library, ListenOptions, Mode, Name, NameKind, OrBack, Outcome, StreamOptions};
use std::ffi::OsStr;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

struct StdUnix;

/// The path in a name; this peer offers no other kind.
fn path(name: &Name) -> Result<&Path, Failure> {
    if name.kind == NameKind::Namespaced || name.bytes.first() == Some(&0) {
        return Err(Failure::unsupported("paths only"));
    }
    Ok(Path::new(OsStr::from_bytes(&name.bytes)))
}

impl Library for StdUnix {
    type Listener = UnixListener;
    type Stream = UnixStream;
    type Object = ();

    // `&UnixStream` reads and writes.
    const SHARED_STREAMS: bool = true;

    fn identity(&self) -> Identity {
        Identity {
            implementation: "rust-std",
            version: "1".to_owned(),
            modes: &[Mode::Blocking, Mode::Nonblocking],
            operations: &[
                "local.listen",
                "local.connect",
                "listener.accept",
                "listener.set_nonblocking",
                "listener.close",
                "stream.read",
                "stream.read_vectored",
                "stream.write",
                "stream.write_vectored",
                "stream.set_nonblocking",
                "stream.raw",
                "stream.release",
                "stream.adopt",
                "stream.close",
                "stream.shutdown",
            ],
            traits: &["keeps_name"],
        }
    }

    fn features(&self, mode: Mode) -> Vec<&'static str> {
        match mode {
            Mode::Blocking => vec!["lanes", "stream.duplex", "name.path"],
            Mode::Nonblocking => vec!["lanes", "stream.duplex", "name.path", "close_while_in_use"],
            Mode::Async => unreachable!("not in modes"),
        }
    }

    fn listen(&self, name: &Name, options: &ListenOptions) -> Result<(UnixListener, Vec<u8>), Failure> {
        let listener = UnixListener::bind(path(name)?)?;
        listener.set_nonblocking(options.nonblocking)?;
        Ok((listener, name.bytes.clone()))
    }

    fn connect(&self, name: &Name, options: StreamOptions) -> Result<UnixStream, Failure> {
        let stream = UnixStream::connect(path(name)?)?;
        stream.set_nonblocking(options.nonblocking)?;
        Ok(stream)
    }

    fn accept(&self, listener: &UnixListener, options: StreamOptions) -> Result<UnixStream, Failure> {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(options.nonblocking)?;
        Ok(stream)
    }

    fn listener_poll_fd(&self, listener: &UnixListener) -> Option<RawFd> {
        Some(listener.as_raw_fd())
    }

    fn listener_set_nonblocking(&self, listener: &UnixListener, nonblocking: bool) -> Result<(), Failure> {
        Ok(listener.set_nonblocking(nonblocking)?)
    }

    fn read(&self, mut stream: &UnixStream, buffer: &mut [u8], _: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.read(buffer)?)
    }

    fn write(&self, mut stream: &UnixStream, data: &[u8], _: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.write(data)?)
    }

    fn read_vectored(
        &self,
        mut stream: &UnixStream,
        buffers: &mut [IoSliceMut],
        _: Option<u64>,
    ) -> Result<usize, Failure> {
        Ok(stream.read_vectored(buffers)?)
    }

    fn write_vectored(&self, mut stream: &UnixStream, buffers: &[IoSlice], _: Option<u64>) -> Result<usize, Failure> {
        Ok(stream.write_vectored(buffers)?)
    }

    fn stream_poll_fd(&self, stream: &UnixStream) -> Option<RawFd> {
        Some(stream.as_raw_fd())
    }

    fn stream_set_nonblocking(&self, stream: &UnixStream, nonblocking: bool) -> Result<(), Failure> {
        Ok(stream.set_nonblocking(nonblocking)?)
    }

    fn stream_raw(&self, stream: &UnixStream) -> Result<RawFd, Failure> {
        Ok(stream.as_raw_fd())
    }

    fn stream_release(&self, stream: UnixStream) -> OrBack<RawFd, UnixStream> {
        Ok(stream.into_raw_fd())
    }

    fn stream_adopt(&self, fd: RawFd, nonblocking: bool) -> Result<UnixStream, Failure> {
        // SAFETY: the kit has asked that the descriptor is open, and it is the stream's from here on.
        let stream = unsafe { UnixStream::from_raw_fd(fd) };
        if let Err(error) = stream.set_nonblocking(nonblocking) {
            let _ = stream.into_raw_fd();
            return Err(error.into());
        }
        Ok(stream)
    }

    // What the kit has no method for.
    fn other(&self, call: &Call<Self>) -> Outcome {
        let how = match call.arguments.text("how") {
            Some("read") => Shutdown::Read,
            Some("write") => Shutdown::Write,
            _ => Shutdown::Both,
        };
        call.with_stream(false, |stream| Ok(stream.shutdown(how)?)).map(|()| Vec::new()).into()
    }
}

fn main() -> std::io::Result<()> {
    cts_peer::run(StdUnix)
}
