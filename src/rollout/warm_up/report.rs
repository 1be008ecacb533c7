//! What a warm-up says: while it is under way, and at its end.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::window::Signal;
use super::{Source, SourceCounts, WarmUp, WarmUpOutcome};
use crate::model::duration;
use crate::model::plan::warm_up::AtDeadline;
use crate::rollout::gate::GateReport;

/// Everything that was seen. Its fields are those of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmUpReport {
    /// How it ended.
    pub outcome: WarmUpOutcome,
    /// Whether the rollout may go on.
    pub passed: bool,
    /// One sentence for people, with the numbers.
    pub explanation: String,
    /// How long it took.
    pub took_ms: u64,
    /// p99 of latency in the first window that has one.
    pub p99_before_ms: Option<f64>,
    /// p99 of latency in the last window that has one.
    pub p99_after_ms: Option<f64>,
    /// Requests that were made up.
    pub synthetic: SourceCounts,
    /// Copies of users' requests.
    pub mirror: SourceCounts,
    /// The windows, oldest first.
    pub windows: Vec<WindowReport>,
    /// What was seen of requests that failed, and how often, most frequent first.
    pub failures: Vec<(String, u64)>,
}

/// One window in a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowReport {
    /// How long it lasted.
    pub lasted_ms: u64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Which time the p99 is of: `TTFT` or `total`.
    pub signal: Option<String>,
    /// The p99; null with too few answers.
    pub p99_ms: Option<f64>,
}

impl WarmUpReport {
    pub(super) fn new(warm_up: &WarmUp, outcome: WarmUpOutcome, took: Duration) -> Self {
        let windows = warm_up.closed.iter().map(|window| WindowReport {
            lasted_ms: whole_ms(window.lasted),
            requests: window.requests,
            failed: window.failed,
            signal: window.p99.map(|(signal, _)| signal.name().to_owned()),
            p99_ms: window.p99.map(|(_, p99)| ms(p99)),
        });
        let mut failures: Vec<_> =
            warm_up.failures.iter().map(|(saw, count)| (saw.clone(), *count)).collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let counts = |source| warm_up.counts.get(&source).copied().unwrap_or_default();
        let (before, after) = (first_p99(warm_up), last_p99(warm_up));
        Self {
            outcome,
            passed: warm_up.is_passed(outcome),
            explanation: explain(warm_up, outcome, took, failures.first()),
            took_ms: whole_ms(took),
            p99_before_ms: before.map(|(_, p99)| ms(p99)),
            p99_after_ms: after.map(|(_, p99)| ms(p99)),
            synthetic: counts(Source::Synthetic),
            mirror: counts(Source::Mirror),
            windows: windows.collect(),
            failures,
        }
    }

    /// The report as any gate's.
    pub fn gate(&self) -> GateReport {
        let sentence = format!("warm-up: {}", self.explanation);
        GateReport { passed: self.passed, sentence, details: json!(self) }
    }
}

/// How it goes: `window 3, p99 TTFT 1.9 s -> 410 ms, 120 requests`.
pub(super) fn progress(warm_up: &WarmUp) -> String {
    let window = format!("window {}", warm_up.closed_count + 1);
    let parts = [Some(window), speed(warm_up), Some(requests(warm_up))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn explain(
    warm_up: &WarmUp,
    outcome: WarmUpOutcome,
    took: Duration,
    failure: Option<&(String, u64)>,
) -> String {
    let windows = warm_up.closed_count;
    let lasted = duration::spoken(Duration::from_secs(took.as_secs()));
    let requests = requests(warm_up);
    let speed = speed(warm_up).map_or_else(String::new, |speed| format!("{speed}; "));
    let saw = failure.map_or_else(String::new, |(saw, count)| format!("; {count} times: {saw}"));
    let though = match warm_up.rule.at_deadline {
        AtDeadline::GoOn => "; it goes on all the same",
        AtDeadline::Fail => "",
    };
    match outcome {
        WarmUpOutcome::Stable => {
            format!("stable after {windows} windows in {lasted}: {speed}{requests}")
        }
        WarmUpOutcome::NotStable => {
            format!("not stable after {lasted}, its deadline: {speed}{requests}{saw}{though}")
        }
        WarmUpOutcome::Failing => format!("most requests fail: {requests}{saw}"),
        WarmUpOutcome::Silent => format!("nothing was answered within {lasted}: {requests}{saw}"),
        WarmUpOutcome::Unasked => {
            format!("nothing was sent within {lasted}: no request could be mirrored{though}")
        }
    }
}

/// `p99 TTFT 1.9 s -> 410 ms`
fn speed(warm_up: &WarmUp) -> Option<String> {
    let (signal, last) = last_p99(warm_up)?;
    let before = first_p99(warm_up).filter(|(first, _)| *first == signal);
    let (name, last) = (signal.name(), time(last));
    match before {
        Some((_, first)) if with_p99(warm_up).count() > 1 => {
            Some(format!("p99 {name} {} -> {last}", time(first)))
        }
        _ => Some(format!("p99 {name} {last}")),
    }
}

/// `120 requests, 40 of them mirrored, 3 failed`
fn requests(warm_up: &WarmUp) -> String {
    let all = warm_up.all();
    let mut words = format!("{} {}", all.requests, plural(all.requests, "request"));
    if let Some(mirror) = warm_up.counts.get(&Source::Mirror) {
        words = format!("{words}, {} of them mirrored", mirror.requests);
    }
    if all.failed > 0 {
        words = format!("{words}, {} failed", all.failed);
    }
    words
}

fn plural(count: u64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn with_p99(warm_up: &WarmUp) -> impl DoubleEndedIterator<Item = (Signal, Duration)> + '_ {
    warm_up.closed.iter().filter_map(|window| window.p99)
}

fn first_p99(warm_up: &WarmUp) -> Option<(Signal, Duration)> {
    with_p99(warm_up).next()
}

fn last_p99(warm_up: &WarmUp) -> Option<(Signal, Duration)> {
    with_p99(warm_up).next_back()
}

/// `0.4 ms`, `410 ms`, `1.9 s`
fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

/// Milliseconds with three digits behind the point.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
