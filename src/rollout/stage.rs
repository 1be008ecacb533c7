//! Where a rollout stands. Each stage owns only what means something in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gate::GateReport;
use crate::model::weight::Weight;

/// What a candidate has to pass before users meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Named requests against each of its upstreams.
    Smoke,
    /// A score of its answers.
    Quality,
    /// Synthetic and mirrored requests until it is as fast as it gets.
    WarmUp,
}

impl Gate {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke tests",
            Self::Quality => "quality gate",
            Self::WarmUp => "warm-up",
        }
    }
}

/// The stages, in their order; the last two are the other way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Waits until an upstream of the candidate is usable.
    Ready,
    /// A gate is at work.
    Gate {
        /// Which one.
        gate: Gate,
    },
    /// Users meet it, a step at a time.
    Ramp {
        /// Steps of the plan that were taken; 0 before the first, and after a step back from it.
        taken: usize,
    },
    /// All traffic is the candidate's; the environment that was active stays armed.
    Switched,
    /// The new version has stayed, and nothing is armed any more.
    Done,
    /// The environment that was active is asked whether it can take its traffic back.
    RollingBack {
        /// Why.
        cause: Cause,
        /// Where it stood.
        from: Box<Stage>,
        /// All users return with one table, whatever the plan says.
        #[serde(default)]
        at_once: bool,
    },
    /// Users return, a step each second.
    Returning {
        /// Why.
        cause: Cause,
        /// Where it stood.
        from: Box<Stage>,
        /// The share of the slot that is left.
        left: Weight,
    },
    /// Everything is as before the rollout.
    RolledBack {
        /// Why.
        cause: Cause,
    },
}

/// Why a rollout went back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// A stable code: `errors`, `ttft`, `smoke`, `not_ready`, `operator`.
    pub code: String,
    /// One sentence for people, with the numbers of both sides.
    pub text: String,
    /// Its numbers.
    pub details: Value,
}

impl Cause {
    /// A gate that was not passed.
    pub(super) fn of_gate(gate: Gate, report: &GateReport) -> Self {
        let code = match gate {
            Gate::Smoke => "smoke",
            Gate::Quality => "quality_gate",
            Gate::WarmUp => "warm_up",
        };
        Self { code: code.into(), text: report.sentence.clone(), details: report.details.clone() }
    }
}

impl Stage {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Gate { gate: Gate::Smoke } => "smoke",
            Self::Gate { gate: Gate::Quality } => "quality",
            Self::Gate { gate: Gate::WarmUp } => "warm_up",
            Self::Ramp { .. } => "ramp",
            Self::Switched => "switched",
            Self::Done => "done",
            Self::RollingBack { .. } => "rolling_back",
            Self::Returning { .. } => "returning",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Whether it is on the way back, or there.
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::RollingBack { .. } | Self::Returning { .. } | Self::RolledBack { .. })
    }

    /// Why it goes back.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::RollingBack { cause, .. }
            | Self::Returning { cause, .. }
            | Self::RolledBack { cause } => Some(cause),
            _ => None,
        }
    }

    /// Where it stood before it went back, or stands.
    pub fn before_way_back(&self) -> &Self {
        match self {
            Self::RollingBack { from, .. } | Self::Returning { from, .. } => from,
            _ => self,
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::RolledBack { .. })
    }

    /// Whether users may meet the candidate, so that the judge has something to look at.
    pub fn is_judged(&self) -> bool {
        let is_leaving = matches!(self, Self::RollingBack { .. } | Self::Returning { .. });
        is_leaving || matches!(self, Self::Ramp { .. } | Self::Switched)
    }
}
