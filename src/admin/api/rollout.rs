//! `…/rollout`: what it answers; and what it and `…/freeze` take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::rollout_change::{ActOnRollout, SetFreeze, StartRollout};
use crate::model::name::Name;
use crate::model::weight::Weight;

/// `GET /v1/services/{service}/rollout`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// Rises with every rollout of the service.
    pub id: u64,
    /// The service.
    pub service: Name,
    /// The service's generation.
    pub generation: u64,
    /// The environment under judgement.
    pub candidate: Name,
    /// The environment that it goes back to.
    pub base: Name,
    /// The candidate's version label when it started.
    pub version: Option<String>,
    /// The name of its plan.
    pub plan: String,
    /// Its steps: `5% 10m 500`.
    pub steps: Vec<String>,
    /// `ready`, `smoke`, `quality`, `warm_up`, `ramp`, `switched`, `done`, `rolling_back`, `returning`,
    /// `rolled_back`.
    pub stage: String,
    /// Where it stands, in words.
    pub place: String,
    /// The candidate's share of what it and the active environment get together now, also when the rollout is
    /// over.
    pub share_percent: Weight,
    /// The share that comes next.
    pub next_percent: Option<Weight>,
    /// What it waits for, in words.
    pub waits_for: Vec<String>,
    /// How long the stage has lasted, in observed time.
    pub in_stage_s: u64,
    /// How long the rollout has been observed.
    pub observed_s: u64,
    /// Who started it.
    pub started_by: String,
    /// When, RFC 3339.
    pub started_at: String,
    /// When it came to its stage, was paused or held, RFC 3339; null when that was not noted.
    #[serde(default)]
    pub stands_since: Option<String>,
    /// Who paused it and why.
    pub paused: Option<Paused>,
    /// What holds it, in words.
    pub held: Option<String>,
    /// The same as a code: `evidence`, `shared_incident`, `split`, `watched`, `too_little_data`, `comparison`,
    /// `base_down`.
    #[serde(default)]
    pub held_by: Option<String>,
    /// Who keeps its hold quiet, while somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
    /// Whether it is held and waits for somebody: a hold that only a human ends, a comparison that objects for
    /// longer than `wait_max`, or a way back that is shut because the environment before does not answer.
    pub needs_somebody: bool,
    /// Why no automatic step may be taken in this service.
    pub frozen: Option<String>,
    /// Why it went back.
    pub cause: Option<Cause>,
    /// How long its way back took, once every core had it.
    #[serde(default)]
    pub rollback: Option<Rollback>,
    /// What is not judged, and why: limits that the active environment broke at the start, and quality
    /// where it had no scores.
    pub unarmed: Vec<String>,
    /// What the judge says, in a sentence and with its numbers; none before users meet the candidate.
    pub judge: Option<Judge>,
}

impl Rollout {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self.stage.as_str(), "done" | "rolled_back")
    }

    /// Whether it was rolled back and everything is still as it was left then.
    pub fn is_still_back(&self, service: &super::Service) -> bool {
        let candidate = service.environments.iter().find(|e| e.name == self.candidate);
        let has_traffic = candidate.is_some_and(|candidate| !candidate.weight_percent.is_zero());
        self.stage == "rolled_back" && service.active == self.base && !has_traffic
    }
}

/// Who paused a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// Who keeps a hold quiet: hooks are not told of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Muted {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// For how long from now on, in minutes that have begun.
    pub left_min: u64,
}

/// Why a rollout went back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// A stable code.
    pub code: String,
    /// In words.
    pub text: String,
    /// Its numbers.
    pub details: Value,
}

/// How long a way back took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RollbackTime")] // `RollBack` is what is asked for
pub struct Rollback {
    /// In words.
    pub text: String,
    /// From the last arrival in the evidence that decided, or from the command, to the ack of the last core.
    pub seconds: f64,
    /// Of these, from the new table in the store to the ack of the last core.
    pub apply_seconds: f64,
    /// How many cores have it.
    pub cores: usize,
}

/// What the judge says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judge {
    /// In words, with the numbers of both sides.
    pub text: String,
    /// Requests of the candidate since the step began.
    pub requests: u32,
    /// Its numbers.
    pub details: Value,
}
