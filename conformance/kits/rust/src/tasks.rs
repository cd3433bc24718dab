//! A Tokio runtime whose tasks are what lanes do (feature `tokio`).

use crate::call_off::called_off;
use crate::status::Failure;
use std::future::{pending, Future};
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::thread;
use tokio::runtime::{Builder, EnterGuard, Handle};

type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One thread that runs futures of a library in the order in which they are woken, as a program on one thread has it.
pub struct Tasks {
    handle: Handle,
}

impl Tasks {
    /// Starts the runtime; it ends with the process.
    ///
    /// # Errors
    /// The system gives no thread or no queue of events.
    pub fn start() -> io::Result<Tasks> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("tokio".to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
        Ok(Tasks { handle })
    }

    /// For calls that need a runtime around them, but return at once.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// What `future` comes to as a task. If the request is called off first, it is dropped: `cancelled`.
    ///
    /// # Errors
    /// What the future says, or `cancelled`.
    ///
    /// # Panics
    /// The future panicked.
    pub fn wait<T: Send>(&self, future: impl Future<Output = io::Result<T>> + Send) -> Result<T, Failure> {
        let mut result = Err(Failure::cancelled());
        let (off, slot) = (called_off(), &mut result);
        let task: Task = Box::pin(async move {
            tokio::select! {
                biased;
                ended = future => *slot = ended.map_err(Failure::from),
                () = off => (),
            }
        });
        // SAFETY: only a lifetime is changed. A task that has been joined has dropped its future, whether it returned or
        // panicked, and nothing aborts it, nor ends the runtime: nothing of the caller's is in use when this returns.
        let task = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        if let Err(error) = self.handle.block_on(self.handle.spawn(task)) {
            resume_unwind(error.into_panic());
        }
        result
    }

    /// Returns when every task that something was ready for has been run: [`crate::Library::turn`].
    pub fn turn(&self) {
        // A task that yields goes on behind those that its runtime finds ready when it has asked the system.
        drop(self.handle.block_on(self.handle.spawn(tokio::task::yield_now())));
    }
}
