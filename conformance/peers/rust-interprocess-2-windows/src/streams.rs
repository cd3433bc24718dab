//! Streams: local sockets and halves of them, and the ends of unnamed pipes.

use crate::Interprocess2Windows;
use cts_peer::{Call, Failure, OrBack, RawFd, Results};
use interprocess::local_socket::prelude::*;
use interprocess::local_socket::{self, RecvHalf, SendHalf};
use interprocess::os::windows::named_pipe::local_socket as pipe_socket;
use interprocess::os::windows::unnamed_pipe::CreationOptions;
use interprocess::unnamed_pipe::{self, Recver, Sender};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::num::NonZeroUsize;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A stream or a half of one. The ends of pipes ask for `&mut`: one lane at a time uses one.
pub enum Stream {
    Whole(local_socket::Stream),
    Reader(RecvHalf),
    Writer(SendHalf),
    Recver(Mutex<Recver>),
    Sender(Mutex<Sender>),
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

fn into_inner<T>(end: Mutex<T>) -> T {
    end.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn wrong_end() -> Failure {
    Failure::unsupported("the end has no such call")
}

fn raw(end: &impl AsHandle) -> RawFd {
    end.as_handle().as_raw_handle() as RawFd
}

impl Stream {
    /// Which process is at the other end: of a half its pipe says so.
    pub fn peer_pid(&self) -> Result<Option<u32>, Failure> {
        match self {
            Stream::Whole(stream) => Ok(stream.peer_creds()?.pid()),
            Stream::Reader(RecvHalf::NamedPipe(half)) => Ok(Some(half.as_ref().peer_process_id()?)),
            Stream::Writer(SendHalf::NamedPipe(half)) => Ok(Some(half.as_ref().peer_process_id()?)),
            Stream::Recver(_) | Stream::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Failure> {
        match self {
            Stream::Whole(stream) => Ok(stream.set_nonblocking(nonblocking)?),
            Stream::Reader(RecvHalf::NamedPipe(half)) => Ok(half.as_ref().set_nonblocking(nonblocking)?),
            Stream::Writer(SendHalf::NamedPipe(half)) => Ok(half.as_ref().set_nonblocking(nonblocking)?),
            Stream::Recver(_) | Stream::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => Ok((&*stream).read(buffer)?),
            Stream::Reader(half) => Ok((&*half).read(buffer)?),
            Stream::Recver(end) => Ok(lone(end)?.read(buffer)?),
            Stream::Writer(_) | Stream::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => Ok((&*stream).write(data)?),
            Stream::Writer(half) => Ok((&*half).write(data)?),
            Stream::Sender(end) => Ok(lone(end)?.write(data)?),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn read_vectored(&self, buffers: &mut [IoSliceMut]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => Ok((&*stream).read_vectored(buffers)?),
            Stream::Reader(half) => Ok((&*half).read_vectored(buffers)?),
            Stream::Recver(end) => Ok(lone(end)?.read_vectored(buffers)?),
            Stream::Writer(_) | Stream::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn write_vectored(&self, buffers: &[IoSlice]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => Ok((&*stream).write_vectored(buffers)?),
            Stream::Writer(half) => Ok((&*half).write_vectored(buffers)?),
            Stream::Sender(end) => Ok(lone(end)?.write_vectored(buffers)?),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn flush(&self) -> Result<(), Failure> {
        match self {
            Stream::Whole(stream) => Ok((&*stream).flush()?),
            Stream::Writer(half) => Ok((&*half).flush()?),
            Stream::Sender(end) => Ok(lone(end)?.flush()?),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn split(self) -> OrBack<(Stream, Stream), Stream> {
        match self {
            Stream::Whole(stream) => {
                let (reader, writer) = stream.split();
                Ok((Stream::Reader(reader), Stream::Writer(writer)))
            }
            half => Err((half, wrong_end())),
        }
    }

    pub fn raw(&self) -> RawFd {
        match self {
            Stream::Whole(local_socket::Stream::NamedPipe(stream)) => raw(stream),
            Stream::Reader(RecvHalf::NamedPipe(half)) => raw(half),
            Stream::Writer(SendHalf::NamedPipe(half)) => raw(half),
            Stream::Recver(end) => raw(&*end.lock().unwrap_or_else(PoisonError::into_inner)),
            Stream::Sender(end) => raw(&*end.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub fn release(self) -> OrBack<RawFd, Stream> {
        let handle = match self {
            Stream::Whole(local_socket::Stream::NamedPipe(stream)) => OwnedHandle::from(stream),
            Stream::Recver(end) => OwnedHandle::from(into_inner(end)),
            Stream::Sender(end) => OwnedHandle::from(into_inner(end)),
            half => return Err((half, wrong_end())),
        };
        Ok(handle.into_raw_handle() as RawFd)
    }

    /// Closes without a flush by the crate's threads, which would wait for the reader and hold up what comes behind it.
    pub fn discard(self) {
        match &self {
            Stream::Whole(local_socket::Stream::NamedPipe(stream)) => stream.inner().assume_flushed(),
            Stream::Writer(SendHalf::NamedPipe(half)) => half.as_ref().assume_flushed(),
            _ => (),
        }
    }

    /// A stream of a handle: what it is of, a program knows and the peer asks. An unnamed pipe has one instance, whose
    /// server reads.
    pub fn adopt(handle: RawFd) -> Result<Stream, Failure> {
        let raw = handle as RawHandle;
        let (flags, instances_max) = info(raw)?;
        // SAFETY: the kit has asked that the handle is open, and it is the stream's from here on; else it is given back.
        let owned = unsafe { OwnedHandle::from_raw_handle(raw) };
        if instances_max == 1 {
            return Ok(if flags & PIPE_SERVER_END != 0 {
                Stream::Recver(Mutex::new(Recver::from(owned)))
            } else {
                Stream::Sender(Mutex::new(Sender::from(owned)))
            });
        }
        match pipe_socket::Stream::try_from(owned) {
            Ok(stream) => Ok(Stream::Whole(stream.into())),
            Err(error) => {
                let why = error.to_string();
                let _ = error.source.map(IntoRawHandle::into_raw_handle);
                Err(error.cause.map_or_else(|| Failure::invalid_argument(why), Failure::from))
            }
        }
    }
}

#[link(name = "kernel32")]
extern "system" {
    fn GetNamedPipeInfo(pipe: RawHandle, flags: *mut u32, out: *mut u32, input: *mut u32, max: *mut u32) -> i32;
}
const PIPE_SERVER_END: u32 = 1;
pub const PIPE_TYPE_MESSAGE: u32 = 4;

/// The flags of a pipe and its limit of instances.
pub fn info(pipe: RawHandle) -> Result<(u32, u32), Failure> {
    let (mut flags, mut instances_max, none) = (0, 0, std::ptr::null_mut());
    // SAFETY: room for both.
    if unsafe { GetNamedPipeInfo(pipe, &mut flags, none, none, &mut instances_max) } == 0 {
        return Err(Failure::invalid_argument("no handle of a pipe, which the crate must not be given"));
    }
    Ok((flags, instances_max))
}

pub fn create_pipe(call: &Call<Interprocess2Windows>) -> Result<Results, Failure> {
    call.begin();
    let (sender, recver) = match call.arguments.unsigned("capacity") {
        None => unnamed_pipe::pipe()?,
        Some(capacity) => CreationOptions::new().buffer_size_hint(NonZeroUsize::new(capacity as usize)).create()?,
    };
    call.add_stream("read_as", Stream::Recver(Mutex::new(recver)));
    call.add_stream("write_as", Stream::Sender(Mutex::new(sender)));
    Ok(Vec::new())
}
