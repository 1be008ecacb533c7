//! The rules of one rollout, fixed when it starts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::metric::Metrics;

/// Limits that hold by themselves, without a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Share of requests that may fail.
    pub error_rate_max: f64,
    /// Share of requests that may be slower than the latency limit: 0.01 for a p99.
    pub slow_share_max: f64,
    /// Mean quality score that must be reached.
    pub quality_min: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { error_rate_max: 0.05, slow_share_max: 0.01, quality_min: 0.70 }
    }
}

/// What happens to a step that never gets the requests it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooLittleData {
    /// Wait for a human.
    #[default]
    Hold,
    /// Go on.
    Advance,
    /// Go back.
    RollBack,
}

/// At which numbers the judge acts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Levels {
    /// Evidence that rolls back: 100 is one healthy rollout in a hundred at most.
    pub roll_back: f64,
    /// Evidence by users that a rollback needs as well.
    pub confirm: f64,
    /// Evidence that is shown and written down, and holds if users confirm it.
    pub notice: f64,
    /// Evidence by users that a hold needs as well.
    pub hold_confirm: f64,
    /// Below this a step may be taken, and a hold ends.
    pub calm: f64,
    /// ... or evidence by users below this.
    pub calm_confirm: f64,
    /// Evidence at which the split itself is not believed.
    pub split: f64,
    /// Failures must exceed the active side's share by this much.
    pub excess_errors_min: f64,
    /// Mean quality must lie below the active side's by this much.
    pub quality_loss_min: f64,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            roll_back: 100.0,
            confirm: 10.0,
            notice: 20.0,
            hold_confirm: 2.0,
            calm: 5.0,
            calm_confirm: 1.0,
            split: 1_000.0,
            excess_errors_min: 0.005,
            quality_loss_min: 0.03,
        }
    }
}

/// What a step needs before the next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bake {
    /// Time, at least; it is never shorter than the last age at which requests are read.
    pub time_min: Duration,
    /// Requests of the candidate, at least.
    pub requests_min: u32,
    /// The same in steps of at most 1 %.
    pub requests_min_at_one_percent: u32,
    /// How long a step may wait for them.
    pub wait_max: Duration,
    /// What comes then.
    pub too_little_data: TooLittleData,
}

impl Default for Bake {
    fn default() -> Self {
        Self {
            time_min: Duration::from_secs(5 * 60),
            requests_min: 200,
            requests_min_at_one_percent: 50,
            wait_max: Duration::from_secs(2 * 3_600),
            too_little_data: TooLittleData::Hold,
        }
    }
}

impl Bake {
    /// Requests that a step at this share needs.
    pub fn requests_min_at(&self, share: f64) -> u32 {
        if share <= 0.01 { self.requests_min_at_one_percent } else { self.requests_min }
    }
}

/// Everything that is settled before a rollout starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Steps of the plan, the switch included.
    pub planned_steps: u32,
    /// What is judged.
    pub metrics: Metrics,
    /// Absolute limits.
    pub limits: Limits,
    /// Numbers at which the judge acts.
    pub levels: Levels,
    /// What a step needs.
    pub bake: Bake,
    /// The candidate may fail this many times as often; 1: no worse.
    pub error_tolerance: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            planned_steps: 5,
            metrics: Metrics::default(),
            limits: Limits::default(),
            levels: Levels::default(),
            bake: Bake::default(),
            error_tolerance: 1.0,
        }
    }
}
