//! Is it safe to switch? Both environments side by side, over the same minutes.
//!
//! The answer has three values. A difference is `unsafe` only when its whole 95 % interval lies beyond the
//! margin, and `safe` only when all of it lies within; else more data are needed. (Comparing the points
//! alone calls a healthy candidate unsafe in a fifth to a half of all cases.)

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Both;

mod sentence;

pub use sentence::Explained;

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.96;
/// Scores per side without which a mean says nothing: the normal interval needs some.
const SCORES_MIN: u32 = 20;
/// Share of values above the p99.
const ABOVE: f64 = 0.01;
/// Values from which on the interval of a p99 has an upper end: 0.99^368 is the first below 2.5 %.
const LATENCIES_MIN: u32 = 368;
/// Up to here the ranks of that interval are exact. Beyond, 500 values lie above the p99, and the normal
/// distribution gives the same ranks within one.
const EXACT_MAX: f64 = 50_000.0;

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

/// The interval of a difference from those of its sides (Zou and Donner 2008, "square and add").
fn compare_latency(measured: &Both<Measured>, margin: f64) -> Difference {
    let active = Quantile::of(&measured.active.latency);
    let candidate = Quantile::of(&measured.candidate.latency);
    let sides = Both { active: active.value, candidate: candidate.value };
    let worse_by = candidate.value.zip(active.value).map(|(c, a)| c - a);
    let end = |end: Option<f64>, other: Option<f64>| -> Option<f64> {
        Some((end? - candidate.value?).hypot(other? - active.value?))
    };
    let low = worse_by.zip(end(candidate.low, active.high)).map(|(d, spread)| d - spread);
    let high = worse_by.zip(end(candidate.high, active.low)).map(|(d, spread)| d + spread);
    Difference { sides, worse_by, interval: (low, high), margin }
}

/// A p99 and its interval by order statistics; no distribution is assumed.
struct Quantile {
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

impl Quantile {
    fn of(buckets: &[(Duration, u32)]) -> Self {
        let n = count(buckets);
        let at_rank = |rank: f64| {
            let mut below = 0.0;
            let holds = |(_, count): &&(Duration, u32)| {
                below += f64::from(*count);
                below >= rank
            };
            (rank >= 1.0).then(|| buckets.iter().find(holds)).flatten()
        };
        let at_rank = |rank: f64| at_rank(rank).map(|(bound, _)| bound.as_secs_f64());
        let (few, many) = above(n);
        Self {
            value: at_rank((n * (1.0 - ABOVE)).ceil()),
            low: at_rank(n - many),
            high: few.and_then(|few| at_rank(n - few)),
        }
    }
}

/// How many values there are.
fn count(buckets: &[(Duration, u32)]) -> f64 {
    buckets.iter().map(|(_, count)| f64::from(*count)).sum()
}

/// Of `n` values, how many lie above the true p99 at least and at most, each but for 2.5 %. (Binomial.)
/// `None` while it may well be that none does.
fn above(n: f64) -> (Option<f64>, f64) {
    if n > EXACT_MAX {
        let spread = Z * (n * ABOVE * (1.0 - ABOVE)).sqrt();
        return (Some((n * ABOVE - spread).floor()), (n * ABOVE + spread).ceil());
    }
    let (mut few, mut k) = (None, 0.0);
    let mut chance = (1.0 - ABOVE).powf(n);
    let mut at_most_k = chance;
    while at_most_k < 0.975 && k < n {
        if at_most_k <= 0.025 {
            few = Some(k);
        }
        k += 1.0;
        chance *= (n - k + 1.0) / k * ABOVE / (1.0 - ABOVE);
        at_most_k += chance;
    }
    (few, k)
}

/// The candidate's own share against its limit (Wilson's interval).
fn compare_errors(measured: &Both<Measured>, margin: f64) -> Difference {
    let share = |side: &Measured| {
        (side.requests > 0).then(|| f64::from(side.failures) / f64::from(side.requests))
    };
    let sides = Both { active: share(&measured.active), candidate: share(&measured.candidate) };
    let n = f64::from(measured.candidate.requests);
    let interval = sides.candidate.map(|share| {
        let middle = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        ((middle - spread) / scale, (middle + spread) / scale)
    });
    let interval = (interval.map(|ends| ends.0), interval.map(|ends| ends.1));
    Difference { sides, worse_by: sides.candidate, interval, margin }
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
    fn a_p99_has_the_interval_of_its_order_statistics() {
        let of = |n: u32| {
            let buckets: Vec<_> = (1..=n).map(|s| (Duration::from_secs(s.into()), 1)).collect();
            let Quantile { value, low, high } = Quantile::of(&buckets);
            [low, value, high].map(|end| end.map(f64::round))
        };
        // From tables of the binomial distribution with p = 0.99.
        assert_eq!(of(0), [None; 3]);
        assert_eq!(of(1), [Some(1.0), Some(1.0), None]);
        assert_eq!(of(LATENCIES_MIN - 1)[2], None);
        assert_eq!(of(LATENCIES_MIN), [Some(360.0), Some(365.0), Some(368.0)]);
        assert_eq!(of(1_000), [Some(983.0), Some(990.0), Some(997.0)]);
        let (few, many) = above(EXACT_MAX);
        let (few_normal, many_normal) = above(EXACT_MAX + 1.0);
        assert!((few.unwrap() - few_normal.unwrap()).abs() <= 1.0);
        assert!((many - many_normal).abs() <= 1.0);
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
