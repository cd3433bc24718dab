//! Signals: `os::unix::signal`. Its hooks are functions without arguments, so that there is one for each signal.

use crate::Interprocess1Unix;
use cts_peer::{Call, Failure, Results};
use interprocess::os::unix::signal::{self, HandlerOptions, SetHandlerError, SignalHandler, SignalType};
use std::convert::TryFrom;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::Mutex;

/// Highest number of a signal on Linux, and one.
const SIGNALS: usize = 65;

#[allow(clippy::declare_interior_mutable_const)] // the initial value of each element
const ZERO: AtomicU64 = AtomicU64::new(0);
/// Runs of each hook.
static COUNTS: [AtomicU64; SIGNALS] = [ZERO; SIGNALS];
/// The writing end of a pipe that every run of a hook writes to, so that a thread can wait for it.
static BELL: AtomicI32 = AtomicI32::new(-1);

fn hook<const NUMBER: usize>() {
    COUNTS[NUMBER].fetch_add(1, Ordering::SeqCst);
    let fd = BELL.load(Ordering::SeqCst);
    // SAFETY: one byte of a static array; write(2) is safe in a handler, and the pipe does not block.
    unsafe { libc::write(fd, [0u8].as_ptr().cast(), 1) };
}

macro_rules! hooks {
    ($($number:literal)*) => { [$((($number), hook::<$number> as fn())),*] };
}

fn hook_of(number: i32) -> Option<fn()> {
    let hooks = hooks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 34 35 36 37 38
        39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
    hooks.iter().find(|(known, _)| *known == number).map(|(_, hook)| *hook)
}

/// A signal in the crate's two kinds.
#[derive(Clone, Copy)]
enum Signal {
    Standard(SignalType),
    RealTime(u32),
}

impl Signal {
    fn number(self) -> i32 {
        match self {
            Signal::Standard(signal) => signal.into(),
            Signal::RealTime(index) => libc::SIGRTMIN() + index as i32,
        }
    }
}

/// A signal by its portable name, as far as the crate has it.
fn parse(name: &str) -> Result<Signal, Failure> {
    let unknown = || Failure::new("not_found", "the crate has no such signal");
    if let Some(index) = name.strip_prefix("RT") {
        let parsed = index.parse().ok().filter(|value: &u32| value.to_string() == index);
        return parsed.filter(|index| signal::is_valid_rtsignal(*index)).map(Signal::RealTime).ok_or_else(unknown);
    }
    let number = match name {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "ILL" => libc::SIGILL,
        "ABRT" => libc::SIGABRT,
        "FPE" => libc::SIGFPE,
        "KILL" => libc::SIGKILL,
        "SEGV" => libc::SIGSEGV,
        "PIPE" => libc::SIGPIPE,
        "ALRM" => libc::SIGALRM,
        "TERM" => libc::SIGTERM,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "CHLD" => libc::SIGCHLD,
        "CONT" => libc::SIGCONT,
        "STOP" => libc::SIGSTOP,
        "TSTP" => libc::SIGTSTP,
        "TTIN" => libc::SIGTTIN,
        "TTOU" => libc::SIGTTOU,
        "POLL" => libc::SIGPOLL,
        "BUS" => libc::SIGBUS,
        "PROF" => libc::SIGPROF,
        "SYS" => libc::SIGSYS,
        "TRAP" => libc::SIGTRAP,
        "URG" => libc::SIGURG,
        "VTALRM" => libc::SIGVTALRM,
        "XCPU" => libc::SIGXCPU,
        "XFSZ" => libc::SIGXFSZ,
        _ => return Err(unknown()),
    };
    SignalType::try_from(number).map(Signal::Standard).map_err(|error| Failure::new("not_found", error.to_string()))
}

fn signal_in(call: &Call<Interprocess1Unix>) -> Result<Signal, Failure> {
    parse(call.arguments.text("signal").unwrap_or_default())
}

pub fn number(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    call.begin();
    Ok(vec![("number", (signal_in(call)?.number() as u64).into())])
}

pub fn describe(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    call.begin();
    let (catchable, queued, fault) = match signal_in(call)? {
        Signal::Standard(signal) => (!signal.is_unblockable(), false, signal.is_unsafe()),
        Signal::RealTime(_) => (true, true, false),
    };
    Ok(vec![("catchable", catchable.into()), ("queued", queued.into()), ("fault", fault.into())])
}

/// The reading end of the pipe that hooks write to, made once.
fn bell() -> Result<i32, Failure> {
    static READER: Mutex<i32> = Mutex::new(-1);
    let mut reader = READER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *reader < 0 {
        let mut ends = [-1; 2];
        // SAFETY: room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        *reader = ends[0];
        BELL.store(ends[1], Ordering::SeqCst);
    }
    Ok(*reader)
}

pub fn set_handler(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let signal = signal_in(call)?;
    let flag = |name: &str| call.arguments.bool(name) == Some(true);
    let handler = match call.arguments.text("action") {
        Some("default") => SignalHandler::Default,
        Some("ignore") => SignalHandler::Ignore,
        _ => {
            bell()?;
            let hook = hook_of(signal.number()).ok_or_else(|| Failure::invalid_argument("no hook for it"))?;
            // SAFETY: the hook adds to an atomic and calls write(2).
            unsafe { SignalHandler::from_fn(hook) }
        }
    };
    let options = match signal {
        Signal::Standard(signal) => HandlerOptions::for_signal(signal),
        Signal::RealTime(index) => HandlerOptions::for_rtsignal(index),
    };
    let options = options
        .set_new_handler(handler)
        .ignore_child_stop_events(flag("no_child_stop"))
        .recursive_handler(flag("nested"))
        .system_call_restart(flag("restart"))
        .auto_reset_handler(flag("reset"));
    call.begin();
    COUNTS[signal.number() as usize].store(0, Ordering::SeqCst);
    options.set().map_err(|error| match error {
        SetHandlerError::UnsafeSignal => Failure::new("permission_denied", "UnsafeSignal"),
        SetHandlerError::UnblockableSignal(_) => Failure::unsupported("UnblockableSignal"),
        SetHandlerError::RealTimeSignalOutOfBounds { .. } => Failure::new("not_found", "RealTimeSignalOutOfBounds"),
        SetHandlerError::UnexpectedSystemCallFailure(error) => error.into(),
    })?;
    Ok(Vec::new())
}

/// The waiting is the peer's: the crate tells a hook and nobody else.
pub fn hooked(call: &Call<Interprocess1Unix>) -> Result<Results, Failure> {
    let number = signal_in(call)?.number() as usize;
    let at_least = call.arguments.unsigned("at_least").unwrap_or(0);
    let fd = bell()?;
    call.may_wait_in_library();
    call.begin();
    loop {
        let count = COUNTS[number].load(Ordering::SeqCst);
        if count >= at_least {
            let mut results: Results = vec![("count", count.into())];
            if count > 0 {
                results.push(("signal", call.arguments.text("signal").unwrap_or_default().into()));
            }
            return Ok(results);
        }
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut byte = [0u8];
        // SAFETY: one entry, and one byte of room.
        unsafe {
            libc::poll(&mut entry, 1, -1);
            libc::read(fd, byte.as_mut_ptr().cast(), 1);
        }
    }
}
