//! What a run comes to: times of changes, what requests saw of them, and who was reached in vain.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::admin::{Call, Change};
use crate::clock;
use crate::driver::Closed;
use crate::load::{Seen, Tally};

/// How long after a switch a request counts as near it.
const NEAR_NS: u64 = 100_000_000;

/// Named values; each name ends in its unit.
#[derive(Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// One value.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    /// A count.
    pub(crate) fn count(&mut self, name: &str, count: usize) {
        self.set(name, as_f64(u64::try_from(count).unwrap_or(u64::MAX)));
    }

    /// Median, 99th percentile and maximum of times in ns, in µs.
    pub(crate) fn times(&mut self, name: &str, times_ns: &Histogram<u64>) {
        if times_ns.is_empty() {
            return;
        }
        for (suffix, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let value = as_f64(times_ns.value_at_quantile(quantile)) / 1000.0;
            self.set(&format!("{name}_{suffix}_us"), value);
        }
    }

    /// A value by name.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// What calls took: in all, and from the swap of the table to the last core.
    pub(crate) fn calls(&mut self, when: &str, calls: &[Call]) {
        let (mut applied, mut whole) = (clock::histogram(), clock::histogram());
        for call in calls {
            applied.saturating_record(call.applied_us * 1000);
            whole.saturating_record(call.returned_ns.saturating_sub(call.began_ns));
        }
        self.times(&format!("applied_{when}"), &applied);
        self.times(&format!("call_{when}"), &whole);
        self.count(&format!("lagging_{when}"), calls.iter().filter(|c| c.lagging > 0).count());
    }

    /// What the load saw.
    pub(crate) fn load(&mut self, tally: &Tally, calls: &[Call], closed: &[Vec<Closed>; 2]) {
        self.count("requests", tally.requests.len());
        self.count("streams", tally.streams.len());
        self.set("failed_requests", as_f64(tally.failed));
        self.set("cut_streams", as_f64(tally.cut));
        let all = || tally.requests.iter().chain(&tally.streams);
        self.count("late_requests", all().filter(|seen| is_late(seen, closed)).count());
        let is_turned =
            |seen: &&Seen| seen.arrived_ns < seen.written_ns || seen.done_ns < seen.arrived_ns;
        self.count("stamps_out_of_order", all().filter(is_turned).count());
        let is_tried =
            |seen: &&Seen| closed.iter().any(|times| find(times, seen.arrived_ns).is_some());
        self.count("requests_in_closed_times", all().filter(is_tried).count());
        let (mut near, mut rest) = (clock::histogram(), clock::histogram());
        let switches: Vec<&Call> =
            calls.iter().filter(|call| matches!(call.change, Change::Switch(_))).collect();
        for seen in &tally.requests {
            let times = if is_near(seen, &switches) { &mut near } else { &mut rest };
            times.saturating_record(seen.done_ns.saturating_sub(seen.written_ns));
        }
        self.times("latency_near_switches", &near);
        self.times("latency_elsewhere", &rest);
    }
}

/// Whether a request reached an environment while nothing new might.
fn is_late(seen: &Seen, closed: &[Vec<Closed>; 2]) -> bool {
    find(&closed[seen.environment], seen.arrived_ns).is_some()
}

/// The closed time in which this instant lies.
fn find(times: &[Closed], at_ns: u64) -> Option<&Closed> {
    let after = times.partition_point(|time| time.from_ns <= at_ns);
    times[..after].last().filter(|time| at_ns < time.until_ns)
}

/// Whether a request was written during a switch or shortly after it.
fn is_near(seen: &Seen, switches: &[&Call]) -> bool {
    let after = switches.partition_point(|call| call.began_ns <= seen.written_ns);
    switches[..after].last().is_some_and(|call| seen.written_ns < call.returned_ns + NEAR_NS)
}

/// Counts and nanoseconds of a run are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
