//! The way back. It never waits for anything but one bounded question to the environment it leads to.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::{Advance, Effect, Judged, Look, Said, Scene, Traffic};
use super::notice::Occasion;
use super::sentence;
use super::stage::{Cause, Stage};
use super::value::{Hold, Holder, Rollout};
use crate::judge::decision::{Breach, Decision};

/// The journal's code of a rollout that went back.
pub const ROLLED_BACK: &str = "rollout_rolled_back";
/// The journal's code of a step of a staged way back.
pub const RETURNING: &str = "rollout_returning";
/// How long after a base that did not answer it is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Between two steps of a staged way back: its cap is one of shares per second.
const BETWEEN_STEPS: Duration = Duration::from_secs(1);

impl Rollout {
    /// Goes back if the judge says so.
    pub(super) fn look_for_breach(&self, look: &Look, scene: &Scene) -> Option<Advance> {
        let judged = look.judged.as_ref()?;
        let Decision::RollBack(breach) = judged.decision else { return None };
        let asked_lately = self.held.as_ref().is_some_and(|hold| {
            hold.by == Holder::BaseDown && scene.now.saturating_sub(hold.asked_at) < ASK_AGAIN_AFTER
        });
        if asked_lately {
            return None;
        }
        let code = match breach {
            Breach::Metric(metric) => metric.code(),
            Breach::TooLittleData => "too_little_data",
        };
        Some(self.go_back(code, judged.text.clone(), judged))
    }

    /// Begins the way back by itself: the base is asked first.
    pub(super) fn go_back(&self, code: &str, text: String, judged: &Judged) -> Advance {
        let cause = Cause { code: code.to_owned(), text, details: judged.details.clone() };
        let said = Said {
            kind: "rollout_rolling_back",
            text: format!("rolling back: {}", cause.text),
            details: cause.details.clone(),
        };
        let from = Box::new(self.stage.clone());
        // `since` stays: it may have to return to where it stood.
        let at_once = judged.is_total_failure;
        self.draft(|next| next.stage = Stage::RollingBack { cause, from, at_once }).with(
            None,
            vec![Effect::ProbeBase],
            said,
        )
    }

    pub(super) fn base_probed(
        &self,
        answer: &Result<(), String>,
        scene: &Scene,
    ) -> Option<Advance> {
        let Stage::RollingBack { cause, from, at_once } = &self.stage else { return None };
        match answer {
            Ok(()) if *at_once => Some(self.back(cause.clone(), scene)),
            Ok(()) => Some(self.go(cause.clone(), scene)),
            Err(problem) => Some(self.stay(from, cause, problem, scene)),
        }
    }

    /// Goes back as fast as the plan says.
    pub(super) fn go(&self, cause: Cause, scene: &Scene) -> Advance {
        let Some(left) = self.plan.rollback.left_after_step(scene.share) else {
            return self.back(cause, scene);
        };
        let from = Box::new(self.stage.before_way_back().clone());
        let returning = Stage::Returning { cause: cause.clone(), from, left };
        let draft = self.entering(returning, scene);
        let text = sentence::returning(&draft.next, scene.share, &cause);
        let details = json!({ "left_percent": left, "cause": cause.details });
        let said = Said { kind: RETURNING, text, details };
        draft.with(Some(Traffic::Share(left)), vec![], said)
    }

    /// A second after each step the next one; a candidate that fails for everybody is left at once.
    pub(super) fn look_at_returning(
        &self,
        cause: &Cause,
        look: &Look,
        scene: &Scene,
    ) -> Option<Advance> {
        if look.judged.as_ref().is_some_and(|judged| judged.is_total_failure) {
            return Some(self.back(cause.clone(), scene));
        }
        self.lasts(scene, BETWEEN_STEPS).then(|| self.go(cause.clone(), scene))
    }

    /// Everything back, now.
    pub(super) fn back(&self, cause: Cause, scene: &Scene) -> Advance {
        let text = sentence::rolled_back(self, &cause);
        let said = Said { kind: ROLLED_BACK, text, details: cause.details.clone() };
        let effects =
            vec![Effect::Tell(Occasion::RolledBack), Effect::Drain(self.candidate.clone())];
        self.entering(Stage::RolledBack { cause }, scene).with(Some(Traffic::Back), effects, said)
    }

    /// Both are down: users lose less where they are, and somebody has to come.
    fn stay(&self, from: &Stage, cause: &Cause, problem: &str, scene: &Scene) -> Advance {
        let text = format!(
            "{}; not rolled back, because {} does not answer: {problem}",
            cause.text, self.base
        );
        let before = self.held.as_ref().filter(|hold| hold.by == Holder::BaseDown);
        let said_before = before.is_some();
        let mut hold = Hold::new(Holder::BaseDown, &text, scene.now);
        hold.since = before.map_or(hold.since, |before| before.since);
        let draft = self.draft(|next| {
            next.stage = from.clone();
            next.held = Some(hold);
        });
        let effects = if said_before { vec![] } else { vec![Effect::Tell(Occasion::Held)] };
        let details = json!({ "cause": cause.details, "base": problem });
        draft.with(None, effects, Said { kind: "rollout_held", text, details })
    }

    pub(super) fn weights_by_hand(&self, scene: &Scene) -> Option<Advance> {
        if self.stage.is_over() || self.paused.is_some() {
            return None;
        }
        let text = format!("the weights were set by hand; {} is paused", sentence::place(self));
        let pause = super::value::Pause {
            by: scene.actor.clone(),
            reason: Some("weights set by hand".to_owned()),
        };
        let said = Said { kind: "rollout_paused", text, details: Value::Null };
        Some(self.draft(|next| next.paused = Some(pause)).with(None, vec![], said))
    }
}
