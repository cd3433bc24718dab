//! Calling off one request: how a close, a reset or a `cancel` ends a future that a lane awaits.

use std::cell::RefCell;
use std::future::{poll_fn, Future};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

thread_local! {
    /// Of the request that this thread performs.
    static CURRENT: RefCell<Arc<CallOff>> = RefCell::default();
}

/// Ends when the request that the calling thread performs is called off: by a `cancel`, by a close of the handle that it is
/// inside of, or by a reset. To be awaited beside a future of the library, in [`crate::Mode::Async`].
pub fn called_off() -> impl Future<Output = ()> {
    let off = CURRENT.with(|current| Arc::clone(&current.borrow()));
    poll_fn(move |context| {
        // Looked at after the waker is noted: what was called off before that woke nobody.
        *off.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        if off.is_called_off() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

/// Whether a request is called off.
#[derive(Default)]
pub struct CallOff {
    called_off: AtomicBool,
    /// Of the one future that waits for it.
    waker: Mutex<Option<Waker>>,
}

impl CallOff {
    /// From now on its future ends at once, and a request that has not begun does not.
    pub fn call_off(&self) {
        self.called_off.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::SeqCst)
    }

    /// Makes it the one that [`called_off`] waits for in the calling thread.
    pub fn bind_to_thread(self: &Arc<Self>) {
        CURRENT.with(|current| *current.borrow_mut() = Arc::clone(self));
    }
}
