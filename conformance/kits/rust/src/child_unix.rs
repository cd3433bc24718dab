//! A child process of Unix.

use crate::json::Json;
use crate::process::CONTROL_VARIABLE;
use crate::status::Failure;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A child in a process group of its own. It is not reaped before it is closed, so that its number means it alone.
pub struct Child {
    pid: libc::pid_t,
    process: Mutex<std::process::Child>,
    closing: AtomicBool,
}

impl Child {
    /// Starts this program again, with what is inheritable. Standard input is the null device and standard output is
    /// standard error here already.
    pub fn start(control: &str) -> io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).env(CONTROL_VARIABLE, control).process_group(0);
        let process = command.spawn()?;
        Ok(Child { pid: process.id() as libc::pid_t, process: Mutex::new(process), closing: AtomicBool::new(false) })
    }

    pub fn pid(&self) -> u64 {
        self.pid as u64
    }

    /// The results of `process.wait`.
    pub fn wait(&self) -> Result<Vec<(&'static str, Json)>, Failure> {
        // SAFETY: siginfo_t is plain data, and waitid writes it whole when it succeeds.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT;
        while unsafe { libc::waitid(libc::P_PID, self.pid as libc::id_t, &mut info, options) } != 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error.into());
            }
        }
        if self.closing.load(Ordering::SeqCst) {
            return Err(Failure::cancelled());
        }
        // SAFETY: waitid has filled the part that is about a child.
        let status = unsafe { info.si_status() };
        Ok(vec![match info.si_code {
            libc::CLD_EXITED => ("code", (status as u64).into()),
            _ => ("signal", signal_name(status).as_str().into()),
        }])
    }

    /// Kills it with its group, which ends every `wait`.
    pub fn kill(&self) {
        self.closing.store(true, Ordering::SeqCst);
        // SAFETY: kill touches no memory; the number is the child's until it is reaped.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }

    /// Reaps it after `kill`.
    pub fn reap(&self) -> io::Result<()> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).wait().map(drop)
    }
}

/// The name of a signal as the specification spells it.
fn signal_name(number: i32) -> String {
    let names = [
        (libc::SIGABRT, "ABRT"),
        (libc::SIGALRM, "ALRM"),
        (libc::SIGBUS, "BUS"),
        (libc::SIGFPE, "FPE"),
        (libc::SIGHUP, "HUP"),
        (libc::SIGILL, "ILL"),
        (libc::SIGINT, "INT"),
        (libc::SIGKILL, "KILL"),
        (libc::SIGPIPE, "PIPE"),
        (libc::SIGQUIT, "QUIT"),
        (libc::SIGSEGV, "SEGV"),
        (libc::SIGSYS, "SYS"),
        (libc::SIGTERM, "TERM"),
        (libc::SIGTRAP, "TRAP"),
        (libc::SIGUSR1, "USR1"),
        (libc::SIGUSR2, "USR2"),
    ];
    let known = names.iter().find(|(signal, _)| *signal == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}
