//! What a rollout is told, and what it answers.

use std::time::Duration;

use serde_json::Value;

use super::gate::GateReport;
use super::notice::Occasion;
use super::stage::Gate;
use super::value::Rollout;
use crate::judge::comparison::Safety;
use crate::judge::decision::Decision;
use crate::model::name::Name;
use crate::model::weight::Weight;

/// What is true at the moment of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The service.
    pub service: Name,
    /// How long the rollout has been observed.
    pub now: Duration,
    /// The candidate's share of the slot as published.
    pub share: Weight,
    /// Why no automatic step may be taken in this service now.
    pub frozen: Option<String>,
    /// Who acts: `controller`, `cli:ana`.
    pub actor: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A regular look, about once a second.
    Looked(Box<Look>),
    /// A gate has come to its end.
    GateEnded(Gate, GateReport),
    /// The environment to go back to was asked; an error says what it answered.
    BaseProbed(Result<(), String>),
    /// Somebody asks for something.
    Asked(Operator),
    /// Somebody has set the weights of the service by hand.
    WeightsByHand,
    /// Cyan was restarted; what was under way must be begun again.
    Restored,
}

/// What a regular look saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Whether the candidate has a usable upstream; if not, what is known of it.
    pub ready: Result<(), String>,
    /// What the judge says; `None` while it has not looked yet.
    pub judged: Option<Judged>,
    /// The comparison, while the next step is the switch.
    pub comparison: Option<(Safety, String)>,
}

/// What the judge says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Its decision.
    pub decision: Decision,
    /// The same in a sentence, with the numbers of both sides.
    pub text: String,
    /// The numbers.
    pub details: Value,
    /// Requests of the candidate since the step began.
    pub requests: u32,
    /// The candidate fails for everybody.
    pub is_total_failure: bool,
}

/// What somebody may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// No automatic step any more.
    Pause {
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Automatic steps again; what is held is let go.
    Resume,
    /// It stays held, and nobody is told of a hold for a while.
    Mute {
        /// Why, in their words.
        reason: Option<String>,
    },
    /// The step to this share now, unless it is reached already. (May be repeated, as a plain promotion
    /// may not.)
    PromoteTo {
        /// The share that the candidate shall have.
        share: Weight,
    },
    /// The next step now, whatever it waits for.
    Promote {
        /// All steps at once: the switch.
        full: bool,
    },
    /// Everything back.
    RollBack {
        /// Why, in their words.
        reason: Option<String>,
        /// At once, whatever the plan says.
        instant: bool,
    },
    /// After the switch: the environment that was active need not stay ready any longer.
    Release,
}

/// What becomes of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance {
    /// The rollout from now on.
    pub next: Rollout,
    /// What happens to the service's traffic, in the same moment.
    pub traffic: Option<Traffic>,
    /// What is to be done once that is published.
    pub effects: Vec<Effect>,
    /// What is said of it.
    pub said: Said,
}

impl Advance {
    /// Whether users go back by it: nothing may delay that.
    pub fn protects(&self, scene: &Scene) -> bool {
        let lowers = |share: Weight| share < scene.share;
        let is_lowered = matches!(self.traffic, Some(Traffic::Share(share)) if lowers(share));
        self.next.stage.goes_back() || is_lowered
    }
}

/// What happens to traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// The candidate gets this share of the slot.
    Share(Weight),
    /// The candidate becomes active.
    Switch,
    /// Everything to the base again.
    Back,
    /// The base is armed no more.
    Release,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put a gate to work; its end comes back as an event.
    Start(Gate),
    /// Stop a gate.
    Stop(Gate),
    /// Ask the base whether it can take its traffic back, within a second.
    ProbeBase,
    /// Wait until an environment has nothing in flight.
    Drain(Name),
    /// Tell the judge that a human lifted its hold.
    ResumeJudge,
    /// Tell hooks and people.
    Tell(Occasion),
}

/// What is said of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The journal's code.
    pub kind: &'static str,
    /// One sentence for people.
    pub text: String,
    /// Its numbers.
    pub details: Value,
}

/// Why something that was asked for is not done. Safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct NotNow {
    /// What stands against it.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}
