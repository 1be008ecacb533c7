//! Bugs of single requests: a panic costs the task it is in, which is a connection, or with HTTP/2 a
//! stream. Everything that has to fall again (in flight, places, permits) falls as the task is dropped.

use std::cell::Cell;

thread_local! {
    /// Panics on this core that nobody has collected yet.
    static CAUGHT: Cell<u64> = const { Cell::new(0) };
}

/// Counts the panic that drops it. To be held by every task that serves a request.
pub struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            CAUGHT.set(CAUGHT.get() + 1);
        }
    }
}

/// The panics on this core since it was last asked.
pub fn take() -> u64 {
    CAUGHT.take()
}
