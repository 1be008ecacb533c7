//! What a release goes through, settled before it starts: steps, limits, gates.
//!
//! Plain values, as the file or whoever starts a rollout wrote them. A rollout keeps the plan it was
//! started with, so that a reload never changes the rules of one under way.

pub mod quality;
pub mod rollback;
pub mod smoke;
pub mod warm_up;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duration;
use super::name::Name;
use super::weight::Weight;
use rollback::RollbackProfile;

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
    /// How fast users return when it goes back.
    pub rollback: RollbackProfile,
    /// How long a version that was rolled back must wait for its next attempt.
    pub cool_down: Duration,
    /// Attempts of one version.
    pub attempts_max: u32,
}

/// The plans of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plans {
    /// The one that is taken when none is named.
    pub default: Plan,
    /// Steps of others, by their names; everything else is as in the default.
    pub others: BTreeMap<Name, Vec<Step>>,
    /// What steps take that do not say.
    pub pace: Pace,
}

/// Time and requests of steps that do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long it lasts.
    pub bake: Duration,
    /// Requests that it needs; a quarter of it at 1 % and below.
    pub requests_min: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bake: Duration::from_secs(5 * 60), requests_min: 200 }
    }
}

impl Plans {
    /// The plan of this name; `default` is one.
    pub fn find(&self, name: &str) -> Option<Plan> {
        if name == DEFAULT {
            return Some(self.default.clone());
        }
        let (_, steps) = self.others.iter().find(|(other, _)| other.as_str() == name)?;
        Some(Plan { steps: steps.clone(), ..self.default.clone() })
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(DEFAULT).chain(self.others.keys().map(Name::as_str))
    }
}

/// The name of the plan that is taken when none is named.
pub const DEFAULT: &str = "default";

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
    /// Time per output token after the first, of streams.
    Tpot,
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
    /// Somebody wrote it: it holds though the active environment has no scores to compare with.
    pub is_quality_set: bool,
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

/// How long what each environment did is kept to be compared. Memory is the reason, see
/// `control_plane::windows`.
pub const COMPARED_MAX: Duration = Duration::from_secs(15 * 60);

/// The comparison that the last step of the ramp must pass before the switch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ComparisonRule {
    /// How far back it looks, at most `COMPARED_MAX`.
    pub window: Duration,
    /// p99 of latency above the active environment's.
    pub latency_p99_margin: Duration,
    /// The candidate's own share of failures, 0 to 1.
    pub error_rate_max: f64,
    /// Mean score below the active environment's.
    pub quality_loss_max: f64,
}

/// A step as it is written: `5`, `5%`, `5% 10m`, `5% 10m 500`. What is left out is the plan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenStep {
    /// The candidate's share.
    pub share: Weight,
    /// Time, if it says.
    pub bake: Option<Duration>,
    /// Requests, if it says.
    pub requests_min: Option<u32>,
}

/// A text that is no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no step; write a percentage, and if need be time and requests: 5%, 5% 10m, 5% 10m 500"
)]
pub struct StepError(String);

impl FromStr for WrittenStep {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let wrong = || StepError(text.to_owned());
        let mut words = text.split_whitespace();
        let share = words.next().ok_or_else(wrong)?;
        let share = share.strip_suffix('%').unwrap_or(share).parse::<f64>().map_err(|_| wrong())?;
        let share = Weight::from_percent(share).map_err(|_| wrong())?;
        let mut step = Self { share, bake: None, requests_min: None };
        for word in words {
            match word.parse::<u32>() {
                Ok(requests) if step.requests_min.is_none() => step.requests_min = Some(requests),
                Err(_) if step.bake.is_none() && step.requests_min.is_none() => {
                    step.bake = Some(duration::parse(word).map_err(|_| wrong())?);
                }
                _ => return Err(wrong()),
            }
        }
        Ok(step)
    }
}

impl WrittenStep {
    /// The step, with what it does not say.
    pub fn complete(self, pace: Pace) -> Step {
        let is_first = self.share.percent() <= 1.0;
        let usual = if is_first { pace.requests_min.div_ceil(4) } else { pace.requests_min };
        Step {
            share: self.share,
            bake: self.bake.unwrap_or(pace.bake),
            requests_min: self.requests_min.unwrap_or(usual),
        }
    }
}

impl Step {
    /// A step to this share with the usual bake and number of requests.
    pub fn to(share: Weight) -> Self {
        WrittenStep { share, bake: None, requests_min: None }.complete(Pace::default())
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

/// As it is written, with everything.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}% {} {}", self.share, duration::print(self.bake), self.requests_min)
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
            rollback: RollbackProfile::Instant,
            cool_down: Duration::from_secs(30 * 60),
            attempts_max: 2,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            error_rate_max: 0.05,
            latency_p99_max: Duration::from_secs(5),
            quality_min: 0.70,
            is_quality_set: false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        let read = |text: &str| text.parse::<WrittenStep>().map(|s| s.complete(Pace::default()));
        let step = |percent, seconds, requests_min| Step {
            share: Weight::from_percent(percent).unwrap(),
            bake: Duration::from_secs(seconds),
            requests_min,
        };
        for (text, expected) in [
            ("1", step(1.0, 300, 50)),
            ("0.5%", step(0.5, 300, 50)),
            ("5% 10m", step(5.0, 600, 200)),
            ("5 10m 500", step(5.0, 600, 500)),
            ("5% 500", step(5.0, 300, 500)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for text in ["", "x", "101", "-1", "5% 10", "5% 10m 10m", "5% 1 2", "5% 1 2m", "5 % 10m"] {
            let is_step = read(text).is_ok_and(|step| step.requests_min != 10);
            assert!(!is_step, "{text}");
        }
    }
}
