//! Decides when a candidate is warm, from what its answers to warm-up requests show.
//!
//! Answers are gathered in windows. A window lasts its time, and longer until it has its answers; its p99
//! of latency is compared with that of the window before. Two that are alike end the warm-up; so do two
//! windows in a row in which most requests failed, and the deadline. A first window may fail as it likes:
//! requests that wait for a server to compile are what a warm-up is for.
//!
//! Pure: time is an argument. What is gathered here is seen by no judge.

pub mod report;
pub mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::plan::LatencySignal;
use crate::model::plan::warm_up::{AtDeadline, WarmUpRule};
use report::WarmUpReport;
use window::{Closed, Open, Signal};

/// A p99 never counts as another one for less than this: timers and schedulers differ by as much.
const SAME_WITHIN: Duration = Duration::from_millis(5);
/// Failures in different words that are told apart.
const FAILURES_MAX: usize = 16;
/// Closed windows that are kept, the first among them.
const WINDOWS_MAX: usize = 100;

/// Where a warm-up request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Made up.
    Synthetic,
    /// A copy of a user's request.
    Mirror,
}

impl Source {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Synthetic, Self::Mirror];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Synthetic => "synthetic",
            Self::Mirror => "mirror",
        }
    }
}

/// How a warm-up request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With an answer; the time to its last byte, if it was no stream.
    Answered(Option<Duration>),
    /// Without one that users would have taken; what was seen, in words.
    Failed(String),
    /// Refused as its client's mistake. That says nothing of the candidate.
    Refused,
}

/// Why a warm-up is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmUpOutcome {
    /// The last window was as fast as the one before.
    Stable,
    /// The deadline has passed before that.
    NotStable,
    /// Most requests fail.
    Failing,
    /// The deadline has passed, and nothing was answered.
    Silent,
    /// The deadline has passed, and there was nothing to be sent: nobody's request could be copied.
    Unasked,
}

/// What was counted of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCounts {
    /// Requests that began.
    pub requests: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that failed.
    pub failed: u64,
}

/// A warm-up under way.
#[derive(Debug)]
pub struct WarmUp {
    rule: WarmUpRule,
    signal: LatencySignal,
    open: Open,
    closed: Vec<Closed>,
    closed_count: usize,
    counts: BTreeMap<Source, SourceCounts>,
    failures: BTreeMap<String, u64>,
}

impl WarmUp {
    /// One that begins now, at time zero.
    pub fn new(rule: WarmUpRule, signal: LatencySignal) -> Self {
        Self {
            rule,
            signal,
            open: Open::new(Duration::ZERO),
            closed: Vec::new(),
            closed_count: 0,
            counts: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// A request has begun.
    pub fn begun(&mut self, source: Source) {
        self.counts.entry(source).or_default().requests += 1;
    }

    /// The first content of a stream has come, this long after its request began.
    pub fn first_content(&mut self, after: Duration) {
        if self.signal != LatencySignal::Total {
            self.open.add(Signal::Ttft, after);
        }
    }

    /// A request has ended.
    pub fn ended(&mut self, source: Source, ended: Ended) {
        let counts = self.counts.entry(source).or_default();
        match ended {
            Ended::Answered(total) => {
                counts.answered += 1;
                self.open.count(false);
                if let Some(total) = total {
                    self.open.add(Signal::Total, total);
                }
            }
            Ended::Failed(saw) => {
                counts.failed += 1;
                self.open.count(true);
                if self.failures.len() < FAILURES_MAX || self.failures.contains_key(&saw) {
                    *self.failures.entry(saw).or_default() += 1;
                }
            }
            Ended::Refused => {}
        }
    }

    /// Whether the total of a stream is measured, too.
    pub fn measures_totals_of_streams(&self) -> bool {
        self.signal == LatencySignal::Total
    }

    /// Closes the window whose time it is. The end of the warm-up, when it has come to it.
    pub fn look(&mut self, now: Duration) -> Option<WarmUpOutcome> {
        if now >= self.rule.deadline {
            self.close(now);
            return Some(self.at_deadline());
        }
        let lasts = now.saturating_sub(self.open.since);
        if lasts < self.rule.window || !self.open.is_full(self.rule.requests_min) {
            return None;
        }
        self.close(now);
        let last = self.closed.last()?;
        let before = self.closed.len().checked_sub(2).and_then(|index| self.closed.get(index))?;
        if last.mostly_failed() && before.mostly_failed() {
            return Some(WarmUpOutcome::Failing);
        }
        self.is_same(before, last).then_some(WarmUpOutcome::Stable)
    }

    /// Everything that was seen, and what it means.
    pub fn report(&self, outcome: WarmUpOutcome, took: Duration) -> WarmUpReport {
        WarmUpReport::new(self, outcome, took)
    }

    /// How it goes: `window 3, p99 TTFT 410 ms after 1.9 s, 120 requests`.
    pub fn progress(&self) -> String {
        report::progress(self)
    }

    fn close(&mut self, now: Duration) {
        if self.closed.len() == WINDOWS_MAX {
            self.closed.remove(1); // the first one stays: it is what the last one is told against
        }
        let open = std::mem::replace(&mut self.open, Open::new(now));
        self.closed.push(open.close(now, self.rule.requests_min));
        self.closed_count += 1;
    }

    fn is_same(&self, before: &Closed, last: &Closed) -> bool {
        let (Some((of, before)), Some((signal, last))) = (before.p99, last.p99) else {
            return false;
        };
        let allowed = before.mul_f64(self.rule.tolerance).max(SAME_WITHIN);
        of == signal && before.abs_diff(last) <= allowed
    }

    /// What is known when there is no more time: the last two windows say whether it answers at all.
    fn at_deadline(&self) -> WarmUpOutcome {
        let lately = self.closed.iter().rev().take(2);
        let (requests, failed) =
            lately.fold((0, 0), |(r, f), window| (r + window.requests, f + window.failed));
        let all = self.all();
        if all.requests == 0 {
            WarmUpOutcome::Unasked
        } else if failed * 2 > requests {
            WarmUpOutcome::Failing
        } else if all.answered == 0 {
            WarmUpOutcome::Silent
        } else {
            WarmUpOutcome::NotStable
        }
    }

    fn all(&self) -> SourceCounts {
        self.counts.values().fold(SourceCounts::default(), |sum, one| SourceCounts {
            requests: sum.requests + one.requests,
            answered: sum.answered + one.answered,
            failed: sum.failed + one.failed,
        })
    }

    /// Whether the rollout may go on.
    fn is_passed(&self, outcome: WarmUpOutcome) -> bool {
        match outcome {
            WarmUpOutcome::Stable => true,
            WarmUpOutcome::NotStable | WarmUpOutcome::Unasked => {
                self.rule.at_deadline == AtDeadline::GoOn
            }
            WarmUpOutcome::Failing | WarmUpOutcome::Silent => false,
        }
    }
}

#[cfg(test)]
mod tests;
