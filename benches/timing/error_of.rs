//! What was measured against what was so.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Times of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// From the request to the first content.
    pub(crate) ttft: Duration,
    /// The longest time between two contents.
    pub(crate) gap_max: Duration,
}

/// How far two accounts of the same streams are apart, in nanoseconds.
pub(crate) struct Errors {
    /// Of the time to first content.
    pub(crate) ttft: Histogram<u64>,
    /// Of the longest gap.
    pub(crate) gap: Histogram<u64>,
}

impl Errors {
    /// Compares the streams that both know.
    pub(crate) fn of(measured: &HashMap<String, Times>, truth: &HashMap<String, Times>) -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, 60_000_000_000, 3)
                .expect("bounds rise and 3 digits are within 0 to 5")
        };
        let mut errors = Self { ttft: histogram(), gap: histogram() };
        for (id, measured) in measured {
            let Some(truth) = truth.get(id) else { continue };
            errors.ttft.saturating_record(nanoseconds(measured.ttft.abs_diff(truth.ttft)));
            errors.gap.saturating_record(nanoseconds(measured.gap_max.abs_diff(truth.gap_max)));
        }
        errors
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |histogram, at| quantile(histogram, at).as_secs_f64() * 1e6;
        write!(
            f,
            "{:>9} {:>10.0} {:>10.0} {:>10.0} {:>10.0}",
            self.ttft.len(),
            micros(&self.ttft, 0.5),
            micros(&self.ttft, 0.99),
            micros(&self.gap, 0.5),
            micros(&self.gap, 0.99),
        )
    }
}

/// A quantile of nanoseconds.
pub(crate) fn quantile(histogram: &Histogram<u64>, at: f64) -> Duration {
    Duration::from_nanos(histogram.value_at_quantile(at))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
