//! From one moment of a rollout to the next.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::{Advance, Effect, Event, Look, NotNow, Said, Scene, Traffic};
use super::gate::GateReport;
use super::notice::Occasion;
use super::sentence;
use super::stage::{Cause, Gate, Stage};
use super::value::{Holder, Rollout};
use crate::judge::decision::{Decision, Waiting};
use crate::model::duration;
use crate::model::weight::Weight;

impl Rollout {
    /// What becomes of the rollout by this event; `None` when nothing does.
    ///
    /// # Errors
    /// When somebody asks for what the present stage does not allow.
    pub fn advance(&self, event: &Event, scene: &Scene) -> Result<Option<Advance>, NotNow> {
        match event {
            Event::Asked(asked) => self.asked(asked, scene),
            Event::Looked(look) => Ok(self.looked(look, scene)),
            Event::GateEnded(gate, report) => Ok(self.gate_ended(*gate, report, scene)),
            Event::BaseProbed(answer) => Ok(self.base_probed(answer, scene)),
            Event::WeightsByHand => Ok(self.weights_by_hand(scene)),
            Event::Restored => Ok(self.restored()),
        }
    }

    fn looked(&self, look: &Look, scene: &Scene) -> Option<Advance> {
        match &self.stage {
            Stage::Ready => self.look_whether_ready(&look.ready, scene),
            Stage::Ramp { taken } => self.look_at_ramp(*taken, look, scene),
            Stage::Switched => self.look_at_switched(look, scene),
            Stage::Returning { cause, .. } => self.look_at_returning(cause, look, scene),
            // A gate tells its end by itself; the candidate may come and go meanwhile.
            Stage::Gate { .. }
            | Stage::RollingBack { .. }
            | Stage::Done
            | Stage::RolledBack { .. } => None,
        }
    }

    fn look_whether_ready(&self, ready: &Result<(), String>, scene: &Scene) -> Option<Advance> {
        match ready {
            Ok(()) => Some(self.enter_next_gate(None, scene)),
            Err(why) if self.in_stage(scene.now) >= self.plan.ready_within => {
                let within = duration::spoken(self.plan.ready_within);
                let text = format!("{} was not ready within {within}: {why}", self.candidate);
                let cause =
                    Cause { code: "not_ready".into(), text, details: json!({ "seen": why }) };
                Some(self.fail_before_users(cause, scene))
            }
            Err(_) => None,
        }
    }

    fn gate_ended(&self, gate: Gate, report: &GateReport, scene: &Scene) -> Option<Advance> {
        if self.stage != (Stage::Gate { gate }) {
            return None; // it was skipped, or stopped, before it came to its end
        }
        if report.passed {
            return Some(self.enter_next_gate(Some((gate, report)), scene));
        }
        Some(self.fail_before_users(Cause::of_gate(gate, report), scene))
    }

    /// Goes to the first gate after the one that ended, or to the ramp.
    pub(super) fn enter_next_gate(
        &self,
        ended: Option<(Gate, &GateReport)>,
        scene: &Scene,
    ) -> Advance {
        let after = ended.map(|(gate, _)| gate);
        let (stage, effects) = self.after_gate(after);
        let (text, details) = match ended {
            Some((_, report)) => (report.sentence.clone(), report.details.clone()),
            None => (format!("{} is ready", self.candidate), Value::Null),
        };
        let kind = if ended.is_some() { "gate_passed" } else { "candidate_ready" };
        let text = format!("{text}; {}", sentence::comes_next(self, &stage));
        self.entering(stage, scene).with(None, effects, Said { kind, text, details })
    }

    /// Where it goes after this gate; before the first, where there was none yet.
    pub(super) fn after_gate(&self, after: Option<Gate>) -> (Stage, Vec<Effect>) {
        let next = self.gates.iter().copied().find(|gate| after.is_none_or(|after| *gate > after));
        match next {
            Some(gate) => (Stage::Gate { gate }, vec![Effect::Start(gate)]),
            None => (Stage::Ramp { taken: 0 }, vec![]),
        }
    }

    /// It ends before any user has met it; whom somebody has sent there by hand goes back.
    fn fail_before_users(&self, cause: Cause, scene: &Scene) -> Advance {
        if !scene.share.is_zero() {
            return self.back(cause, scene);
        }
        let text = format!("{}; no user has met it", cause.text);
        let said = Said { kind: "rollout_failed", text, details: cause.details.clone() };
        self.entering(Stage::RolledBack { cause }, scene).with(
            None,
            vec![Effect::Tell(Occasion::RolledBack)],
            said,
        )
    }

    fn look_at_switched(&self, look: &Look, scene: &Scene) -> Option<Advance> {
        if let Some(back) = self.look_for_breach(look, scene) {
            return Some(back);
        }
        let judged = look.judged.as_ref();
        match judged.map(|judged| (judged, judged.decision)) {
            Some((judged, Decision::Hold(_))) => {
                self.hold(Holder::Judge, &judged.text, judged.details.clone(), scene)
            }
            // The judge has yet to look at this share: what was said of the one before holds.
            Some((_, Decision::Wait(Waiting::Check))) if self.held.is_some() => None,
            _ => self
                .let_go(Holder::Judge)
                .or_else(|| self.may_finish(scene).then(|| self.finish(scene))),
        }
    }

    /// Whether the environment before may be left by itself: nobody stopped steps, and nobody is there.
    fn may_finish(&self, scene: &Scene) -> bool {
        self.step_may_be_taken(scene)
            && scene.share == Weight::FULL
            && self.lasts(scene, self.plan.armed_for)
    }

    /// The new version has stayed.
    pub(super) fn finish(&self, scene: &Scene) -> Advance {
        let text = format!(
            "{} stays; {} is armed no more and drains",
            sentence::versioned(self),
            self.base
        );
        let effects = vec![Effect::Drain(self.base.clone()), Effect::Tell(Occasion::Done)];
        let said = Said { kind: "rollout_done", text, details: Value::Null };
        self.entering(Stage::Done, scene).with(Some(Traffic::Release), effects, said)
    }

    fn restored(&self) -> Option<Advance> {
        let effect = match &self.stage {
            Stage::Gate { gate } => Effect::Start(*gate),
            Stage::RollingBack { .. } => Effect::ProbeBase,
            _ => return None,
        };
        let text = format!("the rollout goes on at {}", sentence::place(self));
        let said = Said { kind: "rollout_restored", text, details: Value::Null };
        Some(Draft { next: self.clone() }.with(None, vec![effect], said))
    }

    /// The rollout in another stage, which begins now; what held the one before is gone.
    pub(super) fn entering(&self, stage: Stage, scene: &Scene) -> Draft {
        let next = Self { stage, since: scene.now, held: None, muted: None, ..self.clone() };
        Draft { next }
    }

    /// The rollout in its stage, with something changed.
    pub(super) fn draft(&self, change: impl FnOnce(&mut Self)) -> Draft {
        let mut next = self.clone();
        change(&mut next);
        Draft { next }
    }

    pub(super) fn step_may_be_taken(&self, scene: &Scene) -> bool {
        self.is_automatic() && scene.frozen.is_none()
    }

    pub(super) fn lasts(&self, scene: &Scene, time: Duration) -> bool {
        self.in_stage(scene.now) >= time
    }
}

/// A next rollout that nothing was said of yet.
pub(super) struct Draft {
    pub(super) next: Rollout,
}

impl Draft {
    pub(super) fn with(
        self,
        traffic: Option<Traffic>,
        effects: Vec<Effect>,
        said: Said,
    ) -> Advance {
        Advance { next: self.next, traffic, effects, said }
    }
}
