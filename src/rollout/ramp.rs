//! The ramp: when the next step is taken, and what holds it.

use serde_json::{Value, json};

use super::event::{Advance, Effect, Judged, Look, Said, Scene, Traffic};
use super::notice::Occasion;
use super::sentence;
use super::stage::Stage;
use super::value::{Hold, Holder, Rollout};
use crate::judge::comparison::Safety;
use crate::judge::decision::{Decision, Waiting};
use crate::model::duration;
use crate::model::plan::TooLittleData;
use crate::model::weight::Weight;

impl Rollout {
    pub(super) fn look_at_ramp(&self, taken: usize, look: &Look, scene: &Scene) -> Option<Advance> {
        if taken == 0 && scene.share.is_zero() {
            return self.look_before_first_step(look, scene);
        }
        if let Some(back) = self.look_for_breach(look, scene) {
            return Some(back);
        }
        let judged = look.judged.as_ref()?;
        match judged.decision {
            Decision::StepBack(_) => Some(self.step_back(taken, judged, scene)),
            // The judge has yet to look at this share: what was said of the one before holds.
            Decision::Wait(Waiting::Check) => None,
            Decision::Hold(_) => {
                self.hold(Holder::Judge, &judged.text, judged.details.clone(), scene)
            }
            _ => self
                .let_go(Holder::Judge)
                .or_else(|| self.let_comparison_go(look))
                .or_else(|| self.go_on(taken, judged, look, scene)),
        }
    }

    /// A comparison that no longer objects holds nothing.
    fn let_comparison_go(&self, look: &Look) -> Option<Advance> {
        let objects = matches!(look.comparison, None | Some((Safety::Unsafe, _)));
        if objects { None } else { self.let_go(Holder::Comparison) }
    }

    /// Nobody meets the candidate: there is nothing to judge, but a hold may be on since a step back.
    fn look_before_first_step(&self, look: &Look, scene: &Scene) -> Option<Advance> {
        let lets_go = match look.judged.as_ref().map(|judged| judged.decision) {
            Some(Decision::Wait(waiting)) => waiting != Waiting::Check,
            Some(Decision::Hold(_) | Decision::StepBack(_) | Decision::RollBack(_)) => false,
            Some(Decision::Advance) | None => true,
        };
        if !lets_go && self.held.is_some() {
            return None;
        }
        self.let_go(Holder::Judge)
            .or_else(|| self.step_may_be_taken(scene).then(|| self.take_step(0, scene)))
    }

    fn go_on(&self, taken: usize, judged: &Judged, look: &Look, scene: &Scene) -> Option<Advance> {
        let step = self.plan.steps.get(taken.checked_sub(1)?)?;
        let waits_for_requests = judged.decision == Decision::Wait(Waiting::Requests)
            || judged.requests < step.requests_min;
        if !self.lasts(scene, step.bake) || !self.step_may_be_taken(scene) {
            return None;
        }
        if waits_for_requests {
            return self.too_few_requests(taken, judged, scene);
        }
        if judged.decision != Decision::Advance {
            return None;
        }
        if self.plan.steps.get(taken)?.is_switch() {
            return self.go_on_to_switch(taken, look, scene);
        }
        Some(self.take_step(taken, scene))
    }

    fn too_few_requests(&self, taken: usize, judged: &Judged, scene: &Scene) -> Option<Advance> {
        if !self.lasts(scene, self.plan.wait_max) {
            return None;
        }
        let step = self.plan.steps.get(taken.checked_sub(1)?)?;
        let text = format!(
            "{} had {} of {} requests after {}",
            self.candidate,
            judged.requests,
            step.requests_min,
            duration::spoken(self.in_stage(scene.now))
        );
        match self.plan.too_little_data {
            TooLittleData::Hold => self.hold(Holder::TooLittleData, &text, Value::Null, scene),
            TooLittleData::Advance => Some(self.take_step(taken, scene)),
            TooLittleData::RollBack => Some(self.go_back("too_little_data", text, judged)),
        }
    }

    /// The switch has a question of its own: is it safe to give everything?
    fn go_on_to_switch(&self, taken: usize, look: &Look, scene: &Scene) -> Option<Advance> {
        match &look.comparison {
            Some((Safety::Safe, _)) => Some(self.take_step(taken, scene)),
            Some((Safety::Unsafe, text)) => self.hold(Holder::Comparison, text, Value::Null, scene),
            Some((Safety::NotEnoughData, text)) if self.lasts(scene, self.plan.wait_max) => {
                self.hold(Holder::TooLittleData, text, Value::Null, scene)
            }
            Some((Safety::NotEnoughData, _)) | None => None,
        }
    }

    /// Takes the step after the first `taken`.
    pub(super) fn take_step(&self, taken: usize, scene: &Scene) -> Advance {
        let share = self.share_after(taken + 1);
        if share == Weight::FULL {
            return self.switch(scene);
        }
        let draft = self.entering(Stage::Ramp { taken: taken + 1 }, scene);
        let text = sentence::stepped(&draft.next, scene.share);
        let details =
            json!({ "share_percent": share, "step": taken + 1, "steps": self.plan.steps.len() });
        let said = Said { kind: "rollout_stepped", text, details };
        draft.with(Some(Traffic::Share(share)), vec![Effect::Tell(Occasion::Stepped)], said)
    }

    pub(super) fn switch(&self, scene: &Scene) -> Advance {
        let text = sentence::switched(self);
        let said = Said { kind: "rollout_switched", text, details: Value::Null };
        let effects = vec![Effect::Tell(Occasion::Switched)];
        self.entering(Stage::Switched, scene).with(Some(Traffic::Switch), effects, said)
    }

    /// Both sides fail alike since the last step: the weight before it, and hold.
    fn step_back(&self, taken: usize, judged: &Judged, scene: &Scene) -> Advance {
        let stage = Stage::Ramp { taken: taken.saturating_sub(1) };
        let share = self.share_after(taken.saturating_sub(1));
        let mut draft = self.entering(stage, scene);
        let hold = Hold::new(Holder::Judge, &judged.text, scene.now);
        draft.next.held = Some(hold);
        let text = format!("{}; back to {share} %", judged.text);
        let said = Said { kind: "rollout_stepped_back", text, details: judged.details.clone() };
        draft.with(Some(Traffic::Share(share)), self.tell_of_hold(scene), said)
    }

    /// Holds, unless it is held already.
    pub(super) fn hold(
        &self,
        by: Holder,
        text: &str,
        details: Value,
        scene: &Scene,
    ) -> Option<Advance> {
        if self.held.is_some() {
            return None;
        }
        let hold = Hold::new(by, text, scene.now);
        let said = Said { kind: "rollout_held", text: sentence::held(self, &hold), details };
        let draft = self.draft(|next| next.held = Some(hold));
        Some(draft.with(None, self.tell_of_hold(scene), said))
    }

    /// Hooks are told, unless somebody knows already.
    fn tell_of_hold(&self, scene: &Scene) -> Vec<Effect> {
        match self.muted_for(scene.now) {
            Some(_) => vec![],
            None => vec![Effect::Tell(Occasion::Held)],
        }
    }

    /// What this one held is let go.
    pub(super) fn let_go(&self, by: Holder) -> Option<Advance> {
        let held = self.held.as_ref().filter(|hold| hold.by == by)?;
        let text = format!("no longer held ({}); {} goes on", held.text, self.candidate);
        let said = Said { kind: "rollout_let_go", text, details: Value::Null };
        Some(self.draft(|next| next.held = None).with(None, vec![], said))
    }
}
