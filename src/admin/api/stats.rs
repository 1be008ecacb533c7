//! What the admin API says of what was measured: `…/stats`, `…/histogram` and `…/cohorts`.
//!
//! A number that rests on no data is null, never 0. Times in JSON are milliseconds, as for people;
//! buckets are in the unit in which they were counted, which they name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scores::ScoreStats;
use crate::model::name::Name;

/// `GET /v1/services/{service}/environments/{environment}/stats?window=5m`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// The service.
    pub service: Name,
    /// The environment.
    pub environment: Name,
    /// `10s`, `1m`, `5m`, `15m`, `step` or `start`.
    pub window: String,
    /// How many seconds the window really covers: never much more than its name says, and less while the
    /// environment is young.
    pub covers_s: f64,
    /// Exchanges with a verdict: those that ended, and those that stalled or failed while they go on.
    pub requests: u64,
    /// The same per second.
    pub requests_per_s: Option<f64>,
    /// Those that count against the environment, in percent of `requests`.
    pub failed_percent: Option<f64>,
    /// Exchanges in flight now.
    pub in_flight: u32,
    /// Exchanges by verdict.
    pub verdicts: BTreeMap<String, u64>,
    /// The same exchanges by what they say of the environment: good, bad, refused, watched.
    pub standings: BTreeMap<String, u64>,
    /// Request head to last byte of the answer, without tunnels.
    pub total: Option<Quantiles>,
    /// Request head to head of the answer.
    pub response_head: Option<Quantiles>,
    /// Request head to first content of a stream.
    pub ttft: Option<Quantiles>,
    /// One content event of a stream to the next. `max_ms` is the largest gap.
    pub gap: Option<Quantiles>,
    /// Time per output token after the first.
    pub tpot: Option<Quantiles>,
    /// Time to make a connection, where one was made.
    pub connect: Option<Quantiles>,
    /// How long tunnels lasted.
    pub tunnel: Option<Quantiles>,
    /// Tokens.
    pub tokens: TokenStats,
    /// Why models stopped, of answers that say so.
    pub finish: BTreeMap<String, u64>,
    /// Whether answers were read.
    pub inspection: BTreeMap<String, u64>,
    /// Requests of which the client says that it tries again.
    pub client_retries: u64,
    /// Quality scores by name and then by window: `5m`, `1h`, `step` and `start`, whatever `window` says.
    #[serde(default)]
    pub scores: BTreeMap<String, BTreeMap<String, ScoreStats>>,
    /// Bytes of request bodies passed on.
    pub request_bytes: u64,
    /// Bytes of answers passed on.
    pub response_bytes: u64,
}

/// A distribution of times in five numbers. Each is at most 1 % too high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// How many values there are.
    pub count: u64,
    /// Half are at most this.
    pub p50_ms: f64,
    /// Nine in ten.
    pub p90_ms: f64,
    /// 99 in a hundred.
    pub p99_ms: f64,
    /// 999 in a thousand.
    pub p999_ms: f64,
    /// All.
    pub max_ms: f64,
}

/// Tokens of a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenStats {
    /// Of prompts, as servers' usage says; null when none said.
    pub input: Option<u64>,
    /// Of prompts, those out of the server's cache.
    pub cached: u64,
    /// Generated; null when no answer was read.
    pub output: Option<u64>,
    /// Generated, per second of the window.
    pub output_per_s: Option<f64>,
    /// Answers whose output was counted here, because the server sent no usage.
    pub outputs_estimated: u64,
}

/// `GET /v1/services/{service}/environments/{environment}/histogram?metric=ttft&window=5m`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Buckets {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// `ttft` and the like.
    pub metric: String,
    /// `5m` and the like.
    pub window: String,
    /// How many seconds the window really covers.
    pub covers_s: f64,
    /// `us`, `bytes` or `tokens`: what values and bounds are.
    pub unit: String,
    /// How many values there are.
    pub count: u64,
    /// Their sum, exactly.
    pub sum: u64,
    /// Those that hold something, in their order.
    pub buckets: Vec<Bucket>,
}

/// Values that are told apart no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// The least value that counts here.
    pub from: u64,
    /// The largest.
    pub to: u64,
    /// How many.
    pub count: u64,
}

/// The same with `&encoding=hdr-v2` or `&encoding=hdr-v2-deflate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EncodedHistogram {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// `ttft` and the like.
    pub metric: String,
    /// `5m` and the like.
    pub window: String,
    /// How many seconds the window really covers.
    pub covers_s: f64,
    /// `us`, `bytes` or `tokens`.
    pub unit: String,
    /// `hdr-v2` or `hdr-v2-deflate`.
    pub encoding: String,
    /// `HdrHistogram`'s own bytes, as any of its libraries reads them.
    pub base64: String,
}

/// `GET /v1/services/{service}/environments/{environment}/cohorts?seconds=60`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cohorts {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// Seconds since the start until which every core has told what it saw.
    pub collected_until_s: Option<f64>,
    /// Marks that found no place since the start; while this rises, cohorts are incomplete.
    pub lost: u64,
    /// The seconds asked for in which something began, the newest last.
    pub cohorts: Vec<Cohort>,
}

/// The exchanges that began in one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cohort {
    /// Seconds since the start.
    pub second: u32,
    /// Began.
    pub began: u64,
    /// What had become of them, at ages of 250 ms, 1 s and 15 s as far as they have reached these.
    pub at: Vec<AtAge>,
}

/// What had become of a cohort by an age.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtAge {
    /// The age.
    pub age_ms: u64,
    /// Had failed before their first content.
    pub failed_early: u64,
    /// Had failed after it.
    pub failed_late: u64,
    /// Had been refused.
    pub refused: u64,
    /// Had lost their client.
    pub left: u64,
    /// Still ran, without any content yet.
    pub no_first_content: u64,
    /// Still ran.
    pub unfinished: u64,
}
