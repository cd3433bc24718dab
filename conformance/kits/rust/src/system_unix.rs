//! What Unix alone has: descriptors, the way to keep the channel from the library and from children, and poll(2).

use crate::process::CONTROL_VARIABLE;
use crate::status::Failure;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

pub use std::os::fd::RawFd;

/// What the protocol calls a [`RawFd`].
pub const RAW_KIND: &str = "fd";
/// The part of `operations.json` with this system's errors.
pub const ERRORS: &str = "errno";
/// Events of [`Wake::wait`].
pub const READABLE: i16 = libc::POLLIN;
pub const WRITABLE: i16 = libc::POLLOUT;

/// Lowest descriptor the channel moves to: what a library opens first stays where it would be without the channel.
const CHANNEL_FD_MIN: RawFd = 64;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// A close-on-exec duplicate of `fd` out of the way of low descriptors.
fn moved(fd: RawFd) -> io::Result<File> {
    // SAFETY: fcntl touches no memory; the new descriptor has no other owner.
    unsafe { Ok(File::from_raw_fd(check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, CHANNEL_FD_MIN))?)) }
}

/// Takes standard input and output for the channel; 0 becomes the null device and 1 standard error, so that nothing
/// that a library reads or prints there can meet the channel. In a child of another peer the channel is the connection
/// to the socket that the environment names, and the variable goes.
pub fn take_standard_streams() -> io::Result<(File, File)> {
    let control = std::env::var_os(CONTROL_VARIABLE);
    let connection = control.as_ref().map(UnixStream::connect).transpose()?;
    std::env::remove_var(CONTROL_VARIABLE);
    let connected = connection.as_ref().map(AsRawFd::as_raw_fd);
    let input = moved(connected.unwrap_or(0))?;
    let output = moved(connected.unwrap_or(1))?;
    let null = File::open("/dev/null")?;
    // SAFETY: dup2 touches no memory; 0 and 1 belong to the process as a whole.
    unsafe {
        check(libc::dup2(null.as_raw_fd(), 0))?;
        check(libc::dup2(2, 1))?;
    }
    Ok((input, output))
}

/// Ends the process at once. _exit runs no destructors and no exit handlers: nothing that other threads do can delay it.
pub fn end_process(status: i32) -> ! {
    // SAFETY: nothing is left to be done.
    unsafe { libc::_exit(status) }
}

/// The calling thread, as the system knows it; 0 if it has no number.
pub fn thread_id() -> i64 {
    #[cfg(target_os = "linux")]
    // SAFETY: gettid has no arguments and cannot fail.
    return unsafe { libc::syscall(libc::SYS_gettid) };
    #[cfg(not(target_os = "linux"))]
    0
}

/// Nothing: a runner finds threads by their number here.
pub fn describe_thread() {}

/// Whether a descriptor is open.
pub fn check_open(fd: RawFd) -> io::Result<()> {
    // SAFETY: fcntl touches no memory.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).map(drop)
}

/// Closes a descriptor.
///
/// # Safety
/// Nobody uses it any more.
pub unsafe fn close_raw(fd: RawFd) {
    unsafe { libc::close(fd) };
}

/// The number that this system gives a symbolic name; `None` if it has none.
pub fn error_number(name: &str) -> Option<i32> {
    macro_rules! numbers {
        ($($name:ident)*) => { match name { $(stringify!($name) => Some(libc::$name),)* _ => None } };
    }
    numbers!(EAGAIN EWOULDBLOCK EINPROGRESS ETIMEDOUT ECANCELED EINTR EINVAL EFAULT EBADF ENOTSOCK ENAMETOOLONG ENOENT
        ENOTDIR ENXIO ECONNREFUSED EPROTOTYPE EADDRINUSE EEXIST EACCES EPERM EROFS ELOOP EBUSY EPIPE ESHUTDOWN
        ECONNRESET ECONNABORTED ENOTCONN EDESTADDRREQ EISCONN EMSGSIZE EPROTO EBADMSG ESRCH ENOSYS EOPNOTSUPP ENOTSUP
        EAFNOSUPPORT EPROTONOSUPPORT EMFILE ENFILE ENOMEM ENOBUFS ENOSPC ETOOMANYREFS)
}

/// Ends one thread's waiting for readiness, from another one.
#[derive(Default)]
pub struct Wake {
    /// Made by the first wait: its reading end becomes readable with the wake.
    pipe: OnceLock<(OwnedFd, OwnedFd)>,
    making: Mutex<()>,
}

impl Wake {
    /// Ends the wait that is under way, and those that come.
    pub fn set(&self) {
        if let Some((_, writer)) = self.pipe.get() {
            // SAFETY: one byte from a static array. One byte always fits into the empty pipe.
            unsafe { libc::write(writer.as_raw_fd(), [0u8].as_ptr().cast(), 1) };
        }
    }

    /// Waits until `fd` is ready for `events`, or until `ended` says so, which is asked once `set` reaches this.
    pub fn wait(&self, fd: RawFd, events: i16, ended: impl Fn() -> bool) -> Result<(), Failure> {
        let wake = self.pipe()?;
        loop {
            // Looked at after the pipe exists: a wake before that left no byte in it.
            if ended() {
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
