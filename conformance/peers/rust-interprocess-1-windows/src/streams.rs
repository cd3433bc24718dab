//! Streams: local sockets, and the ends of unnamed pipes.

use crate::Interprocess1Windows;
use cts_peer::{Call, Failure, RawFd, Results};
use interprocess::local_socket::LocalSocketStream;
use interprocess::os::windows::unnamed_pipe::UnnamedPipeCreationOptions;
use interprocess::unnamed_pipe::{self, UnnamedPipeReader, UnnamedPipeWriter};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::num::NonZeroUsize;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, RawHandle};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A stream behind the `&mut` that it asks for. The kit lets one lane at a time in, so the lock is never waited for.
pub enum Stream {
    Socket(Mutex<LocalSocketStream>),
    Reader(Mutex<UnnamedPipeReader>),
    Writer(Mutex<UnnamedPipeWriter>),
}

fn lone<T>(stream: &Mutex<T>) -> MutexGuard<'_, T> {
    match stream.try_lock() {
        Ok(stream) => stream,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => unreachable!("the kit lets one lane at a time use a stream"),
    }
}

fn wrong_end() -> Failure {
    Failure::unsupported("the end has no such call")
}

impl From<LocalSocketStream> for Stream {
    fn from(stream: LocalSocketStream) -> Stream {
        Stream::Socket(Mutex::new(stream))
    }
}

impl Stream {
    pub fn socket(&self) -> Result<MutexGuard<'_, LocalSocketStream>, Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket)),
            _ => Err(Failure::unsupported("the ends of pipes have no such method")),
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket).read(buffer)?),
            Stream::Reader(pipe) => Ok(lone(pipe).read(buffer)?),
            Stream::Writer(_) => Err(wrong_end()),
        }
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket).write(data)?),
            Stream::Writer(pipe) => Ok(lone(pipe).write(data)?),
            Stream::Reader(_) => Err(wrong_end()),
        }
    }

    pub fn read_vectored(&self, buffers: &mut [IoSliceMut]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket).read_vectored(buffers)?),
            Stream::Reader(pipe) => Ok(lone(pipe).read_vectored(buffers)?),
            Stream::Writer(_) => Err(wrong_end()),
        }
    }

    pub fn write_vectored(&self, buffers: &[IoSlice]) -> Result<usize, Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket).write_vectored(buffers)?),
            Stream::Writer(pipe) => Ok(lone(pipe).write_vectored(buffers)?),
            Stream::Reader(_) => Err(wrong_end()),
        }
    }

    pub fn flush(&self) -> Result<(), Failure> {
        match self {
            Stream::Socket(socket) => Ok(lone(socket).flush()?),
            Stream::Writer(pipe) => Ok(lone(pipe).flush()?),
            Stream::Reader(_) => Err(wrong_end()),
        }
    }

    pub fn raw(&self) -> RawFd {
        (match self {
            Stream::Socket(socket) => lone(socket).as_raw_handle(),
            Stream::Reader(pipe) => lone(pipe).as_raw_handle(),
            Stream::Writer(pipe) => lone(pipe).as_raw_handle(),
        }) as RawFd
    }

    pub fn release(self) -> RawFd {
        (match self {
            Stream::Socket(socket) => socket.into_inner().unwrap_or_else(PoisonError::into_inner).into_raw_handle(),
            Stream::Reader(pipe) => pipe.into_inner().unwrap_or_else(PoisonError::into_inner).into_raw_handle(),
            Stream::Writer(pipe) => pipe.into_inner().unwrap_or_else(PoisonError::into_inner).into_raw_handle(),
        }) as RawFd
    }

    /// Closes without waiting for the reader, for which a server's end has no call: the drop flushes what is connected.
    pub fn discard(self) {
        if matches!(self, Stream::Socket(_)) {
            // SAFETY: the handle is open; a client's end says no.
            unsafe { DisconnectNamedPipe(self.raw() as RawHandle) };
        }
    }

    /// A local socket of a handle. Those of unnamed pipes look the same to the system.
    pub fn adopt(handle: RawFd) -> Result<Stream, Failure> {
        // SAFETY: the kit has asked that the handle is open, and it is the stream's from here on.
        Ok(Stream::from(unsafe { LocalSocketStream::from_raw_handle(handle as RawHandle) }))
    }
}

#[link(name = "kernel32")]
extern "system" {
    fn DisconnectNamedPipe(pipe: RawHandle) -> i32;
}

pub fn create_pipe(call: &Call<Interprocess1Windows>) -> Result<Results, Failure> {
    call.begin();
    let (writer, reader) = match call.arguments.unsigned("capacity") {
        None => unnamed_pipe::pipe()?,
        Some(capacity) => {
            let hint = NonZeroUsize::new(capacity as usize);
            // SAFETY: there is no security descriptor.
            unsafe { UnnamedPipeCreationOptions::new().buffer_size_hint(hint).build()? }
        }
    };
    call.add_stream("read_as", Stream::Reader(Mutex::new(reader)));
    call.add_stream("write_as", Stream::Writer(Mutex::new(writer)));
    Ok(Vec::new())
}
