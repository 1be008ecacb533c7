//! What the judge is told: the record that is kept, replayed and simulated.
//!
//! One record per tick (or per longer time, if nobody hurries), one JSON object per line. It holds what
//! *became known* by then: how many requests arrived, and what had become of earlier arrivals when they
//! reached an age. Both environments stand side by side in each reading, since they are only ever
//! compared at the same age.
//!
//! What a recorder owes:
//! - Arrivals are counted for the ticks in which requests *began*. The tick in which a weight changed is
//!   left out, so that no reading spans a change.
//! - Readings of one question come in the order of arrival, without gaps and without overlap.
//! - Left out on both sides: forced, mirrored, warm-up, smoke and evaluation requests, marked retries,
//!   and whoever left before the age or threshold that the reading asks about.
//! - Slow and limit readings count only requests of a key that the same environment has served since
//!   the weight last changed, and none that failed (cold caches are a step's doing, not a fault). Where
//!   keys do not come back, limit readings count all of them.
//! - At most `HITS_MAX` hits per reading, drawn at random from both sides together. Beyond the first of
//!   a key since the last change or full hour of a step, hits are needed at the age of 250 ms and after
//!   the switch only.

use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;
use super::settings::Settings;
use super::tick::Tick;

/// Requests that a record may count for one question, at most: beyond any server, and the sums of a minute
/// fit into their numbers.
pub const REQUESTS_MAX: u32 = 10_000_000;
/// Hits that a recorder puts into one reading at most.
pub const HITS_MAX: usize = 1024;

/// One of the two environments that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The baseline.
    Active,
    /// The one under judgement.
    Candidate,
}

/// The same thing of both environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Both<T> {
    /// The baseline's.
    pub active: T,
    /// The candidate's.
    pub candidate: T,
}

impl<T> Both<T> {
    /// Of one side.
    pub fn of(&mut self, side: Side) -> &mut T {
        match side {
            Side::Active => &mut self.active,
            Side::Candidate => &mut self.candidate,
        }
    }

    /// Both by reference.
    pub fn as_ref(&self) -> Both<&T> {
        Both { active: &self.active, candidate: &self.candidate }
    }

    /// Something else of both sides.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Both<U> {
        Both { active: f(self.active), candidate: f(self.candidate) }
    }
}

impl<T: AddAssign> AddAssign for Both<T> {
    fn add_assign(&mut self, other: Self) {
        self.active += other.active;
        self.candidate += other.candidate;
    }
}

/// One line of a recorded rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// What was settled before the rollout started. The first record, or missing.
    Start(Box<Start>),
    /// The candidate's share changed. The first one begins the rollout.
    Change(Change),
    /// A human lifted the hold that was on.
    Resume(Resume),
    /// What became known since the record before. After each the judge is asked once.
    Tick(TickRecord),
}

/// What was settled before the rollout started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Start {
    /// The name of the active environment.
    pub active: String,
    /// The name of the candidate.
    pub candidate: String,
    /// The rules.
    pub settings: Settings,
}

impl Default for Start {
    fn default() -> Self {
        let [active, candidate] = ["active", "candidate"].map(str::to_owned);
        Self { active, candidate, settings: Settings::default() }
    }
}

/// A human said: go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// When.
    pub at: Tick,
}

/// A new share of the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The first tick that is wholly under the new share.
    pub at: Tick,
    /// The candidate's share of what it and the active environment get together, 0 to 1; 1 is the switch.
    pub share: f64,
    /// Whether the plan had this step; it then starts with more weight in the evidence.
    pub planned: bool,
}

/// What became known since the record before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TickRecord {
    /// Everything before this moment is in this record or an earlier one.
    pub now: Tick,
    /// Requests that began, by the ticks in which they did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<Arrivals>,
    /// Failures and refusals at an age.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorReading>,
    /// Requests slower than the active environment's own quantiles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slow: Vec<SlowReading>,
    /// Requests slower than the absolute limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<LimitReading>,
    /// Quality scores that came in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
    /// Distinct keys seen for the first time since the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_keys: Option<Both<u32>>,
    /// Distinct keys of the candidate in the last hour, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_of_hour: Option<u32>,
    /// The last age (`A`) at present: the active environment's p99 of request duration, 15 s to 30 min.
    #[serde(
        rename = "final_age_s",
        with = "seconds::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub final_age: Option<Duration>,
}

/// Requests that began in `from..until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrivals {
    /// First tick.
    pub from: Tick,
    /// The tick after the last.
    pub until: Tick,
    /// How many.
    pub n: Both<u32>,
}

/// An age at which errors are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorAge {
    /// 250 ms, for absolute limits only.
    Quarter,
    /// 1 s.
    Second,
    /// 15 s.
    FifteenSeconds,
    /// `A`: the active environment's p99 of duration when these requests arrived.
    Final,
}

