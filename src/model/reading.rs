//! Which of two readings of the config began later.
//!
//! Two reloads at once (the file's watcher, a signal, the API) may arrive in another order than they were
//! asked for. Who asks after a change of the file begins later than everybody who asked before it. So where
//! the later one wins, no reload undoes a change that was there before another was asked for.

use std::sync::atomic::{AtomicU64, Ordering};

/// One count for the whole process, since only the order matters.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// When a reading began, by the order of readings. The default is the start of the process, before all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reading(u64);

impl Reading {
    /// One that begins now. Call it before the first file is opened.
    pub fn begin() -> Self {
        // Relaxed: each caller gets a number of its own, and later calls of one who was answered higher ones.
        Self(BEGUN.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_later_is_later() {
        let (first, second) = (Reading::begin(), Reading::begin());
        assert!(Reading::default() < first && first < second);
    }
}
