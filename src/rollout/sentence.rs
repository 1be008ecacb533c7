//! What is said of a rollout: the same words in journal, API, command line and hooks.

use super::stage::{Cause, Stage};
use super::value::{Hold, Rollout};
use crate::model::duration;
use crate::model::weight::Weight;

/// `green (v42)`
pub(super) fn versioned(rollout: &Rollout) -> String {
    match &rollout.version {
        Some(version) => format!("{} ({version})", rollout.candidate),
        None => rollout.candidate.to_string(),
    }
}

/// Where it stands: `25 %, step 3 of 5`.
pub fn place(rollout: &Rollout) -> String {
    match &rollout.stage {
        Stage::Ready => "waiting to be ready".to_owned(),
        Stage::Gate { gate } => gate.name().to_owned(),
        Stage::Ramp { taken: 0 } => "0 %, before the first step".to_owned(),
        Stage::Ramp { taken } => {
            let (share, steps) = (rollout.planned_share(), rollout.plan.steps.len());
            format!("{share} %, step {taken} of {steps}")
        }
        Stage::Switched => "100 %".to_owned(),
        Stage::Done => "done".to_owned(),
        Stage::RollingBack { .. } => "rolling back".to_owned(),
        Stage::Returning { left, .. } => format!("rolling back, {left} % left"),
        Stage::RolledBack { .. } => "rolled back".to_owned(),
    }
}

/// What comes after a gate.
pub(super) fn comes_next(rollout: &Rollout, stage: &Stage) -> String {
    match (stage, rollout.plan.steps.first()) {
        (Stage::Gate { gate }, _) => format!("next: {}", gate.name()),
        (_, Some(step)) => format!("next: {} %", step.share),
        (_, None) => "next: the ramp".to_owned(),
    }
}

/// A step was taken; `before` is the share that it had.
pub(super) fn stepped(next: &Rollout, before: Weight) -> String {
    format!(
        "{} from {before} % to {}; back at any time: cyan rollback",
        versioned(next),
        place(next)
    )
}

pub(super) fn switched(rollout: &Rollout) -> String {
    format!(
        "{} is active; {} stays ready for {}. Back: cyan rollback",
        versioned(rollout),
        rollout.base,
        duration::spoken(rollout.plan.armed_for)
    )
}

pub(super) fn held(rollout: &Rollout, hold: &Hold) -> String {
    format!("held at {}: {}", place(rollout), hold.text)
}

pub(super) fn rolled_back(rollout: &Rollout, cause: &Cause) -> String {
    let from = rollout.stage.before_way_back().clone();
    let from = place(&Rollout { stage: from, ..rollout.clone() });
    format!("{} rolled back from {from}: {}", versioned(rollout), cause.text)
}

/// A step of a staged way back was taken; `before` is the share that the candidate had.
pub(super) fn returning(next: &Rollout, before: Weight, cause: &Cause) -> String {
    format!(
        "{} from {before} % to {}; all at once: cyan rollback --instant ({})",
        versioned(next),
        place(next),
        cause.text
    )
}

/// How it ended.
pub fn end(rollout: &Rollout) -> String {
    match &rollout.stage {
        Stage::RolledBack { cause } => {
            format!("{} was rolled back: {}", versioned(rollout), cause.text)
        }
        Stage::Done => format!("{} has all of the traffic", versioned(rollout)),
        _ => format!("{} is at {}", versioned(rollout), place(rollout)),
    }
}
