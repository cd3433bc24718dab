//! A child process of Windows.

use crate::json::Json;
use crate::process::CONTROL_VARIABLE;
use crate::status::Failure;
use crate::system;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keeps the events of a console away from the child; groups of processes that end together are unknown here.
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

/// A child. It is held by its handle, so that its number means it alone.
pub struct Child {
    pid: u32,
    process: OwnedHandle,
    closing: AtomicBool,
}

impl Child {
    /// Starts this program again, with what is inheritable. Standard input is the null device and standard output is
    /// standard error here already.
    pub fn start(control: &str) -> io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).env(CONTROL_VARIABLE, control);
        let process = command.creation_flags(CREATE_NEW_PROCESS_GROUP).spawn()?;
        Ok(Child { pid: process.id(), process: process.into(), closing: AtomicBool::new(false) })
    }

    pub fn pid(&self) -> u64 {
        self.pid.into()
    }

    /// The results of `process.wait`.
    pub fn wait(&self) -> Result<Vec<(&'static str, Json)>, Failure> {
        let code = system::await_process(self.process.as_raw_handle())?;
        if self.closing.load(Ordering::SeqCst) {
            return Err(Failure::cancelled());
        }
        Ok(vec![("code", code.into())])
    }

    /// Kills it, which ends every `wait`.
    pub fn kill(&self) {
        self.closing.store(true, Ordering::SeqCst);
        system::kill_process(self.process.as_raw_handle());
    }

    /// Waits for its end after `kill`.
    pub fn reap(&self) -> io::Result<()> {
        system::await_process(self.process.as_raw_handle()).map(drop)
    }
}
