//! What is gathered of answers between two looks at a warm-up.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Microseconds that are told apart: up to an hour, and to a thousandth. Both of a window take 190 KB.
const MICROS_MAX: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Which time a p99 is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Of streams: from before the connection to the first content.
    Ttft,
    /// From before the connection to the last byte.
    Total,
}

impl Signal {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::Total => "total",
        }
    }
}

/// A window that is being filled.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) since: Duration,
    requests: u64,
    failed: u64,
    ttft: Histogram<u32>,
    total: Histogram<u32>,
}

/// A window that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    /// How long it lasted.
    pub lasted: Duration,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// The p99 of latency; `None` when there were too few answers.
    pub p99: Option<(Signal, Duration)>,
}

impl Open {
    pub(super) fn new(since: Duration) -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, MICROS_MAX, DIGITS)
                .expect("bounds and digits are within what the histogram takes")
        };
        Self { since, requests: 0, failed: 0, ttft: histogram(), total: histogram() }
    }

    pub(super) fn add(&mut self, signal: Signal, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(MICROS_MAX);
        match signal {
            Signal::Ttft => self.ttft.saturating_record(micros),
            Signal::Total => self.total.saturating_record(micros),
        }
    }

    pub(super) fn count(&mut self, has_failed: bool) {
        self.requests += 1;
        self.failed += u64::from(has_failed);
    }

    /// Whether it has answers enough to say something: how fast it is, or that it fails.
    pub(super) fn is_full(&self, requests_min: u32) -> bool {
        let fails = self.requests >= u64::from(requests_min) && self.failed * 2 > self.requests;
        fails || self.p99(requests_min).is_some()
    }

    pub(super) fn close(self, now: Duration, requests_min: u32) -> Closed {
        Closed {
            lasted: now.saturating_sub(self.since),
            requests: self.requests,
            failed: self.failed,
            p99: self.p99(requests_min),
        }
    }

    /// Of streams, if there were enough of them; else of whole answers.
    pub(super) fn p99(&self, requests_min: u32) -> Option<(Signal, Duration)> {
        let of_both = [(Signal::Ttft, &self.ttft), (Signal::Total, &self.total)];
        let (signal, times) =
            of_both.into_iter().find(|(_, times)| times.len() >= u64::from(requests_min))?;
        Some((signal, Duration::from_micros(times.value_at_quantile(0.99))))
    }
}

impl Closed {
    /// Whether more than half of its requests failed.
    pub(super) fn mostly_failed(&self) -> bool {
        self.failed * 2 > self.requests
    }
}
