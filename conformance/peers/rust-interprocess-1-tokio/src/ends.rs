//! What the crate's local sockets and its Unix domain streams have in common: a stream and its halves, through the traits
//! of `futures-io`, which ask for `&mut`.

use cts_peer::{Failure, Tasks};
use futures_io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A stream, or a half of one.
pub enum Ends<W, R, S> {
    Whole(W),
    Reader(R),
    Writer(S),
}

/// Ends behind the `&mut` that they ask for. The kit lets one lane at a time in, so the lock is never waited for.
pub struct Stream<W, R, S>(Mutex<Ends<W, R, S>>);

/// A half has no call for the other direction.
pub fn wrong_half() -> Failure {
    Failure::unsupported("the half has no such call")
}

impl<W, R, S> Ends<W, R, S>
where
    W: AsyncRead + AsyncWrite + Unpin + Send,
    R: AsyncRead + Unpin + Send,
    S: AsyncWrite + Unpin + Send,
{
    fn reader(&mut self) -> Result<Pin<&mut (dyn AsyncRead + Unpin + Send)>, Failure> {
        match self {
            Ends::Whole(stream) => Ok(Pin::new(stream)),
            Ends::Reader(half) => Ok(Pin::new(half)),
            Ends::Writer(_) => Err(wrong_half()),
        }
    }

    pub fn writer(&mut self) -> Result<Pin<&mut (dyn AsyncWrite + Unpin + Send)>, Failure> {
        match self {
            Ends::Whole(stream) => Ok(Pin::new(stream)),
            Ends::Writer(half) => Ok(Pin::new(half)),
            Ends::Reader(_) => Err(wrong_half()),
        }
    }
}

impl<W, R, S> Stream<W, R, S>
where
    W: AsyncRead + AsyncWrite + Unpin + Send,
    R: AsyncRead + Unpin + Send,
    S: AsyncWrite + Unpin + Send,
{
    pub fn new(ends: Ends<W, R, S>) -> Self {
        Stream(Mutex::new(ends))
    }

    pub fn whole(stream: W) -> Self {
        Stream::new(Ends::Whole(stream))
    }

    pub fn lock(&self) -> MutexGuard<'_, Ends<W, R, S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn into_ends(self) -> Ends<W, R, S> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn read(&self, tasks: &Tasks, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut ends = self.lock();
        let mut reader = ends.reader()?;
        tasks.wait(poll_fn(|context| reader.as_mut().poll_read(context, buffer)))
    }

    pub fn write(&self, tasks: &Tasks, data: &[u8]) -> Result<usize, Failure> {
        let mut ends = self.lock();
        let mut writer = ends.writer()?;
        tasks.wait(poll_fn(|context| writer.as_mut().poll_write(context, data)))
    }

    pub fn read_vectored(&self, tasks: &Tasks, buffers: &mut [IoSliceMut]) -> Result<usize, Failure> {
        let mut ends = self.lock();
        let mut reader = ends.reader()?;
        tasks.wait(poll_fn(|context| reader.as_mut().poll_read_vectored(context, buffers)))
    }

    pub fn write_vectored(&self, tasks: &Tasks, buffers: &[IoSlice]) -> Result<usize, Failure> {
        let mut ends = self.lock();
        let mut writer = ends.writer()?;
        tasks.wait(poll_fn(|context| writer.as_mut().poll_write_vectored(context, buffers)))
    }

    pub fn flush(&self, tasks: &Tasks) -> Result<(), Failure> {
        let mut ends = self.lock();
        let mut writer = ends.writer()?;
        tasks.wait(poll_fn(|context| writer.as_mut().poll_flush(context)))
    }
}
