//! Handles, and the end of the kit's own waiting on them.

use crate::status::Failure;
use crate::system::{RawFd, Wake};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// A listener or stream of the library under a name of the requester.
pub struct Handle<T> {
    /// Unique in the process: tells who is inside of what.
    pub id: u64,
    /// Gone once the handle is closed. Operations hold the read lock, so whoever takes it out waits for them.
    pub value: RwLock<Option<T>>,
    /// `set_nonblocking` asked for single attempts.
    pub single_attempts: AtomicBool,
    pub cancel: Cancel,
}

impl<T> Handle<T> {
    pub fn new(value: T) -> Handle<T> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        Handle {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            value: RwLock::new(Some(value)),
            single_attempts: AtomicBool::new(false),
            cancel: Cancel::default(),
        }
    }

    /// Takes the library's object out, after every operation on it has returned.
    pub fn take(&self) -> Option<T> {
        self.value.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Ends waits that the kit itself does (`poll`), never one inside the library.
#[derive(Default)]
pub struct Cancel {
    cancelled: AtomicBool,
    wake: Wake,
}

impl Cancel {
    /// From now on every wait ends at once.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.wake.set();
    }

    /// True once `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until `fd` is ready for `events` (`system::READABLE`, `WRITABLE`), however long that takes.
    pub fn wait(&self, fd: RawFd, events: i16) -> Result<(), Failure> {
        self.wake.wait(fd, events, || self.is_cancelled())
    }
}
