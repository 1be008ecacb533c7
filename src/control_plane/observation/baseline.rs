//! What is usual on the active side, from its last 15 minutes.
//!
//! With too few requests nothing is said: a quantile of a handful is chance. What was known before stays,
//! as after a switch, when the environment that was active has no more users.

use std::time::Duration;

use super::super::measurements::Measurements;
use super::super::windows::Window;
use crate::judge::record::Measure as Timed;
use crate::judge::recorder::Baseline;
use crate::metrics::counts::Counts;
use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;
use crate::model::environment::EnvironmentId;

/// Requests without which there are no quantiles.
const REQUESTS_MIN: u64 = 100;
/// Above this share of streams, who is silent is taken for one that will be; below the rest of it, for none.
const STREAMS_MANY: f64 = 0.95;

/// Brings what is usual up to date.
pub(super) fn update(
    baseline: &mut Baseline,
    measurements: &Measurements,
    active: EnvironmentId,
    now: Duration,
) {
    if let Some(measured) = measurements.windows().read(active, Window::Minutes15, now) {
        learn(baseline, &measured.counts);
    }
}

fn learn(baseline: &mut Baseline, counts: &Counts<u64>) {
    let enough =
        |measure| counts.distributions.of(measure).filter(|values| values.count() >= REQUESTS_MIN);
    let quantiles = |values: &Distribution<u64>| [0.5, 0.9, 0.99].map(|share| at(values, share));
    if let Some(ttft) = enough(Measure::Ttft) {
        baseline.ttft = Some(quantiles(ttft));
    }
    if let Some(tpot) = enough(Measure::Tpot) {
        baseline.tpot = Some(quantiles(tpot));
    }
    if let Some(total) = enough(Measure::Total) {
        baseline.latency = Some(quantiles(total));
        baseline.duration_p99 = Some(at(total, 0.99));
        let streams = counts.distributions.of(Measure::Ttft).map_or(0, Distribution::count);
        baseline.silent = usual_kind(streams, total.count());
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests of 15 minutes")]
fn usual_kind(streams: u64, all: u64) -> Option<Timed> {
    let share = streams as f64 / all as f64;
    if share >= STREAMS_MANY {
        return Some(Timed::Ttft);
    }
    (share <= 1.0 - STREAMS_MANY).then_some(Timed::Latency)
}

fn at(values: &Distribution<u64>, share: f64) -> Duration {
    Duration::from_micros(values.cells().value_at_quantile(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many requests of 1 ms, 2 ms and so on, the first of them streams.
    fn counts(streams: u64, all: u64) -> Counts<u64> {
        let mut counts = Counts::default();
        for number in 1..=all {
            counts.distributions.record(Measure::Total, number * 1_000);
            if number <= streams {
                counts.distributions.record(Measure::Ttft, number * 1_000);
            }
        }
        counts
    }

    #[test]
    fn quantiles_need_a_hundred_requests_and_outlast_a_quiet_time() {
        let mut baseline = Baseline::default();
        learn(&mut baseline, &counts(0, 99));
        assert_eq!(baseline, Baseline::default());
        learn(&mut baseline, &counts(100, 100));
        let [p50, p90, p99] = baseline.ttft.unwrap().map(|time| time.as_millis());
        assert_eq!((p50, p90, p99), (50, 90, 99));
        assert_eq!(baseline.duration_p99.unwrap().as_millis(), 99);
        let known = baseline.clone();
        learn(&mut baseline, &counts(0, 3));
        assert_eq!(baseline, known);
    }

    #[test]
    fn who_is_silent_is_taken_for_what_nearly_all_are() {
        for (streams, silent) in [
            (1_000, Some(Timed::Ttft)),
            (950, Some(Timed::Ttft)),
            (949, None),
            (51, None),
            (50, Some(Timed::Latency)),
            (0, Some(Timed::Latency)),
        ] {
            let mut baseline = Baseline::default();
            learn(&mut baseline, &counts(streams, 1_000));
            assert_eq!(baseline.silent, silent, "{streams} of 1000");
        }
    }
}
