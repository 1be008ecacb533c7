//! What the admin API and its clients say about quality scores. `docs/reference/scores.md` describes
//! each field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::Name;

/// `POST /v1/scores`: one of these, or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScore {
    /// The answer's `X-Cyan-Exchange`. It names service and environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// The service, where no exchange is named; the only one when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    /// The environment, where no exchange is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
    /// What was judged; `quality` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// 0 to 1, higher is better.
    #[schemars(range(min = 0, max = 1))]
    pub value: f64,
    /// The user's sticky key, as the request had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When the request began, in seconds of Unix time; now when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// How many cases of an evaluation have this score; 1 when left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// It comes from an evaluation and not from a user's request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evaluation: bool,
}

impl Default for NewScore {
    /// The worst score, of nobody and nothing.
    fn default() -> Self {
        Self {
            exchange: None,
            service: None,
            environment: None,
            name: None,
            value: 0.0,
            key: None,
            timestamp: None,
            count: 1,
            evaluation: false,
        }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// The answer: all were counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoresCounted {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// How many, cases of an evaluation one by one.
    pub counted: u64,
}

/// Scores of one kind in a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreStats {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their variance, as a sample's; null below two.
    pub variance: Option<f64>,
}
