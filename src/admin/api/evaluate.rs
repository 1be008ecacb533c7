//! What the admin API and its clients say about evaluations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::rollout::quality::QualityReport;

/// `POST /v1/services/{service}/environments/{environment}/evaluate` takes a reason, and answers how the quality gate ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluated {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// The service.
    pub service: Name,
    /// The environment.
    pub environment: Name,
    /// What was found.
    #[serde(flatten)]
    pub report: QualityReport,
}