/// What had become, at an age, of the requests that began in `from..until`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorReading {
    /// The age.
    pub age: ErrorAge,
    /// First tick of arrival.
    pub from: Tick,
    /// The tick after the last.
    pub until: Tick,
    /// Counts.
    pub counts: Both<ErrorCounts>,
    /// The keys behind the counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// Requests that reached an age or ended before it, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorCounts {
    /// All but those whose client had left.
    pub n: u32,
    /// Failed before the first content.
    #[serde(skip_serializing_if = "is_none")]
    pub early: u32,
    /// Failed after it.
    #[serde(skip_serializing_if = "is_none")]
    pub late: u32,
    /// Refused: 4xx but 408, 429, 499.
    #[serde(skip_serializing_if = "is_none")]
    pub refused: u32,
    /// Ended in a way that may hold a rollout: 429, shed, filtered, length.
    #[serde(skip_serializing_if = "is_none")]
    pub watched: u32,
}

impl AddAssign for ErrorCounts {
    fn add_assign(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.early = self.early.saturating_add(other.early);
        self.late = self.late.saturating_add(other.late);
        self.refused = self.refused.saturating_add(other.refused);
        self.watched = self.watched.saturating_add(other.watched);
    }
}

/// What is measured against the active environment's own quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Time to first content of streamed answers.
    Ttft,
    /// Time to the last byte of others, or the gap between contents: one of them per service.
    Latency,
}

/// One of the active environment's recent quantiles, frozen before the requests arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantile {
    /// Half are slower.
    P50,
    /// A tenth is slower.
    P90,
    /// A hundredth is slower.
    P99,
}

impl Quantile {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::P50, Self::P90, Self::P99];

    /// The share of the active environment's requests that is slower, if nothing changed.
    pub fn share_above(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.1,
            Self::P99 => 0.01,
        }
    }
}

/// Which of the requests that began in `from..until` were slower than a quantile; known when they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowReading {
    /// Of what.
    pub measure: Measure,
    /// Against which.
    pub quantile: Quantile,
    /// First tick of arrival.
    pub from: Tick,
    /// The tick after the last.
    pub until: Tick,
    /// Counts.
    pub counts: Both<SlowCounts>,
    /// The keys behind the counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// Requests that count, and how many were slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowCounts {
    /// Requests that count.
    pub n: u32,
    /// Slower than the threshold.
    #[serde(skip_serializing_if = "is_none")]
    pub slow: u32,
    /// Slower than 1.1 times the threshold: how much slower the candidate is, not only how surely.
    #[serde(skip_serializing_if = "is_none")]
    pub slow_by_tenth: u32,
}

impl AddAssign for SlowCounts {
    fn add_assign(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.slow = self.slow.saturating_add(other.slow);
        self.slow_by_tenth = self.slow_by_tenth.saturating_add(other.slow_by_tenth);
    }
}

/// Which of the requests that began in `from..until` were slower than the absolute limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitReading {
    /// First tick of arrival.
    pub from: Tick,
    /// The tick after the last.
    pub until: Tick,
    /// Requests that count.
    pub n: Both<u32>,
    /// Those slower than the limit.
    pub over: Both<u32>,
    /// The keys behind the counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// One request behind a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// Whose.
    pub side: Side,
    /// Hash of its sticky key; `None` for a request without, which is a user of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// Which of the reading's counts.
    pub kind: HitKind,
}

/// Which count a hit stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HitKind {
    /// Failed before the first content.
    Early,
    /// Failed after it.
    Late,
    /// Refused.
    Refused,
    /// May hold a rollout.
    Watched,
    /// Slower than the reading's threshold or limit.
    Slow,
}

/// A quality score of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Whose answer.
    pub side: Side,
    /// Hash of the sticky key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// When the request began.
    pub arrived: Tick,
    /// 0 to 1, higher is better.
    pub value: f64,
}

/// Most counts are zero, and there are dozens of them four times a second.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_leaves_out_what_is_empty_and_comes_back_as_it_was() {
        let mut tick = TickRecord { now: Tick(8), ..TickRecord::default() };
        let counts = ErrorCounts { n: 9, early: 1, ..ErrorCounts::default() };
        tick.errors.push(ErrorReading {
            age: ErrorAge::Second,
            from: Tick(0),
            until: Tick(4),
            counts: Both { active: counts, candidate: ErrorCounts::default() },
            hits: vec![Hit { side: Side::Active, key: Some(7), kind: HitKind::Early }],
        });
        let line = serde_json::to_string(&Record::Tick(tick.clone())).unwrap();
        assert!(!line.contains("scores") && !line.contains("late"), "{line}");
        assert!(line.starts_with(r#"{"record":"tick","now":8,"#), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), Record::Tick(tick));
    }
}
