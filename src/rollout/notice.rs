//! What hooks and people are told of a rollout.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::name::Name;
pub use crate::model::occasion::Occasion;

/// One thing that hooks are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub occasion: Occasion,
    /// The service; `None` for the whole process, as of a store that cannot be written.
    pub service: Option<Name>,
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
