//! What can happen in a service that somebody outside should be told of.

use serde::{Deserialize, Serialize};

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
