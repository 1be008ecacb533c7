//! What somebody asks for. Every call may be repeated: what holds already changes nothing.

use std::time::Duration;

use serde_json::Value;

use super::event::{Advance, Effect, NotNow, Operator, Said, Scene, Traffic};
use super::sentence;
use super::stage::{Cause, Gate, Stage};
use super::value::{Mute, Pause, Rollout};
use crate::model::duration;
use crate::model::weight::Weight;

/// For how long a hold that somebody keeps wakes nobody.
const MUTED_FOR: Duration = Duration::from_secs(30 * 60);
/// A mute that is younger than this is not made anew.
const PRESSED_TWICE: Duration = Duration::from_secs(60);

type Answer = Result<Option<Advance>, NotNow>;

impl Rollout {
    pub(super) fn asked(&self, asked: &Operator, scene: &Scene) -> Answer {
        match asked {
            Operator::RollBack { reason, instant } => {
                self.roll_back(reason.as_deref(), *instant, scene)
            }
            Operator::Pause { reason } => self.pause(reason.as_ref(), scene),
            Operator::Resume => self.resume(scene),
            Operator::Mute { reason } => self.mute(reason.as_ref(), scene),
            Operator::Promote { full } => self.promote(*full, scene),
            Operator::PromoteTo { share } => self.promote_to(*share, scene),
            Operator::Release => self.release(scene),
        }
    }

    /// Abort always wins: whatever is under way, and without asking anybody.
    fn roll_back(&self, reason: Option<&str>, instant: bool, scene: &Scene) -> Answer {
        match &self.stage {
            Stage::RolledBack { .. } => return Ok(None),
            Stage::Returning { .. } if !instant => return Ok(None),
            Stage::Done => {
                return Err(NotNow {
                    problem: format!(
                        "the rollout of {} is done, and {} is armed no more",
                        self.candidate, self.base
                    ),
                    remedy: format!("switch to it: cyan switch {} {}", scene.service, self.base),
                });
            }
            _ => {}
        }
        let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let cause = Cause {
            code: "operator".to_owned(),
            text: format!("{} asked for it{why}", scene.actor),
            details: Value::Null,
        };
        let mut advance = if instant { self.back(cause, scene) } else { self.go(cause, scene) };
        if let Stage::Gate { gate } = self.stage {
            advance.effects.insert(0, Effect::Stop(gate));
        }
        Ok(Some(advance))
    }

    fn pause(&self, reason: Option<&String>, scene: &Scene) -> Answer {
        if self.paused.is_some() {
            return Ok(None);
        }
        self.refuse_when_over("pause")?;
        let pause = Pause { by: scene.actor.clone(), reason: reason.cloned() };
        let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let text = format!(
            "paused at {}{why}; it is watched all the same. On: cyan rollout resume",
            sentence::place(self)
        );
        let said = Said { kind: "rollout_paused", text, details: Value::Null };
        Ok(Some(self.draft(|next| next.paused = Some(pause)).with(None, vec![], said)))
    }

    fn resume(&self, scene: &Scene) -> Answer {
        if self.is_automatic() {
            return Ok(None);
        }
        self.refuse_when_over("resume")?;
        let draft = self.draft(|next| (next.paused, next.held, next.muted) = (None, None, None));
        let share = draft.next.planned_share();
        // Weights that were set by hand go back to what the plan has reached; the same share may have been
        // given in a slot of its own.
        let traffic = match self.stage {
            Stage::Ramp { .. } => Some(Traffic::Share(share)),
            Stage::Switched => Some(Traffic::Switch).filter(|_| share != scene.share),
            _ => None,
        };
        let effects = self.held.iter().map(|_| Effect::ResumeJudge).collect();
        let text = format!("goes on at {}", sentence::place(&draft.next));
        let said = Said { kind: "rollout_resumed", text, details: Value::Null };
        Ok(Some(draft.with(traffic, effects, said)))
    }

