//! What the admin API says of two environments side by side. Every field stands in
//! docs/reference/comparison.md.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::comparison::Safety;
use crate::model::name::Name;

/// `GET /v1/services/{service}/comparison?candidate=green&window=5m`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// The service.
    pub service: Name,
    /// The environment that is compared with.
    pub active: Compared,
    /// The environment that would get everything.
    pub candidate: Compared,
    /// `5m` and the like, or `step`: since the weights changed last.
    pub window: String,
    /// How many seconds that really is, on both sides.
    pub covers_s: f64,
    /// `ttft` or `total`: what the p99 is of.
    pub latency_signal: String,
    /// p99 of latency.
    pub latency_p99_ms: Row,
    /// Share of failures. `worse_by` is the candidate's own, and so is its margin.
    pub error_rate_percent: Row,
    /// Mean score of users' requests; null when there are none.
    pub quality: Option<Row>,
    /// Whether the candidate is safe; null when nobody can tell yet.
    pub safe: Option<bool>,
    /// The same as a code.
    pub answer: Safety,
    /// Why, in words.
    pub reason: String,
    /// Answer and reason in a sentence.
    pub explanation: String,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// Its name.
    pub environment: Name,
    /// Its version label.
    pub version: Option<String>,
    /// Exchanges with a verdict.
    pub requests: u64,
    /// Those that count against it.
    pub failed: u64,
    /// Requests that named it themselves. They are among the others.
    pub forced: u64,
    /// Requests that it could not serve and another environment did. They are among the others.
    pub handed_over: u64,
    /// Requests of which the client says that it tries again. They are among the others.
    pub client_retries: u64,
}

/// One respect in which they are compared, in the unit of its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The active environment's.
    pub active: Measured,
    /// The candidate's.
    pub candidate: Measured,
    /// The candidate's less the active environment's.
    pub difference: Option<f64>,
    /// What is held against the margin; larger is worse.
    pub worse_by: Interval,
    /// What is allowed.
    pub margin: f64,
    /// The answer in this respect.
    pub answer: Safety,
}

/// A value, and out of how many it was made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// The value; null without any data.
    pub value: Option<f64>,
    /// Latencies, requests or scores.
    pub n: u64,
}

/// A value and its 95 % interval; an end that the data do not give is null.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// As measured.
    pub value: Option<f64>,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}
