//! How many bytes of request bodies the whole process may hold, until they go on and for replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes still to be had.
#[derive(Debug)]
pub struct BufferBudget {
    left: AtomicU64,
}

/// Bytes taken; given back on drop.
#[derive(Debug)]
pub struct BufferLease {
    budget: Arc<BufferBudget>,
    bytes: u64,
}

impl BufferBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(bytes) })
    }

    /// An empty lease, to be extended.
    pub fn lease(self: &Arc<Self>) -> BufferLease {
        BufferLease { budget: Arc::clone(self), bytes: 0 }
    }
}

impl BufferLease {
    /// Takes more bytes; false when they are not to be had.
    pub fn extend(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let take = |left: u64| left.checked_sub(bytes);
        // Relaxed: the number bounds memory, it orders nothing.
        let taken =
            self.budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        self.bytes += if taken { bytes } else { 0 };
        taken
    }

    /// Gives back all that was taken.
    pub fn give_back(&mut self) {
        self.budget.left.fetch_add(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for BufferLease {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_takes_what_is_there_and_gives_it_back() {
        let budget = BufferBudget::new(100);
        let mut first = budget.lease();
        assert!(first.extend(60) && !first.extend(60) && first.extend(40));
        let mut second = budget.lease();
        assert!(!second.extend(1));
        drop(first);
        assert!(second.extend(100));
    }
}
