//! `…/rollouts`: what there was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/services/{service}/rollouts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollouts {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// Newest first.
    pub rollouts: Vec<PastRollout>,
    /// `before` of the next page; null at the end.
    pub next_before: Option<u64>,
}

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PastRollout {
    /// Its number in the service.
    pub id: u64,
    /// The environment that was released.
    pub candidate: String,
    /// The environment that it went back to, or would have.
    pub base: String,
    /// The candidate's version label when it started.
    pub version: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// When, RFC 3339.
    pub started: String,
    /// The same; null while it runs.
    pub ended: Option<String>,
    /// Where it stands, or how it ended: `done`, `rolled_back`, or a stage as in `…/rollout`.
    pub end: String,
    /// Why it went back.
    pub cause: Option<PastCause>,
    /// Whether its records are kept, so that it can be judged again.
    pub has_records: bool,
}

/// Why a rollout went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PastCause {
    /// A stable code.
    pub code: String,
    /// In words, with the numbers of both sides.
    pub text: String,
}
