//! Unnamed pipes, and FIFO files: the crate makes those, and programs open them with `std::fs`.

use crate::{Interprocess2, Stream};
use cts_peer::{Call, Failure, Mode, Results};
use interprocess::os::unix::fifo_file;
use interprocess::os::unix::unnamed_pipe::{self, UnnamedPipeExt};
use interprocess::unnamed_pipe::{Recver, Sender};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// One end of a pipe or FIFO. Those of the crate ask for `&mut`: one lane at a time uses one.
pub enum End {
    Recver(Mutex<Recver>),
    Sender(Mutex<Sender>),
    Fifo(File),
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
    Failure::unsupported("the end has no such call")
}

impl End {
    /// An end of a descriptor; `None` if it is of no pipe.
    pub fn adopt(fd: RawFd, nonblocking: bool) -> Result<Option<End>, Failure> {
        // SAFETY: the kit has asked that the descriptor is open; it is given back unless it is the end's from here on.
        let file = unsafe { File::from_raw_fd(fd) };
        let is_fifo = file.metadata().map(|data| data.file_type().is_fifo());
        let owned = OwnedFd::from(file);
        if !matches!(is_fifo, Ok(true)) {
            std::mem::forget(owned);
            return Ok(None);
        }
        // SAFETY: fcntl touches no memory.
        let access = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_ACCMODE;
        let end = if access == libc::O_RDONLY {
            End::Recver(Mutex::new(owned.into()))
        } else {
            End::Sender(Mutex::new(owned.into()))
        };
        if nonblocking {
            end.set_nonblocking(true)?;
        }
        Ok(Some(end))
    }

    pub fn fd(&self) -> RawFd {
        match self {
            End::Recver(end) => end.lock().unwrap_or_else(PoisonError::into_inner).as_fd().as_raw_fd(),
            End::Sender(end) => end.lock().unwrap_or_else(PoisonError::into_inner).as_fd().as_raw_fd(),
            End::Fifo(file) => file.as_raw_fd(),
        }
    }

    /// A `File` has no switch, and waits by itself in every mode.
    pub fn poll_fd(&self) -> Option<RawFd> {
        (!matches!(self, End::Fifo(_))).then(|| self.fd())
    }

    pub fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Failure> {
        match self {
            End::Recver(end) => Ok(lone(end)?.set_nonblocking(nonblocking)?),
            End::Sender(end) => Ok(lone(end)?.set_nonblocking(nonblocking)?),
            End::Fifo(_) => Err(wrong_end()),
        }
    }

    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Failure> {
        match self {
            End::Recver(end) => Ok(lone(end)?.read(buffer)?),
            End::Fifo(file) => Ok((&mut &*file).read(buffer)?),
            End::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn write(&self, data: &[u8]) -> Result<usize, Failure> {
        match self {
            End::Sender(end) => Ok(lone(end)?.write(data)?),
            End::Fifo(file) => Ok((&mut &*file).write(data)?),
            End::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn read_vectored(&self, buffers: &mut [IoSliceMut]) -> Result<usize, Failure> {
        match self {
            End::Recver(end) => Ok(lone(end)?.read_vectored(buffers)?),
            End::Fifo(file) => Ok((&mut &*file).read_vectored(buffers)?),
            End::Sender(_) => Err(wrong_end()),
        }
    }

    pub fn write_vectored(&self, buffers: &[IoSlice]) -> Result<usize, Failure> {
        match self {
            End::Sender(end) => Ok(lone(end)?.write_vectored(buffers)?),
            End::Fifo(file) => Ok((&mut &*file).write_vectored(buffers)?),
            End::Recver(_) => Err(wrong_end()),
        }
    }

    pub fn flush(&self) -> Result<(), Failure> {
        match self {
            End::Sender(end) => Ok(lone(end)?.flush()?),
            End::Fifo(file) => Ok((&mut &*file).flush()?),
            End::Recver(_) => Err(wrong_end()),
        }
    }
}

impl From<End> for OwnedFd {
    fn from(end: End) -> OwnedFd {
        match end {
            End::Recver(end) => end.into_inner().unwrap_or_else(PoisonError::into_inner).into(),
            End::Sender(end) => end.into_inner().unwrap_or_else(PoisonError::into_inner).into(),
            End::Fifo(file) => file.into(),
        }
    }
}

pub fn create(call: &Call<Interprocess2>) -> Result<Results, Failure> {
    call.begin();
    let (sender, recver) = unnamed_pipe::pipe(call.mode == Mode::Nonblocking)?;
    call.add_stream("read_as", Stream::Pipe(End::Recver(Mutex::new(recver))));
    call.add_stream("write_as", Stream::Pipe(End::Sender(Mutex::new(sender))));
    Ok(Vec::new())
}

fn path_of<'a>(call: &'a Call<Interprocess2>) -> &'a Path {
    Path::new(OsStr::from_bytes(call.arguments.bytes("path")))
}

/// A path with a NUL is the standard library's `InvalidInput`.
fn path_failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            Failure::new("invalid_name", error.to_string())
        }
        _ => error.into(),
    }
}

pub fn create_fifo(call: &Call<Interprocess2>) -> Result<Results, Failure> {
    let mode = call.arguments.unsigned("mode").unwrap_or(0) as libc::mode_t;
    call.begin();
    fifo_file::create_fifo(path_of(call), mode).map_err(path_failure)?;
    Ok(Vec::new())
}

pub fn open_fifo(call: &Call<Interprocess2>) -> Result<Results, Failure> {
    let reads = call.arguments.text("direction") == Some("read");
    call.may_wait_in_library();
    call.begin();
    let file = OpenOptions::new().read(reads).write(!reads).open(path_of(call)).map_err(path_failure)?;
    call.add_stream("as", Stream::Pipe(End::Fifo(file)));
    Ok(Vec::new())
}
