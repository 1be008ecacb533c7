//! The rollout itself: what the store keeps of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rollback_time::RollbackTime;
use super::stage::{Gate, Stage};
use super::start_key::StartKey;
use crate::judge::settings::Settings;
use crate::model::name::Name;
use crate::model::plan::Plan;
use crate::model::weight::Weight;

/// One release of one service, from its start to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Rises with every rollout of the service.
    pub id: u64,
    /// The environment under judgement.
    pub candidate: Name,
    /// The environment that was active when it started, and that it goes back to.
    pub base: Name,
    /// The candidate's version label when it started.
    pub version: Option<String>,
    /// The name of its plan.
    pub plan_name: String,
    /// The rules it was started with.
    pub plan: Plan,
    /// The judge's rules.
    pub judging: Settings,
    /// What the candidate has to pass before the ramp, in order.
    pub gates: Vec<Gate>,
    /// What is not judged, and why: limits that the active environment broke already, with its own value,
    /// and quality without its scores.
    pub unarmed: Vec<String>,
    /// Who started it.
    pub started_by: String,
    /// When, in milliseconds of Unix time.
    pub started_at: u64,
    /// When it came to stand as it does, in milliseconds of Unix time; 0 when that was not noted.
    #[serde(default)]
    pub stands_since: u64,
    /// Where it stands.
    pub stage: Stage,
    /// Since when, in observed time.
    pub since: Duration,
    /// For how long it had been observed when this was written.
    pub observed: Duration,
    /// Somebody stopped automatic steps.
    pub paused: Option<Pause>,
    /// Something keeps it from going on.
    pub held: Option<Hold>,
    /// Somebody knows that it is held, and lets it be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Mute>,
    /// How long its way back took, once every core has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_time: Option<RollbackTime>,
    /// By what its start is known again, should somebody ask for it twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_key: Option<StartKey>,
}

/// Somebody stopped automatic steps. The judge goes on watching.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// Somebody keeps a hold and knows of it: nobody else is told of one for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Until when, in observed time.
    pub until: Duration,
}

/// Why no further step is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// What holds it.
    pub by: Holder,
    /// One sentence for people.
    pub text: String,
    /// Since when, in observed time.
    pub since: Duration,
    /// When the base was asked last, where it is what does not answer.
    #[serde(default)]
    pub asked_at: Duration,
}

impl Hold {
    pub(super) fn new(by: Holder, text: &str, now: Duration) -> Self {
        Self { by, text: text.to_owned(), since: now, asked_at: now }
    }
}

/// What holds a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The judge; it ends by itself when the judge says so.
    Judge,
    /// The comparison before the switch says that it is not safe. Ends when it no longer says so.
    Comparison,
    /// It ought to go back, and the environment to go back to does not answer. Asked again now and then.
    BaseDown,
    /// A step did not get its requests in time. Ends by a human.
    TooLittleData,
}

impl Holder {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Judge => "judge",
            Self::Comparison => "comparison",
            Self::BaseDown => "base_down",
            Self::TooLittleData => "too_little_data",
        }
    }
}

impl Rollout {
    /// The share of the slot that the plan has given the candidate by now.
    pub fn planned_share(&self) -> Weight {
        match &self.stage {
            Stage::Ramp { taken } => self.share_after(*taken),
            Stage::Switched | Stage::Done => Weight::FULL,
            Stage::Returning { left, .. } => *left,
            Stage::RollingBack { from, .. } => match &**from {
                Stage::Ramp { taken } => self.share_after(*taken),
                Stage::Switched => Weight::FULL,
                _ => Weight::ZERO,
            },
            _ => Weight::ZERO,
        }
    }

    /// Whether steps are taken without anybody asking.
    pub fn is_automatic(&self) -> bool {
        self.paused.is_none() && self.held.is_none()
    }

    /// Who keeps its hold quiet, and for how long from now on; `None` when nobody does.
    pub fn muted_for(&self, now: Duration) -> Option<(&Mute, Duration)> {
        let mute = self.muted.as_ref().filter(|mute| now < mute.until)?;
        Some((mute, mute.until.saturating_sub(now)))
    }

    pub(super) fn share_after(&self, taken: usize) -> Weight {
        let last = taken.checked_sub(1).and_then(|last| self.plan.steps.get(last));
        last.map_or(Weight::ZERO, |step| step.share)
    }

    /// The rollout that `before` has become, with the time at which somebody who looks saw it change.
    #[must_use]
    pub fn stamped(self, before: &Self, unix_ms: u64) -> Self {
        let holder = |rollout: &Self| rollout.held.as_ref().map(|hold| hold.by);
        let stands_as_before = self.stage == before.stage
            && self.paused == before.paused
            && holder(&self) == holder(before);
        let stands_since = if stands_as_before { before.stands_since } else { unix_ms };
        Self { stands_since, ..self }
    }

    /// How long the stage has lasted.
    pub fn in_stage(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}
