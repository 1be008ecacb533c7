//! Is it safe to switch? Both environments side by side, over the same minutes.
//!
//! The answer has three values. A difference is `unsafe` only when its whole 95 % interval lies beyond the
//! margin, and `safe` only when all of it lies within; else more data are needed. (Comparing the points
//! alone calls a healthy candidate unsafe in a fifth to a half of all cases.)

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::interval::{Estimate, Z};
use super::record::Both;

mod sentence;

pub use sentence::Explained;

/// Scores per side without which a mean says nothing: the normal interval needs some.
const SCORES_MIN: u32 = 20;
/// Share of values above the p99.
const ABOVE: f64 = 0.01;
/// Values from which on the interval of a p99 has an upper end: 0.99^368 is the first below 2.5 %.
const LATENCIES_MIN: u32 = 368;

/// What was measured of one environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Requests.
    pub requests: u32,
    /// Those that failed.
    pub failures: u32,
    /// Latencies: the upper bound of a bucket, rising, and how many lie in it.
    pub latency: Vec<(Duration, u32)>,
    /// Quality scores: how many, their mean, their variance.
    pub scores: ScoresMeasured,
}

/// Scores of one environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoresMeasured {
    /// How many.
    pub n: u32,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
}

/// What a candidate may be worse by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Margins {
    /// p99 of latency above the active side's.
    pub latency_p99: Duration,
    /// Share of failures, by itself.
    pub error_rate_max: f64,
    /// Mean score below the active side's.
    pub quality_loss: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { latency_p99: Duration::from_millis(200), error_rate_max: 0.01, quality_loss: 0.02 }
    }
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// Wholly within the margin.
    Safe,
    /// Wholly beyond it.
    Unsafe,
    /// Neither.
    NotEnoughData,
}

/// How much worse the candidate is, in one respect; larger is worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Each side's value.
    pub sides: Both<Option<f64>>,
    /// By how much the candidate is worse.
    pub worse_by: Option<f64>,
    /// The 95 % interval of that; an end that the data do not give is `None`.
    pub interval: (Option<f64>, Option<f64>),
    /// What is allowed.
    pub margin: f64,
}

impl Difference {
    /// Whether the candidate is safe in this respect.
    pub fn safety(&self) -> Safety {
        match self.interval {
            (Some(low), _) if low > self.margin => Safety::Unsafe,
            (_, Some(high)) if high <= self.margin => Safety::Safe,
            _ => Safety::NotEnoughData,
        }
    }
}

/// All respects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// p99 of latency, in seconds.
    pub latency_p99: Difference,
    /// Share of failures; the margin is for the candidate's own.
    pub errors: Difference,
    /// Mean score; `None` where there are no scores at all.
    pub quality: Option<Difference>,
    /// Safe in all respects, unsafe in one, or not known yet.
    pub safe: Safety,
}

/// Compares what was measured over the same time.
pub fn compare(measured: &Both<Measured>, margins: &Margins) -> Comparison {
    let latency_p99 = compare_latency(measured, margins.latency_p99.as_secs_f64());
    let errors = compare_errors(measured, margins.error_rate_max);
    let has_scores = measured.active.scores.n + measured.candidate.scores.n > 0;
    let quality = has_scores.then(|| compare_quality(measured, margins.quality_loss));
    let safeties = [Some(latency_p99), Some(errors), quality];
    let safe = safeties.iter().flatten().map(Difference::safety).fold(Safety::Safe, worse);
    Comparison { latency_p99, errors, quality, safe }
}

fn worse(a: Safety, b: Safety) -> Safety {
    match (a, b) {
        (Safety::Unsafe, _) | (_, Safety::Unsafe) => Safety::Unsafe,
        (Safety::NotEnoughData, _) | (_, Safety::NotEnoughData) => Safety::NotEnoughData,
        (Safety::Safe, Safety::Safe) => Safety::Safe,
    }
}

fn compare_latency(measured: &Both<Measured>, margin: f64) -> Difference {
    let active = p99(&measured.active.latency);
    let candidate = p99(&measured.candidate.latency);
    let sides = Both { active: active.value, candidate: candidate.value };
    let Estimate { value: worse_by, low, high } = candidate - active;
    Difference { sides, worse_by, interval: (low, high), margin }
}

