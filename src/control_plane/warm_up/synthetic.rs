//! The requests that a warm-up makes up: prompts in the form of the API, then whole bodies, in turn.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::mirrored::Held;
use crate::control_plane::generating::Asking;
use crate::control_plane::trial::trial_headers;
use crate::model::plan::warm_up::Synthetic;
use crate::rollout::warm_up::Source;

/// A request on its way to some upstream of the candidate.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) source: Source,
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What a copy holds until its answer has ended.
    pub(super) held: Option<Held>,
}

/// All of them, and whose turn it is.
pub(super) struct Synthetics {
    path: String,
    headers: HeaderMap,
    bodies: Vec<Bytes>,
    turn: usize,
    every: Duration,
}

impl Synthetics {
    /// Those of a config, which has at least one.
    ///
    /// # Errors
    /// When a header has a value that cannot be sent.
    pub(super) fn new(synthetic: &Synthetic) -> Result<Self, String> {
        let model = synthetic.model.as_deref();
        let asking = Asking { api: synthetic.api, base: &synthetic.base, model };
        let prompts = synthetic.prompts.iter();
        let prompts = prompts.map(|prompt| asking.body(prompt, synthetic.tokens).to_string());
        let written = synthetic.bodies.iter().map(ToString::to_string);
        Ok(Self {
            path: asking.path(),
            headers: trial_headers("cyan-warm-up", true, &asking.headers(&synthetic.headers))?,
            bodies: prompts.chain(written).map(Bytes::from).collect(),
            turn: 0,
            every: Duration::from_secs_f64(1.0 / synthetic.requests_per_second),
        })
    }

    /// Ticks when a request may begin. What could not begin in its time is not made up for.
    pub(super) fn pace(&self) -> Interval {
        let mut pace = interval(self.every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    }

    pub(super) fn next(&mut self) -> Errand {
        let body = self.bodies[self.turn % self.bodies.len()].clone();
        self.turn += 1;
        Errand {
            source: Source::Synthetic,
            method: "POST".to_owned(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body,
            held: None,
        }
    }
}
