//! A rate, kept as the moment from which the next one is due.
//!
//! One number instead of a bucket that somebody has to fill: no timer, and cores may race for it.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many per second, evenly spread.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds that one takes.
    interval: f64,
    /// When the next one may come, in nanoseconds since an epoch of the owner.
    due: AtomicU64,
}

impl Pace {
    /// A pace of so many per second, which must be above 0.
    pub(super) fn per_second(rate: f64) -> Self {
        Self { interval: 1e9 / rate, due: AtomicU64::new(0) }
    }

    /// Whether one may come now.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.due.load(Ordering::Relaxed) <= now
    }

    /// Takes one, if it is due.
    pub(super) fn take(&self, now: u64) -> bool {
        let next = |due: u64| (due <= now).then(|| now.saturating_add(self.nanoseconds(1)));
        // Relaxed, here and below: the number bounds a rate, it orders nothing.
        self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Takes so many at once, due or not; whoever comes next waits for all of them.
    pub(super) fn spend(&self, count: u64, now: u64) {
        let next = |due: u64| Some(due.max(now).saturating_add(self.nanoseconds(count)));
        let _ = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// Gives one back that was taken and not used.
    pub(super) fn give_back(&self) {
        let next = |due: u64| Some(due.saturating_sub(self.nanoseconds(1)));
        let _ = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "nanoseconds of a pace are positive, and a few of them are nothing"
    )]
    fn nanoseconds(&self, count: u64) -> u64 {
        (self.interval * count as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn no_two_are_closer_together_than_the_pace() {
        let pace = Pace::per_second(5.0);
        let taken = (0..10_000).filter(|ms| pace.take(ms * SECOND / 1000)).count();
        assert_eq!(taken, 50);
    }

    #[test]
    fn what_was_given_back_can_be_taken_again_and_what_was_spent_is_waited_for() {
        let pace = Pace::per_second(10.0);
        assert!(pace.take(SECOND) && !pace.take(SECOND));
        pace.give_back();
        assert!(pace.take(SECOND) && !pace.take(SECOND));
        pace.spend(20, SECOND);
        assert!(!pace.is_due(3 * SECOND) && pace.is_due(3 * SECOND + SECOND / 10));
    }
}
