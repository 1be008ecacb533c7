//! What a gate says when it is done: smoke tests, the quality gate, warm-up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The end of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Whether the rollout may go on.
    pub passed: bool,
    /// One sentence for people, with the numbers: `smoke: 5 of 5 checks passed on 3 upstreams in 1.2 s`.
    pub sentence: String,
    /// Every single check, for the journal and `--json`.
    pub details: Value,
}

impl GateReport {
    /// A gate that was passed.
    pub fn passed(sentence: impl Into<String>, details: Value) -> Self {
        Self { passed: true, sentence: sentence.into(), details }
    }

    /// A gate that was not.
    pub fn failed(sentence: impl Into<String>, details: Value) -> Self {
        Self { passed: false, sentence: sentence.into(), details }
    }
}
