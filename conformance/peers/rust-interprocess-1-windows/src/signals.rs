//! The signals of C. The crate sets handlers; to raise a signal a program calls raise() itself.

use crate::Interprocess1Windows;
use cts_peer::{Call, Failure, Results};
use interprocess::os::windows::signal::{self, SetHandlerError, SignalHandler, SignalType};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

const SIGNALS: [(&str, SignalType); 6] = [
    ("ABRT", SignalType::Abort),
    ("FPE", SignalType::MathException),
    ("ILL", SignalType::IllegalInstruction),
    ("INT", SignalType::KeyboardInterrupt),
    ("SEGV", SignalType::SegmentationFault),
    ("TERM", SignalType::Termination),
];

/// How often the hook of each has run. A hook runs in the thread that raises, which does not hold this.
static COUNTS: Mutex<[u64; 6]> = Mutex::new([0; 6]);
static CHANGED: Condvar = Condvar::new();

fn counts() -> MutexGuard<'static, [u64; 6]> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hook<const INDEX: usize>() {
    counts()[INDEX] += 1;
    CHANGED.notify_all();
}

const HOOKS: [fn(); 6] = [hook::<0>, hook::<1>, hook::<2>, hook::<3>, hook::<4>, hook::<5>];

type Performed = Result<Results, Failure>;
type PeerCall<'a> = Call<'a, Interprocess1Windows>;

/// The signal in `signal`, and its place; `unknown` is the status if the crate has none of that name.
fn signal_in(call: &PeerCall, unknown: &'static str) -> Result<(usize, SignalType), Failure> {
    let name = call.arguments.text("signal").unwrap_or_default();
    let found = SIGNALS.iter().position(|(known, _)| *known == name);
    let index = found.ok_or_else(|| Failure::new(unknown, "the crate has no such signal"))?;
    Ok((index, SIGNALS[index].1))
}

pub fn number(call: &PeerCall) -> Performed {
    call.begin();
    let (_, signal) = signal_in(call, "not_found")?;
    Ok(vec![("number", u64::from(u32::from(signal)).into())])
}

pub fn name(call: &PeerCall) -> Performed {
    call.begin();
    let unknown = || Failure::new("not_found", "the crate has no such signal");
    let number = call.arguments.signed("number").and_then(|number| i32::try_from(number).ok()).ok_or_else(unknown)?;
    let signal = SignalType::try_from(number).map_err(|_| unknown())?;
    let found = SIGNALS.iter().find(|(_, known)| *known == signal);
    Ok(vec![("signal", found.ok_or_else(unknown)?.0.into())])
}

pub fn describe(call: &PeerCall) -> Performed {
    call.begin();
    let (_, signal) = signal_in(call, "invalid_argument")?;
    let fault = signal.requires_diverging_hook();
    Ok(vec![("catchable", true.into()), ("queued", false.into()), ("fault", fault.into())])
}

pub fn set_handler(call: &PeerCall) -> Performed {
    let (index, signal) = signal_in(call, "invalid_argument")?;
    if ["restart", "reset", "nested"].iter().any(|flag| call.arguments.bool(flag) == Some(true)) {
        return Err(Failure::unsupported("set_handler has no such choice"));
    }
    let handler = match call.arguments.text("action") {
        Some("default") => SignalHandler::Default,
        Some("ignore") => SignalHandler::Ignore,
        // SAFETY: raise() calls the hook in the thread of the peer that asked for it, where nothing is interrupted.
        _ => unsafe { SignalHandler::from_fn(HOOKS[index]) },
    };
    call.begin();
    counts()[index] = 0;
    signal::set_handler(signal, handler).map_err(|error| match error {
        SetHandlerError::UnsafeSignal => Failure::new("permission_denied", "UnsafeSignal"),
        SetHandlerError::UnexpectedLibcCallFailure => Failure::new("failed", "UnexpectedLibcCallFailure"),
    })?;
    Ok(Vec::new())
}

/// The waiting is the peer's: the crate tells a hook and nobody else.
pub fn hooked(call: &PeerCall) -> Performed {
    let (index, _) = signal_in(call, "invalid_argument")?;
    let at_least = call.arguments.unsigned("at_least").unwrap_or(0);
    call.may_wait_in_library();
    call.begin();
    let found = CHANGED.wait_while(counts(), |counts| counts[index] < at_least);
    let count = found.unwrap_or_else(PoisonError::into_inner)[index];
    let mut results: Results = vec![("count", count.into())];
    if count > 0 {
        results.push(("signal", SIGNALS[index].0.into()));
    }
    Ok(results)
}

pub fn raise(call: &PeerCall) -> Performed {
    let (_, signal) = signal_in(call, "invalid_argument")?;
    call.begin();
    // SAFETY: raise() takes any number; what the hooks do is said above.
    if unsafe { libc::raise(signal.into()) } != 0 {
        return Err(Failure::new("failed", "raise"));
    }
    Ok(Vec::new())
}
