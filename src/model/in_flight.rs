//! Counts of what is accepted and not yet finished, process-wide.
//!
//! A count that must fall again is a guard whose `Drop` lowers it. One padded atomic each: a count per
//! core would be cheaper to write but wrong to read, and an LLM server with four slots needs the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A number of exchanges in flight. Alone on its cache line, since every core writes it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct InFlight(AtomicU32);

impl InFlight {
    /// How many are in flight now.
    pub fn count(&self) -> u32 {
        // Acquire pairs with the release in `Drop`: who reads 0 also sees what the last one recorded.
        self.0.load(Ordering::Acquire)
    }

    /// Counts one more until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlightGuard {
        // Relaxed: ordering against the routing table comes from the quiesce message, not from here.
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(Arc::clone(self))
    }

    /// Counts one more, unless `cap` are in flight already.
    pub fn try_enter(self: &Arc<Self>, cap: u32) -> Option<InFlightGuard> {
        let below_cap = |count: u32| (count < cap).then_some(count + 1);
        // Relaxed: the cap bounds a number, it orders nothing.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below_cap).ok()?;
        Some(InFlightGuard(Arc::clone(self)))
    }
}

/// One exchange in flight; dropping it counts it out.
#[derive(Debug)]
pub struct InFlightGuard(Arc<InFlight>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Release);
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
}
