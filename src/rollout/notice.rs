//! What hooks and people are told of a rollout.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::name::Name;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A rollout was started.
    Started,
    /// A step was taken.
    Stepped,
    /// All traffic is the candidate's.
    Switched,
    /// The rollout is over, and the new version has stayed.
    Done,
    /// It is held, and somebody should look.
    Held,
    /// All traffic is back: scale the failed side down.
    RolledBack,
    /// An environment has nothing in flight any more.
    Drained,
    /// Something else that somebody must know: a store that cannot be written, a fallback that serves.
    Alert,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Started,
        Self::Stepped,
        Self::Switched,
        Self::Done,
        Self::Held,
        Self::RolledBack,
        Self::Drained,
        Self::Alert,
    ];

    /// As in the config and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stepped => "stepped",
            Self::Switched => "switched",
            Self::Done => "done",
            Self::Held => "held",
            Self::RolledBack => "rolled_back",
            Self::Drained => "drained",
            Self::Alert => "alert",
        }
    }
}

/// One thing that hooks are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub occasion: Occasion,
    /// The service.
    pub service: Name,
    /// The environment it is about: the failed one of a rollback, the drained one of a drain.
    pub environment: Option<Name>,
    /// The number of the rollout.
    pub rollout: Option<u64>,
    /// The version label of the candidate.
    pub version: Option<String>,
    /// One sentence for people.
    pub text: String,
    /// Its numbers.
    pub details: Value,
}
