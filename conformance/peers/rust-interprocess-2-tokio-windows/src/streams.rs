//! Streams: local sockets and halves of them, and the ends of unnamed pipes.

use crate::Interprocess2;
use cts_peer::{Call, Failure, OrBack, RawFd, Results, Tasks};
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::tokio::{RecvHalf, SendHalf, Stream as LocalSocket};
use interprocess::os::windows::named_pipe::local_socket::tokio as pipe_socket;
use interprocess::os::windows::unnamed_pipe::tokio::CreationOptionsExt;
use interprocess::os::windows::unnamed_pipe::CreationOptions;
use interprocess::unnamed_pipe::tokio::{pipe, Recver, Sender};
use std::num::NonZeroUsize;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle, RawHandle};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A stream or a half of one. The ends of pipes ask for `&mut`: one lane at a time uses one.
pub enum Stream {
    Whole(LocalSocket),
    Reader(RecvHalf),
    Writer(SendHalf),
    Recver(Box<Mutex<Recver>>),
    Sender(Box<Mutex<Sender>>),
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

fn wrong_end() -> Failure {
    Failure::unsupported("the stream, half or end has no such call")
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

    pub fn read(&self, tasks: &Tasks, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => tasks.wait((&mut &*stream).read(buffer)),
            Stream::Reader(half) => tasks.wait((&mut &*half).read(buffer)),
            Stream::Recver(end) => tasks.wait(lone(end)?.read(buffer)),
            Stream::Writer(_) | Stream::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn write(&self, tasks: &Tasks, data: &[u8]) -> Result<usize, Failure> {
        match self {
            Stream::Whole(stream) => tasks.wait((&mut &*stream).write(data)),
            Stream::Writer(half) => tasks.wait((&mut &*half).write(data)),
            Stream::Sender(end) => tasks.wait(lone(end)?.write(data)),
            Stream::Reader(_) | Stream::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn flush(&self, tasks: &Tasks) -> Result<(), Failure> {
        match self {
            Stream::Whole(stream) => tasks.wait((&mut &*stream).flush()),
            Stream::Writer(half) => tasks.wait((&mut &*half).flush()),
            Stream::Sender(end) => tasks.wait(lone(end)?.flush()),
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
            Stream::Whole(LocalSocket::NamedPipe(stream)) => raw(stream),
            Stream::Reader(RecvHalf::NamedPipe(half)) => raw(half),
            Stream::Writer(SendHalf::NamedPipe(half)) => raw(half),
            Stream::Recver(end) => raw(&*end.lock().unwrap_or_else(PoisonError::into_inner)),
            Stream::Sender(end) => raw(&*end.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Closes without a flush by the crate's threads, which would wait for the reader and hold up what comes behind it.
    pub fn discard(self) {
        match &self {
            Stream::Whole(LocalSocket::NamedPipe(stream)) => stream.inner().assume_flushed(),
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
                Stream::Recver(Box::new(Mutex::new(Recver::try_from(owned)?)))
            } else {
                Stream::Sender(Box::new(Mutex::new(Sender::try_from(owned)?)))
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

/// The flags of a pipe and its limit of instances.
fn info(pipe: RawHandle) -> Result<(u32, u32), Failure> {
    let (mut flags, mut instances_max, none) = (0, 0, std::ptr::null_mut());
    // SAFETY: room for both.
    if unsafe { GetNamedPipeInfo(pipe, &mut flags, none, none, &mut instances_max) } == 0 {
        return Err(Failure::invalid_argument("no handle of a pipe, which the crate must not be given"));
    }
    Ok((flags, instances_max))
}

pub fn create_pipe(tasks: &Tasks, call: &Call<Interprocess2>) -> Result<Results, Failure> {
    let _entered = tasks.enter();
    call.begin();
    let (sender, recver) = match call.arguments.unsigned("capacity") {
        None => pipe()?,
        Some(capacity) => {
            CreationOptions::new().buffer_size_hint(NonZeroUsize::new(capacity as usize)).create_tokio()?
        }
    };
    call.add_stream("read_as", Stream::Recver(Box::new(Mutex::new(recver))));
    call.add_stream("write_as", Stream::Sender(Box::new(Mutex::new(sender))));
    Ok(Vec::new())
}
