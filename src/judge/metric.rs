//! What a rollout is judged by, and how much of the one coin is bet on each.

use serde::{Deserialize, Serialize};

use super::record::Measure;

/// A part of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Failures, against the active environment's.
    Errors,
    /// Refusals (4xx), against the active environment's.
    Refused,
    /// Time to first content, against the active environment's.
    Ttft,
    /// Latency or gap, against the active environment's.
    Latency,
    /// Quality scores, against the active environment's and the absolute limit.
    Quality,
    /// The absolute limit on failures.
    ErrorLimit,
    /// The absolute limit on the p99 of latency.
    LatencyLimit,
}

impl Metric {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Errors,
        Self::Refused,
        Self::Ttft,
        Self::Latency,
        Self::Quality,
        Self::ErrorLimit,
        Self::LatencyLimit,
    ];

    /// Its share of the coin when a service has everything.
    fn share(self) -> f64 {
        match self {
            Self::Errors => 0.30,
            Self::Refused => 0.05,
            Self::Ttft => 0.20,
            Self::Latency | Self::Quality => 0.15,
            Self::ErrorLimit | Self::LatencyLimit => 0.075,
        }
    }

    /// Whether it needs no active environment to compare with.
    pub fn is_absolute(self) -> bool {
        matches!(self, Self::ErrorLimit | Self::LatencyLimit)
    }

    /// Whether some of its coin is bet against an absolute limit.
    pub fn has_limit(self) -> bool {
        self.is_absolute() || self == Self::Quality
    }

    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Refused => "refused",
            Self::Ttft => "ttft",
            Self::Latency => "latency",
            Self::Quality => "quality",
            Self::ErrorLimit => "error_limit",
            Self::LatencyLimit => "latency_limit",
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Refused => "refusals",
            Self::Ttft => "TTFT",
            Self::Latency => "latency",
            Self::Quality => "quality",
            Self::ErrorLimit => "error limit",
            Self::LatencyLimit => "p99 limit",
        }
    }
}

impl From<Measure> for Metric {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Ttft => Self::Ttft,
            Measure::Latency => Self::Latency,
        }
    }
}

/// What a service has, settled before the rollout starts. Shares of what it has not go to the rest;
/// doing so later, when the data are known, would be a second coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Metric>", into = "Vec<Metric>")]
pub struct Metrics(Vec<Metric>);

impl Metrics {
    /// These, in any order.
    pub fn new(metrics: impl IntoIterator<Item = Metric>) -> Self {
        let mut metrics: Vec<Metric> = metrics.into_iter().collect();
        metrics.sort_unstable();
        metrics.dedup();
        Self(metrics)
    }

    /// Those that are judged.
    pub fn iter(&self) -> impl Iterator<Item = Metric> {
        self.0.iter().copied()
    }

    /// Whether this one is.
    pub fn has(&self, metric: Metric) -> bool {
        self.0.contains(&metric)
    }

    /// The share of the coin that is bet on one of them.
    pub fn share(&self, metric: Metric) -> f64 {
        if !self.has(metric) {
            return 0.0;
        }
        metric.share() / self.iter().map(Metric::share).sum::<f64>()
    }
}

impl From<Vec<Metric>> for Metrics {
    fn from(metrics: Vec<Metric>) -> Self {
        Self::new(metrics)
    }
}

impl From<Metrics> for Vec<Metric> {
    fn from(metrics: Metrics) -> Self {
        metrics.0
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Metric::ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_sum_to_one_whatever_a_service_has() {
        for metrics in [Metrics::default(), Metrics::new([Metric::ErrorLimit, Metric::Errors])] {
            let sum: f64 = Metric::ALL.iter().map(|metric| metrics.share(*metric)).sum();
            assert!((sum - 1.0).abs() < 1e-12);
        }
        assert!((Metrics::default().share(Metric::Errors) - 0.3).abs() < 1e-12);
    }
}
