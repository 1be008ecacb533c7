//! What a release goes through, settled before it starts: steps, limits, gates.
//!
//! Plain values, as the file or whoever starts a rollout wrote them. A rollout keeps the plan it was
//! started with, so that a reload never changes the rules of one under way.

pub mod smoke;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::weight::Weight;

/// A plan for the rollouts of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Shares of the slot, rising; the last is 100 %, the switch.
    pub steps: Vec<Step>,
    /// Who decides.
    pub judge: JudgeKind,
    /// How often the window judge looks. The evidence judge looks all the time.
    pub check_interval: Duration,
    /// Which time a limit or a comparison of latency means.
    pub latency_signal: LatencySignal,
    /// Limits that hold without a comparison.
    pub limits: Limits,
    /// How long a step may wait for its requests.
    pub wait_max: Duration,
    /// What comes then.
    pub too_little_data: TooLittleData,
    /// What must not be worse for the switch.
    pub comparison: ComparisonRule,
    /// How long the candidate may take to become ready before anything else.
    pub ready_within: Duration,
    /// How long the environment that was active stays armed after the switch.
    pub armed_for: Duration,
    /// How long a version that was rolled back must wait for its next attempt.
    pub cool_down: Duration,
    /// Attempts of one version.
    pub attempts_max: u32,
    /// How a rollback gives traffic back.
    pub rollback: RollbackProfile,
}

/// One step of the ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The candidate's share of what it and the active environment get together.
    pub share: Weight,
    /// How long it lasts at least. (Never shorter than the last age at which requests are read.)
    pub bake: Duration,
    /// Requests of the candidate that it needs.
    pub requests_min: u32,
}

/// The two judges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeKind {
    /// By evidence that may be looked at any time.
    #[default]
    Evidence,
    /// By thresholds over the last minute.
    Window,
}

/// Which time is compared and limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencySignal {
    /// TTFT of streamed answers, the total of others.
    #[default]
    Auto,
    /// Time to first content.
    Ttft,
    /// Time to the last byte.
    Total,
}

/// Limits that hold without a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Share of requests that may fail, 0 to 1.
    pub error_rate_max: f64,
    /// p99 of latency.
    pub latency_p99_max: Duration,
    /// Mean quality score, 0 to 1.
    pub quality_min: f64,
}

/// What happens to a step that never gets its requests.
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

/// The comparison that the last step of the ramp must pass before the switch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComparisonRule {
    /// How far back it looks.
    pub window: Duration,
    /// p99 of latency above the active environment's.
    pub latency_p99_margin: Duration,
    /// The candidate's own share of failures, 0 to 1.
    pub error_rate_max: f64,
    /// Mean score below the active environment's.
    pub quality_loss_max: f64,
}

/// How a rollback gives traffic back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackProfile {
    /// All of it at once.
    #[default]
    Instant,
    /// New requests beyond so many per second are told to come again while the old side warms up.
    Staged {
        /// Requests per second that the old side takes back.
        per_second: u32,
    },
}

/// Bake and requests of a step that does not say.
pub const BAKE: Duration = Duration::from_secs(5 * 60);
/// Requests that a step needs.
pub const REQUESTS_MIN: u32 = 200;
/// Requests that a step of at most 1 % needs.
pub const REQUESTS_MIN_AT_ONE_PERCENT: u32 = 50;

impl Step {
    /// A step to this share with the usual bake and number of requests.
    pub fn to(share: Weight) -> Self {
        let is_first = share.percent() <= 1.0;
        let requests_min = if is_first { REQUESTS_MIN_AT_ONE_PERCENT } else { REQUESTS_MIN };
        Self { share, bake: BAKE, requests_min }
    }

    /// Whether it is the switch.
    pub fn is_switch(&self) -> bool {
        self.share == Weight::FULL
    }
}

/// Why steps are none. `Display` is safe to show to an API client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// No step at all.
    #[error("no steps; write at least the switch, 100 %")]
    Empty,
    /// Too many.
    #[error("{0} steps; write at most {STEPS_MAX}")]
    TooMany(usize),
    /// A step that is not above the one before.
    #[error("step {number} is {share} %, not above the {before} % before it; steps must rise")]
    NotRising {
        /// Counted from 1.
        number: usize,
        /// Its share.
        share: Weight,
        /// The share before it.
        before: Weight,
    },
    /// The last one is not the switch.
    #[error("the last step is {0} %, must be 100; to stay there, pause it")]
    NoSwitch(Weight),
}

/// Most steps of a plan.
pub const STEPS_MAX: usize = 100;

impl Plan {
    /// Whether its steps are steps.
    ///
    /// # Errors
    /// When they do not rise from above zero to 100 %.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.steps.len() > STEPS_MAX {
            return Err(PlanError::TooMany(self.steps.len()));
        }
        let mut before = Weight::ZERO;
        for (index, step) in self.steps.iter().enumerate() {
            if step.share <= before {
                let (number, share) = (index + 1, step.share);
                return Err(PlanError::NotRising { number, share, before });
            }
            before = step.share;
        }
        match self.steps.last() {
            None => Err(PlanError::Empty),
            Some(last) if !last.is_switch() => Err(PlanError::NoSwitch(last.share)),
            Some(_) => Ok(()),
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        let percent = |percent| Weight::from_percent(percent).expect("between 0 and 100");
        let steps = [1.0, 5.0, 25.0, 50.0, 100.0];
        Self {
            steps: steps.into_iter().map(|share| Step::to(percent(share))).collect(),
            judge: JudgeKind::Evidence,
            check_interval: Duration::from_secs(30),
            latency_signal: LatencySignal::Auto,
            limits: Limits::default(),
            wait_max: Duration::from_secs(2 * 3_600),
            too_little_data: TooLittleData::Hold,
            comparison: ComparisonRule::default(),
            ready_within: Duration::from_secs(10 * 60),
            armed_for: Duration::from_secs(30 * 60),
            cool_down: Duration::from_secs(30 * 60),
            attempts_max: 2,
            rollback: RollbackProfile::Instant,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { error_rate_max: 0.05, latency_p99_max: Duration::from_secs(5), quality_min: 0.70 }
    }
}

impl Default for ComparisonRule {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(5 * 60),
            latency_p99_margin: Duration::from_millis(200),
            error_rate_max: 0.01,
            quality_loss_max: 0.02,
        }
    }
}
