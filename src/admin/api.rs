//! What the admin API and its clients say to each other, as JSON.
//!
//! Requests refuse unknown fields, so that a typing error is never taken for consent; answers may grow
//! fields, so clients ignore what they do not know. Units stand last in a name (`_percent`, `_ms`).
//! The command line uses these types and nothing else of the server.

pub mod change;
pub mod comparison;
pub mod config;
pub mod evaluate;
pub mod log_level;
mod reason;
pub mod rollout;
mod rollout_change;
pub mod rollouts;
pub mod scores;
pub mod standing;
pub mod stats;
pub mod told;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use change::{
    Applied, Because, Change, Preview, PutEnvironment, ResetField, RollBack, SetWeights,
    StartDrain, Switch, WeightChange,
};
pub use told::{Event, Journal, JournalEntry, RequestSeen, RequestsLeftOut};

pub use crate::control_plane::ready::Ready;
pub use crate::control_plane::smoke::Ended as SmokeEnded;
pub use crate::control_plane::smoke::report::{CheckKind, CheckReport, SmokeReport};
use crate::model::name::Name;
use crate::model::role::Role;
use crate::model::upstream::Probe;
use crate::model::weight::Weight;

/// Version of the answers' form. Rises only when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// Header with which a client says on whose behalf it asks; stands in the journal.
pub const ACTOR_HEADER: &str = "x-cyan-actor";

/// `GET /v1/services`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Services {
    /// Every service, in the order of the config.
    pub services: Vec<Service>,
}

/// `GET /v1/services/{service}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// Rises with every change; also the entity tag.
    pub generation: u64,
    /// What it is at, in a word.
    #[serde(default)]
    pub state: standing::State,
    /// The state in a sentence.
    pub explanation: String,
    /// What happens next by itself, or that nothing does, in a sentence.
    #[serde(default)]
    pub next: String,
    /// The environment that is the baseline.
    pub active: Name,
    /// The environments, in the order in which they appeared.
    pub environments: Vec<Environment>,
    /// The last rollout, over or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Box<rollout::Rollout>>,
    /// Why no automatic step may be taken now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
}

/// `GET /v1/services/{service}/environments/{environment}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Its name.
    pub name: Name,
    /// Its version label.
    pub version: Option<Arc<str>>,
    /// What its servers call whatever model is asked for, if it is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// `active`, `candidate`, `previous`, `fallback`, or none of them.
    pub role: Option<String>,
    /// Its configured share of the service's traffic.
    pub weight_percent: Weight,
    /// Exchanges in flight, streams and tunnels included.
    pub in_flight: u32,
    /// Requests that wait for a place, because `in_flight_max` are in flight.
    #[serde(default)]
    pub queued: u32,
    /// Its upstreams.
    pub upstreams: Vec<Upstream>,
    /// Fields that the API changed, and the file no longer decides.
    pub overridden: Vec<String>,
    /// Who serves its requests, because it has no usable upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<Name>,
    /// The last drain, while there is one to speak of.
    pub drain: Option<Drain>,
    /// How far its smoke tests are, while somebody has them run. Only of an environment that is asked for
    /// by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoke: Option<SmokeEnded>,
}

/// One address of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// As written.
    pub address: String,
    /// What active probes say.
    pub probe: Probe,
    /// The last probe's answer in words.
    pub last_probe: Option<String>,
    /// Taken out by failures for the moment.
    pub ejected: bool,
    /// Why its streams give a reason to doubt it; `None` while they do not.
    #[serde(default)]
    pub suspect: Option<String>,
    /// Exchanges it is working on.
    pub in_flight: u32,
    /// Resolved addresses.
    pub addresses: Vec<SocketAddr>,
}

impl Upstream {
    /// Whether nothing is known against choosing it.
    pub fn is_usable(&self) -> bool {
        self.probe != Probe::Down && !self.ejected && self.suspect.is_none()
    }
}

/// A drain under way or done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// `draining`, `drained`, or `ended` when the deadline ended what remained.
    pub state: String,
    /// Exchanges still in flight.
    pub in_flight: u32,
    /// Time left.
    pub left_ms: u64,
    /// Exchanges that the deadline ended.
    pub ended: u32,
    /// How long the oldest of those in flight has been under way; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
}

impl Drain {
    /// How far it is: `12 in flight, the oldest for 41 s, 20 s left`.
    pub fn progress(&self) -> String {
        let oldest = self.oldest_ms.filter(|_| self.in_flight > 0);
        let oldest = oldest.map(|ms| format!(", the oldest for {} s", ms / 1000));
        let left = self.left_ms.div_ceil(1000);
        format!("{} in flight{}, {left} s left", self.in_flight, oldest.unwrap_or_default())
    }
}

/// `GET /v1/status`: everything `cyan status` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The form of this answer; rises only when a field changes its meaning or goes.
    pub schema: u32,
    /// Cyan's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// What the one who asks may do.
    pub role: Role,
    /// Since when it runs.
    pub uptime_s: u64,
    /// `starting`, `ready` or `shutting_down`.
    pub readiness: String,
    /// Data-plane threads.
    pub cores: usize,
    /// Those that have not taken the last change, or do not answer.
    pub lagging_cores: Vec<usize>,
    /// Client connections open.
    pub connections: u64,
    /// Requests that began since the start.
    pub requests: u64,
    /// What somebody should know: a failed reload, a store that cannot be written, a certificate that ends.
    pub warnings: Vec<String>,
    /// The certificates that clients see.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Every service.
    pub services: Vec<Service>,
}

/// A certificate that clients see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// The file of its chain.
    pub file: String,
    /// The hosts it is made out to.
    pub names: Vec<String>,
    /// Its last second, in milliseconds of Unix time; null when the certificate does not tell.
    pub not_after: Option<u64>,
    /// Seconds until then; negative once it has expired.
    pub expires_in_s: Option<i64>,
}
