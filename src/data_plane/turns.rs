//! Requests that wait until their environment has a place.
//!
//! Each core has its own, in the order in which they came. Whenever an exchange of the core ends, the first
//! few ask again; once per tick all do, since a place may have come free on another core, or weights have
//! changed. How many wait is bounded by the environments' queues, and how long by their deadlines.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// How many ask again when one exchange has ended: the first may wait for another environment.
const ASKED_AT_AN_END: usize = 8;

/// Those that wait on one core.
#[derive(Default)]
pub struct Turns {
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

/// One that waits; dropping it leaves the queue.
struct Ticket<'t> {
    turns: &'t Turns,
    number: u64,
}

impl Turns {
    /// Asks, and asks again whenever a place may have come free, until there is an answer.
    pub async fn wait<R>(&self, mut ask: impl FnMut() -> Option<R>) -> R {
        let number = self.next.get();
        self.next.set(number + 1);
        let ticket = Ticket { turns: self, number };
        poll_fn(|cx| match ask() {
            Some(answer) => Poll::Ready(answer),
            None => {
                let waker = cx.waker().clone();
                ticket.turns.waiting.borrow_mut().insert(ticket.number, waker);
                Poll::Pending
            }
        })
        .await
    }

    /// An exchange of this core has ended.
    pub fn one_ended(&self) {
        self.wake(ASKED_AT_AN_END);
    }

    /// Some time has passed.
    pub fn tick(&self) {
        self.wake(usize::MAX);
    }

    fn wake(&self, most: usize) {
        // Wakers only push into the run queue, in this order.
        self.waiting.borrow().values().take(most).for_each(Waker::wake_by_ref);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.turns.waiting.borrow_mut().remove(&self.number);
    }
}
