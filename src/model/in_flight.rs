//! Counts of what is accepted and not yet finished, and of what waits to be, process-wide.
//!
//! A count that must fall again is a guard whose `Drop` lowers it. One padded atomic each: a count per
//! core would be cheaper to write but wrong to read, and an LLM server with four slots needs the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A number of exchanges in flight, and of those that wait for a place. Alone on its cache line, since
/// every core writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct InFlight {
    count: AtomicU32,
    waiting: AtomicU32,
    is_closed: AtomicBool,
}

impl InFlight {
    /// How many are in flight now.
    pub fn count(&self) -> u32 {
        // Acquire pairs with the release in `Drop`: who reads 0 also sees what the last one recorded.
        self.count.load(Ordering::Acquire)
    }

    /// Counts one more until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlightGuard {
        // Relaxed: ordering against the routing table comes from the quiesce message, not from here.
        self.count.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(self))
    }

    /// Counts one more, unless `cap` are in flight already.
    pub fn try_enter(self: &Arc<Self>, cap: u32) -> Option<InFlightGuard> {
        below(&self.count, cap).then(|| InFlightGuard(Arc::clone(self)))
    }

    /// How many wait for a place.
    pub fn waiting(&self) -> u32 {
        // Relaxed: a number that stands alone.
        self.waiting.load(Ordering::Relaxed)
    }

    /// Says whether it is drained: then nothing comes for the sake of what it answered before.
    pub fn close(&self, is_closed: bool) {
        // Relaxed: who acks the quiesce message that is posted afterwards has seen it.
        self.is_closed.store(is_closed, Ordering::Relaxed);
    }

    /// Whether it is drained, or was and has had no traffic since.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Counts one more that waits, unless `cap` wait already.
    pub fn try_wait(self: &Arc<Self>, cap: u32) -> Option<WaitingGuard> {
        below(&self.waiting, cap).then(|| WaitingGuard(Arc::clone(self)))
    }
}

/// Raises a number that is below `cap`; false when it is not.
fn below(number: &AtomicU32, cap: u32) -> bool {
    let raised = |number: u32| (number < cap).then_some(number + 1);
    // Relaxed: the cap bounds a number, it orders nothing.
    number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).is_ok()
}

/// One exchange in flight; dropping it counts it out.
#[derive(Debug)]
pub struct InFlightGuard(Arc<InFlight>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Release);
    }
}

/// One exchange that waits for a place; dropping it counts it out.
#[derive(Debug)]
pub struct WaitingGuard(Arc<InFlight>);

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_guard_counts_out_and_the_cap_holds() {
        let in_flight = Arc::new(InFlight::default());
        let first = in_flight.try_enter(2);
        let second = in_flight.enter();
        assert!(in_flight.try_enter(2).is_none());
        drop(first);
        assert_eq!(in_flight.count(), 1);
        drop(second);
        assert_eq!(in_flight.count(), 0);
    }

    #[test]
    fn those_that_wait_are_counted_apart() {
        let in_flight = Arc::new(InFlight::default());
        let waiting = in_flight.try_wait(1);
        assert!(waiting.is_some() && in_flight.try_wait(1).is_none());
        assert_eq!((in_flight.count(), in_flight.waiting()), (0, 1));
        drop(waiting);
        assert_eq!(in_flight.waiting(), 0);
    }
}
