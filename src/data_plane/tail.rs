//! The end of an answer that an HTTP/1 client has not taken, and that no exchange watches.
//!
//! hyper takes the last piece of a body into its own buffer, and with it the exchange is over. A client that
//! stops reading there would keep its connection for ever: hyper waits until it can write, and acknowledged
//! probes keep the socket alive. (`outlet.rs` does the same for HTTP/2, whose pieces tell when they leave.)

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::model::timeouts::Timeouts;

/// What a client has to take within the limit. Single bytes are no progress.
const PROGRESS_BYTES: u64 = 16 * 1024;

/// How the end of an answer leaves.
#[derive(Debug)]
pub struct Tail {
    /// How long it may stand still.
    limit: Cell<Duration>,
    /// Since when it has not moved enough, and how much had been taken by then.
    since: Cell<Option<(Instant, u64)>>,
}

impl Default for Tail {
    /// With the limit of answers that no environment has given.
    fn default() -> Self {
        Self { limit: Cell::new(Timeouts::default().write_stall), since: Cell::default() }
    }
}

impl Tail {
    /// Sets how long it may stand still.
    pub fn limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// Nothing waits, or an exchange watches it again.
    pub fn forget(&self) {
        self.since.set(None);
    }

    /// Whether it has waited for longer than the limit without moving enough, where the client has taken so
    /// many bytes since it came. To be asked from time to time; it measures from one time to another.
    pub fn is_stuck(&self, taken: u64, now: Instant) -> bool {
        let Some((since, before)) = self.since.get() else {
            self.since.set(Some((now, taken)));
            return false;
        };
        if taken.saturating_sub(before) >= PROGRESS_BYTES {
            self.since.set(Some((now, taken)));
            return false;
        }
        now.saturating_duration_since(since) >= self.limit.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second in which a client is found stuck that takes so many bytes a second.
    fn stuck_after(bytes_per_second: u64) -> Option<u64> {
        let (tail, began) = (Tail::default(), Instant::now());
        (0..1000).find(|second| {
            tail.is_stuck(second * bytes_per_second, began + Duration::from_secs(*second))
        })
    }

    #[test]
    fn who_takes_nothing_or_next_to_nothing_is_stuck_and_a_slow_client_is_not() {
        for (bytes_per_second, expected) in
            [(0, Some(60)), (1, Some(60)), (270, Some(60)), (300, None), (100_000, None)]
        {
            assert_eq!(stuck_after(bytes_per_second), expected, "{bytes_per_second} bytes/s");
        }
    }

    #[test]
    fn time_with_nothing_waiting_does_not_count() {
        let (tail, now) = (Tail::default(), Instant::now());
        tail.limit(Duration::from_secs(5));
        assert!(!tail.is_stuck(0, now));
        tail.forget();
        assert!(!tail.is_stuck(0, now + Duration::from_secs(9)));
        assert!(tail.is_stuck(0, now + Duration::from_secs(14)));
    }
}