    /// It stays held; whoever would be woken by that sleeps on. A way back is told of all the same.
    fn mute(&self, reason: Option<&String>, scene: &Scene) -> Answer {
        self.refuse_when_over("mute")?;
        if self.held.is_none() {
            return Err(NotNow {
                problem: format!("{} is not held", self.candidate),
                remedy: "to stop its steps: cyan rollout pause".to_owned(),
            });
        }
        let until = scene.now + MUTED_FOR;
        if self.muted.as_ref().is_some_and(|mute| mute.until + PRESSED_TWICE > until) {
            return Ok(None);
        }
        let mute = Mute { by: scene.actor.clone(), reason: reason.cloned(), until };
        let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let text = format!(
            "stays held at {}{why}; its alert rests for {}",
            sentence::place(self),
            duration::spoken(MUTED_FOR)
        );
        let said = Said { kind: "rollout_muted", text, details: Value::Null };
        Ok(Some(self.draft(|next| next.muted = Some(mute)).with(None, vec![], said)))
    }

    fn promote(&self, full: bool, scene: &Scene) -> Answer {
        self.refuse_when_over("promote")?;
        let mut advance = match &self.stage {
            Stage::Switched => {
                let left = self.plan.armed_for.saturating_sub(self.in_stage(scene.now));
                return Err(NotNow {
                    problem: format!("{} has all of the traffic already", self.candidate),
                    remedy: format!(
                        "{} stays armed for {}; end that by: cyan rollout release",
                        self.base,
                        duration::spoken(left)
                    ),
                });
            }
            Stage::RollingBack { cause, .. } | Stage::Returning { cause, .. } => {
                return Err(NotNow {
                    problem: format!("it is being rolled back: {}", cause.text),
                    remedy: "start a new rollout when that is settled".to_owned(),
                });
            }
            _ if full => self.switch(scene),
            Stage::Ramp { taken } => self.take_step(*taken, scene),
            _ => self.skip(scene),
        };
        // Who asks for a step has seen what held it, or what it was paused for.
        advance.next.paused = None;
        if let Stage::Gate { gate } = self.stage {
            advance.effects.insert(0, Effect::Stop(gate));
        }
        if self.held.is_some() {
            advance.effects.push(Effect::ResumeJudge);
        }
        Ok(Some(advance))
    }

    /// The next step, if it is the one that is meant.
    fn promote_to(&self, share: Weight, scene: &Scene) -> Answer {
        if self.planned_share() >= share {
            return Ok(None);
        }
        let Stage::Ramp { taken } = self.stage else {
            self.refuse_when_over("promote")?;
            return Err(NotNow {
                problem: format!(
                    "{} is {}, not in its ramp",
                    self.candidate,
                    sentence::place(self)
                ),
                remedy: "go on without its end: cyan rollout promote".to_owned(),
            });
        };
        match self.plan.steps.get(taken) {
            Some(step) if step.share != share => Err(NotNow {
                problem: format!("the next step is {} %, not {share} %", step.share),
                remedy: "look at it again: cyan rollout status".to_owned(),
            }),
            _ => self.promote(false, scene),
        }
    }

    /// The next gate, or the ramp, without the end of this one.
    fn skip(&self, scene: &Scene) -> Advance {
        let after = if let Stage::Gate { gate } = self.stage { Some(gate) } else { None };
        let what = after.map_or("waiting for it to be ready", Gate::name);
        let (stage, effects) = self.after_gate(after);
        let text = format!("{what} skipped; {}", sentence::comes_next(self, &stage));
        let said = Said { kind: "gate_skipped", text, details: Value::Null };
        self.entering(stage, scene).with(None, effects, said)
    }

    fn release(&self, scene: &Scene) -> Answer {
        match &self.stage {
            Stage::Done => Ok(None),
            Stage::Switched => Ok(Some(self.finish(scene))),
            _ => Err(NotNow {
                problem: format!("{} is {}, not switched", self.candidate, sentence::place(self)),
                remedy: "promote it first: cyan rollout promote --full".to_owned(),
            }),
        }
    }

    fn refuse_when_over(&self, what: &str) -> Result<(), NotNow> {
        if !self.stage.is_over() {
            return Ok(());
        }
        Err(NotNow {
            problem: format!("nothing to {what}: {}", sentence::end(self)),
            remedy: "start a new one: cyan rollout start ENVIRONMENT".to_owned(),
        })
    }
}
