//! How a rollout goes, for whoever looks: the same for API, command line and dashboard.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Judged;
use super::sentence;
use super::stage::Stage;
use super::value::{Holder, Rollout};
use crate::judge::decision::{Decision, Waiting};
use crate::model::duration;
use crate::model::weight::Weight;

/// A base that has not answered for so long needs somebody; one that missed a probe does not.
const BASE_DOWN_FOR: Duration = Duration::from_secs(30);

/// What a rollout waits for, and what comes then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands: `25 %, step 3 of 5`.
    pub place: String,
    /// The share that comes next; `None` at the end.
    pub next_percent: Option<Weight>,
    /// What the next step waits for, in words; empty when nothing.
    pub waits_for: Vec<String>,
}

/// What is known of it beside the rollout itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// What the judge says.
    pub judged: Option<&'a Judged>,
    /// How the gate at work goes.
    pub gate: Option<&'a str>,
    /// What the comparison has against the switch that comes next.
    pub objection: Option<&'a str>,
    /// Why no automatic step may be taken.
    pub frozen: Option<&'a str>,
    /// What the environment before has of the two's traffic.
    pub left_on_base: Weight,
}

impl Progress {
    /// Of a rollout at this moment.
    pub fn of(rollout: &Rollout, known: Known<'_>, now: Duration) -> Self {
        let place = sentence::place(rollout);
        if rollout.stage.is_over() {
            return Self { place: sentence::end(rollout), next_percent: None, waits_for: vec![] };
        }
        let next_percent = match &rollout.stage {
            Stage::Ramp { taken } => rollout.plan.steps.get(*taken).map(|step| step.share),
            Stage::Ready | Stage::Gate { .. } => rollout.plan.steps.first().map(|step| step.share),
            _ => None,
        };
        Self { place, next_percent, waits_for: waits_for(rollout, known, now) }
    }
}

impl Rollout {
    /// Whether its hold waits for somebody. Who judges ends most holds; a comparison has until `wait_max`, as
    /// the switch has for its data. When the base is down too, for longer than a missed probe, users are where
    /// a limit is broken, and it may never come back by itself.
    pub fn needs_somebody(&self, judged: Option<&Judged>, now: Duration) -> bool {
        let Some(hold) = &self.held else { return false };
        match (hold.by, judged.map(|judged| judged.decision)) {
            (Holder::TooLittleData, _) => true,
            (Holder::BaseDown, _) => now.saturating_sub(hold.since) >= BASE_DOWN_FOR,
            (Holder::Comparison, _) => self.in_stage(now) >= self.plan.wait_max,
            (Holder::Judge, Some(Decision::Hold(reason))) => !reason.ends_by_itself(),
            (Holder::Judge, _) => false,
        }
    }
}

fn waits_for(rollout: &Rollout, known: Known<'_>, now: Duration) -> Vec<String> {
    let mut waits = Vec::new();
    if let Some(pause) = &rollout.paused {
        let why = pause.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        waits.push(format!("{} to resume it (paused{why})", pause.by));
    }
    if let Some(hold) = &rollout.held {
        waits.push(format!("the hold to end: {}", hold.text));
    }
    if let Some(why) = known.frozen {
        waits.push(format!("the freeze to end: {why}"));
    }
    match &rollout.stage {
        Stage::Ready => waits.push(format!("{} to be ready", rollout.candidate)),
        Stage::Gate { gate } => {
            let goes = known.gate.map_or_else(String::new, |goes| format!(": {goes}"));
            waits.push(format!("the {}{goes}", gate.name()));
        }
        Stage::Ramp { taken } => waits.extend(step_waits_for(rollout, *taken, known, now)),
        Stage::Switched => {
            if !known.left_on_base.is_zero() {
                waits.push(format!("{} to have no traffic", rollout.base));
            }
            let left = rollout.plan.armed_for.saturating_sub(rollout.in_stage(now));
            let left = duration::spoken(Duration::from_secs(left.as_secs()));
            waits.push(format!("{left} in which {} stays armed", rollout.base));
        }
        Stage::RollingBack { .. } => waits.push(format!("{} to answer", rollout.base)),
        Stage::Returning { left, .. } => {
            waits.push(format!("{} to take its last {left} % back", rollout.base));
        }
        Stage::Done | Stage::RolledBack { .. } => {}
    }
    waits
}

fn step_waits_for(
    rollout: &Rollout,
    taken: usize,
    Known { judged, objection, .. }: Known<'_>,
    now: Duration,
) -> Vec<String> {
    let Some(step) = taken.checked_sub(1).and_then(|last| rollout.plan.steps.get(last)) else {
        return Vec::new();
    };
    let mut waits = Vec::new();
    let left = step.bake.saturating_sub(rollout.in_stage(now));
    if left >= Duration::from_secs(1) {
        waits.push(duration::spoken(Duration::from_secs(left.as_secs())));
    }
    let requests = judged.map_or(0, |judged| judged.requests);
    if requests < step.requests_min {
        waits.push(format!("{} more requests", step.requests_min - requests));
    }
    match judged.map(|judged| judged.decision) {
        Some(Decision::Wait(Waiting::Evidence)) => waits.push("evidence to become calm".to_owned()),
        Some(Decision::Wait(Waiting::Baking)) if waits.is_empty() => {
            waits.push("its last requests to end".to_owned());
        }
        _ => {}
    }
    waits.extend(objection.map(|text| format!("the comparison: {text}")));
    waits
}
