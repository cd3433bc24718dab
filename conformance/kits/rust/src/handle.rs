//! Handles, and the end of the kit's own waiting on them.

use crate::status::Failure;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

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
    /// Made by the first wait: its reading end becomes readable with the cancel.
    pipe: OnceLock<(OwnedFd, OwnedFd)>,
    making: Mutex<()>,
}

impl Cancel {
    /// From now on every wait ends at once.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some((_, writer)) = self.pipe.get() {
            // SAFETY: one byte from a static array. One byte always fits into the empty pipe.
            unsafe { libc::write(writer.as_raw_fd(), [0u8].as_ptr().cast(), 1) };
        }
    }

    /// True once `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until `fd` is ready for `events` (POLLIN, POLLOUT), however long that takes.
    pub fn wait(&self, fd: RawFd, events: i16) -> Result<(), Failure> {
        let wake = self.pipe()?;
        loop {
            // Looked at after the pipe exists: a cancel before that left no byte in it.
            if self.is_cancelled() {
                return Err(Failure::cancelled());
            }
            let mut entries =
                [libc::pollfd { fd, events, revents: 0 }, libc::pollfd { fd: wake, events: libc::POLLIN, revents: 0 }];
            // SAFETY: the array lives for the call and its length is 2.
            if unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) } < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error.into());
                }
            } else if entries[1].revents == 0 {
                return Ok(());
            }
        }
    }

    fn pipe(&self) -> io::Result<RawFd> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reader, _)) = self.pipe.get() {
            return Ok(reader.as_raw_fd());
        }
        let ends = make_pipe()?;
        Ok(self.pipe.get_or_init(|| ends).0.as_raw_fd())
    }
}

/// pipe(2), close-on-exec.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
fn pipe(fds: &mut [RawFd; 2]) -> i32 {
    // SAFETY: room for two descriptors.
    unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }
}

/// pipe(2), close-on-exec a moment later: this system knows no other way.
#[cfg(any(target_os = "macos", target_os = "ios"))]
fn pipe(fds: &mut [RawFd; 2]) -> i32 {
    // SAFETY: room for two descriptors; fcntl touches no memory.
    unsafe {
        let made = libc::pipe(fds.as_mut_ptr());
        if made == 0 {
            fds.iter().for_each(|fd| drop(libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC)));
        }
        made
    }
}

/// A close-on-exec pipe: reading end, writing end.
fn make_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    if pipe(&mut fds) != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: two new descriptors, which have no other owner.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}
