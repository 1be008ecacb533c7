//! How many requests one client may send: a rate, and how many at once.

use std::time::Duration;

use super::sticky::KeySource;

/// How many requests each client of a service may send.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientRate {
    /// Requests per second in the long run, above 0 and at most [`PER_SECOND_MAX`].
    pub per_second: f64,
    /// Requests that may come at once after a rest, from 1.
    pub burst: u32,
    /// Where a client's name may stand, but for fields of a body; the first that a request has counts. One
    /// without any is its address.
    pub by: Vec<KeySource>,
}

/// The highest rate: what is counted in microseconds is exact to 1 % up to here.
pub const PER_SECOND_MAX: f64 = 10_000.0;

/// The most requests at once.
pub const BURST_MAX: u32 = 100_000;

impl ClientRate {
    /// So many in a second, and as many at once, by address.
    pub fn new(per_second: f64) -> Self {
        let at_once = per_second.ceil().clamp(1.0, PER_SECOND_MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number between 1 and 10 000"
        )]
        let burst = at_once as u32;
        Self { per_second, burst, by: vec![KeySource::ClientAddress] }
    }

    /// Time in which one more is earned.
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_at_once_is_a_seconds_worth_and_at_least_one() {
        for (per_second, burst, interval_ms) in [(10.0, 10, 100), (2.5, 3, 400), (0.1, 1, 10_000)] {
            let rate = ClientRate::new(per_second);
            assert_eq!((rate.burst, rate.interval().as_millis()), (burst, interval_ms));
        }
    }
}
