//! Streams: Unix domain sockets, the ends of unnamed pipes, and FIFO files.

use crate::names::{native, spell};
use crate::Interprocess1Unix;
use cts_peer::{Call, Failure, Name, Results};
use interprocess::os::unix::fifo_file;
use interprocess::os::unix::udsocket::{UdStream, UdStreamListener};
use interprocess::unnamed_pipe::{self, UnnamedPipeReader, UnnamedPipeWriter};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A stream. The ends of pipes ask for `&mut`: one lane at a time uses one.
pub enum Stream {
    Socket(UdStream),
    Reader(Mutex<UnnamedPipeReader>),
    Writer(Mutex<UnnamedPipeWriter>),
    Fifo(File),
}

/// The end of a pipe, for the only lane that uses it.
fn lone<T>(pipe: &Mutex<T>) -> Result<MutexGuard<'_, T>, Failure> {
    match pipe.try_lock() {
        Ok(end) => Ok(end),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::unsupported("another lane is inside of the end, which asks for &mut"))
        }
    }
}

impl Stream {
    /// The socket. The ends of pipes have none of its methods.
    pub fn socket(&self) -> Result<&UdStream, Failure> {
        match self {
            Stream::Socket(socket) => Ok(socket),
            _ => Err(Failure::unsupported("the ends of pipes have no such method")),
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(socket.recv(buffer)?),
            Stream::Reader(pipe) => Ok(lone(pipe)?.read(buffer)?),
            Stream::Writer(_) => Err(Failure::unsupported("an UnnamedPipeWriter is not Read")),
            Stream::Fifo(file) => Ok((&mut &*file).read(buffer)?),
        }
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(socket.send(data)?),
            Stream::Writer(pipe) => Ok(lone(pipe)?.write(data)?),
            Stream::Reader(_) => Err(Failure::unsupported("an UnnamedPipeReader is not Write")),
            Stream::Fifo(file) => Ok((&mut &*file).write(data)?),
        }
    }

    pub fn read_vectored(&self, buffers: &mut [IoSliceMut]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(socket.recv_vectored(buffers)?),
            Stream::Reader(pipe) => Ok(lone(pipe)?.read_vectored(buffers)?),
            Stream::Writer(_) => Err(Failure::unsupported("an UnnamedPipeWriter is not Read")),
            Stream::Fifo(file) => Ok((&mut &*file).read_vectored(buffers)?),
        }
    }

    pub fn write_vectored(&self, buffers: &[IoSlice]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(socket.send_vectored(buffers)?),
            Stream::Writer(pipe) => Ok(lone(pipe)?.write_vectored(buffers)?),
            Stream::Reader(_) => Err(Failure::unsupported("an UnnamedPipeReader is not Write")),
            Stream::Fifo(file) => Ok((&mut &*file).write_vectored(buffers)?),
        }
    }

    pub fn raw(&self) -> Result<RawFd, Failure> {
        Ok(match self {
            Stream::Socket(socket) => socket.as_raw_fd(),
            Stream::Reader(pipe) => lone(pipe)?.as_raw_fd(),
            Stream::Writer(pipe) => lone(pipe)?.as_raw_fd(),
            Stream::Fifo(file) => file.as_raw_fd(),
        })
    }

    pub fn release(self) -> RawFd {
        match self {
            Stream::Socket(socket) => socket.into_raw_fd(),
            Stream::Reader(pipe) => pipe.into_inner().unwrap_or_else(PoisonError::into_inner).into_raw_fd(),
            Stream::Writer(pipe) => pipe.into_inner().unwrap_or_else(PoisonError::into_inner).into_raw_fd(),
            Stream::Fifo(file) => file.into_raw_fd(),
        }
    }

    /// A stream of a descriptor: a program knows of what kind it is.
    pub fn adopt(fd: RawFd) -> Result<Stream, Failure> {
        // SAFETY: fstat writes the whole of a plain structure; fcntl touches no memory.
        let (status, flags) = unsafe {
            let mut status: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &mut status) != 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            (status, libc::fcntl(fd, libc::F_GETFL))
        };
        // SAFETY: the kit has asked that the descriptor is open, and it is the stream's from here on.
        Ok(unsafe {
            match (status.st_mode & libc::S_IFMT, flags & libc::O_ACCMODE) {
                (libc::S_IFIFO, libc::O_RDONLY) => Stream::Reader(Mutex::new(UnnamedPipeReader::from_raw_fd(fd))),
                (libc::S_IFIFO, _) => Stream::Writer(Mutex::new(UnnamedPipeWriter::from_raw_fd(fd))),
                _ => Stream::Socket(UdStream::from_raw_fd(fd)),
            }
        })
    }
}

pub fn listen(name: &Name, keep_name: bool) -> Result<(UdStreamListener, Vec<u8>), Failure> {
    let path = spell(name)?;
    let address = native(&path);
    let listener =
        if keep_name { UdStreamListener::bind(path)? } else { UdStreamListener::bind_with_drop_guard(path)? };
    Ok((listener, address))
}

pub fn connect(name: &Name) -> Result<Stream, Failure> {
    Ok(Stream::Socket(UdStream::connect(spell(name)?)?))
}

pub fn unix_listen(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    if !call.arguments.has("kind") || !call.arguments.has("name") {
        return Err(Failure::invalid_argument("the name is missing"));
    }
    let name = call.name_under("kind", "name");
    call.begin();
    let (listener, address) = listen(&name, call.arguments.bool("keep_name") == Some(true))?;
    call.add_listener(listener);
    Ok(vec![("native", cts_peer::to_json(&address))])
}

pub fn shutdown(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let how = match call.arguments.text("how") {
        Some("read") => Shutdown::Read,
        Some("write") => Shutdown::Write,
        _ => Shutdown::Both,
    };
    call.with_stream(false, |stream| Ok(stream.socket()?.shutdown(how)?))?;
    Ok(Vec::new())
}

pub fn create_pipe(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    call.begin();
    let (writer, reader) = unnamed_pipe::pipe()?;
    call.add_stream("read_as", Stream::Reader(Mutex::new(reader)));
    call.add_stream("write_as", Stream::Writer(Mutex::new(writer)));
    Ok(Vec::new())
}

fn path_of<'a>(call: &'a Call<Interprocess1Unix>) -> &'a Path {
    Path::new(OsStr::from_bytes(call.arguments.bytes("path")))
}

pub fn create_fifo(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let mode = call.arguments.unsigned("mode").unwrap_or(0) as libc::mode_t;
    call.begin();
    fifo_file::create_fifo(path_of(call), mode)?;
    Ok(Vec::new())
}

pub fn open_fifo(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let reads = call.arguments.text("direction") == Some("read");
    call.may_wait_in_library();
    call.begin();
    let file = OpenOptions::new().read(reads).write(!reads).open(path_of(call))?;
    call.add_stream("as", Stream::Fifo(file));
    Ok(Vec::new())
}
