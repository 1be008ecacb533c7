//! Warm-up: requests that a candidate gets before users come, until it is as fast as it gets.
//!
//! A server that has just loaded its weights compiles, allocates and fills caches with its first requests.
//! Whoever came first would wait for all of that.

use std::sync::Arc;
use std::time::Duration;

use super::smoke::ProbeApi;
use crate::model::environment::Secret;
use crate::model::header_id::HeaderId;
use crate::model::mirror::MirrorRule;

/// The warm-up of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct WarmUpSpec {
    /// Requests that are made up; `None` for none.
    pub synthetic: Option<Synthetic>,
    /// For each request, from before the connection to the last byte.
    pub timeout: Duration,
    /// When it is over.
    pub rule: WarmUpRule,
    /// Which live requests are copied; `None` for none.
    pub mirror: Option<MirrorRule>,
}

/// Requests that are made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// The API that is asked.
    pub api: ProbeApi,
    /// Before the paths of all but Ollama's: `/v1`.
    pub base: Arc<str>,
    /// The model, as clients call it; `None` leaves it out, as some servers allow.
    pub model: Option<Arc<str>>,
    /// What is asked, in turn.
    pub prompts: Vec<Arc<str>>,
    /// Whole bodies that are sent as they are, in turn after the prompts.
    pub bodies: Vec<Arc<str>>,
    /// Most tokens of an answer to a prompt.
    pub tokens: u32,
    /// Beside what the environment sets.
    pub headers: Vec<(HeaderId, Secret)>,
    /// Most requests at once.
    pub concurrency: u32,
    /// Most requests that begin in a second.
    pub requests_per_second: f64,
}

/// When a warm-up is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WarmUpRule {
    /// How long answers are gathered for one p99.
    pub window: Duration,
    /// Answers without which a window goes on.
    pub requests_min: u32,
    /// How far the p99 of a window may be from the one before, as a share of it.
    pub tolerance: f64,
    /// How long it may take.
    pub deadline: Duration,
    /// What comes then.
    pub at_deadline: AtDeadline,
}

/// What becomes of a warm-up that is answered but not stable at its deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AtDeadline {
    /// The rollout goes on, and says so.
    #[default]
    GoOn,
    /// The gate is not passed.
    Fail,
}

impl Default for WarmUpRule {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            requests_min: 20,
            tolerance: 0.1,
            deadline: Duration::from_secs(5 * 60),
            at_deadline: AtDeadline::GoOn,
        }
    }
}