/// In seconds, from how many values lie up to which bound.
fn p99(buckets: &[(Duration, u32)]) -> Estimate {
    let at_rank = |rank: f64| {
        let mut below = 0.0;
        let holds = |(_, count): &&(Duration, u32)| {
            below += f64::from(*count);
            below >= rank
        };
        buckets.iter().find(holds).map(|(bound, _)| bound.as_secs_f64())
    };
    Estimate::quantile(count(buckets), ABOVE, at_rank)
}

/// How many values there are.
fn count(buckets: &[(Duration, u32)]) -> f64 {
    buckets.iter().map(|(_, count)| f64::from(*count)).sum()
}

/// The candidate's own share against its limit.
fn compare_errors(measured: &Both<Measured>, margin: f64) -> Difference {
    let share = |side: &Measured| Estimate::share(side.failures.into(), side.requests.into());
    let Both { active, candidate } =
        Both { active: share(&measured.active), candidate: share(&measured.candidate) };
    let sides = Both { active: active.value, candidate: candidate.value };
    let interval = (candidate.low, candidate.high);
    Difference { sides, worse_by: candidate.value, interval, margin }
}

fn compare_quality(measured: &Both<Measured>, margin: f64) -> Difference {
    let (a, c) = (measured.active.scores, measured.candidate.scores);
    let mean = |scores: ScoresMeasured| (scores.n > 0).then_some(scores.mean);
    let sides = Both { active: mean(a), candidate: mean(c) };
    let worse_by = sides.active.zip(sides.candidate).map(|(active, candidate)| active - candidate);
    let spread = (a.n.min(c.n) >= SCORES_MIN)
        .then(|| Z * (a.variance / f64::from(a.n) + c.variance / f64::from(c.n)).sqrt());
    let end = |sign: f64| worse_by.zip(spread).map(|(d, spread)| d + sign * spread);
    Difference { sides, worse_by, interval: (end(-1.0), end(1.0)), margin }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment with so many requests, failures, and latencies up to so many milliseconds.
    fn side(requests: u32, failures: u32, slowest_ms: u64) -> Measured {
        let bucket = |ms: u64| (Duration::from_millis(ms), requests / 100);
        let latency = (1..=100).map(|percent| bucket(slowest_ms * percent / 100)).collect();
        Measured { requests, failures, latency, scores: ScoresMeasured::default() }
    }

    fn safe(active: Measured, candidate: Measured) -> Safety {
        compare(&Both { active, candidate }, &Margins::default()).safe
    }

    #[test]
    fn answers_only_what_the_data_say() {
        use Safety::{NotEnoughData, Safe, Unsafe};
        let blue = || side(10_000, 20, 1_000);
        for (candidate, expected) in [
            (side(10_000, 20, 1_000), Safe),
            (side(10_000, 20, 1_500), Unsafe),
            (side(300, 0, 1_000), NotEnoughData), // no upper end of a p99
            (side(10_000, 200, 1_000), Unsafe),
            (side(10_000, 100, 1_000), NotEnoughData), // exactly 1 %
            (Measured::default(), NotEnoughData),
        ] {
            assert_eq!(
                safe(blue(), candidate.clone()),
                expected,
                "{} requests",
                candidate.requests
            );
        }
    }

    #[test]
    fn quality_counts_where_there_are_scores() {
        let with = |n, mean| Measured {
            scores: ScoresMeasured { n, mean, variance: 0.01 },
            ..side(10_000, 0, 1_000)
        };
        assert_eq!(safe(with(2_000, 0.85), with(2_000, 0.85)), Safety::Safe);
        assert_eq!(safe(with(2_000, 0.85), with(2_000, 0.80)), Safety::Unsafe);
        assert_eq!(safe(with(2_000, 0.85), with(10, 0.85)), Safety::NotEnoughData);
        assert_eq!(safe(with(100, 0.85), with(100, 0.85)), Safety::NotEnoughData);
    }

    #[test]
    fn points_are_shown_beside_the_answer() {
        let both = Both { active: side(10_000, 10, 1_000), candidate: side(10_000, 20, 1_100) };
        let latency = compare(&both, &Margins::default()).latency_p99;
        assert!((latency.worse_by.unwrap() - 0.099).abs() < 1e-9, "{latency:?}");
        let (low, high) = (latency.interval.0.unwrap(), latency.interval.1.unwrap());
        assert!(low < 0.099 && high > 0.099);
    }
}
