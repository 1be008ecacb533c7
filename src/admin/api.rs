//! What the admin API and its clients say to each other, as JSON.
//!
//! Requests refuse unknown fields, so that a typing error is never taken for consent; answers may grow
//! fields, so clients ignore what they do not know. Units stand last in a name (`_percent`, `_ms`).
//! The command line uses these types and nothing else of the server.

pub mod comparison;
pub mod config;
pub mod evaluate;
pub mod log_level;
pub mod rollout;
pub mod rollouts;
pub mod scores;
pub mod standing;
pub mod stats;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// `PUT /v1/services/{service}/weights`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWeights {
    /// Percent by environment. Environments left out keep theirs; all of them must sum to 100.
    #[serde(default)]
    pub weights: BTreeMap<Name, Weight>,
    /// Who shall share the active environment's slot from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Name>,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/switch`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// To which environment; the active one's partner when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Name>,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/rollback`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// All users at once, whatever the plan of a rollout under way says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instant: bool,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/reload`, and what is taken away by `DELETE`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `PUT /v1/services/{service}/environments/{environment}`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEnvironment {
    /// Its upstreams; left out, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Vec<String>>,
    /// Its version label; left out, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What its servers call whatever model is asked for; left out, it stays; empty, what is asked for is
    /// passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Refuse unless it has no traffic and is part of no rollout: a deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_idle: bool,
    /// Refuse unless this is the generation now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/environments/{environment}/drain`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartDrain {
    /// How long exchanges may take, e.g. `30s`, which it is when left out.
    #[schemars(regex(pattern = r"^([0-9]+(d|h|m|s|ms))+$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/services/{service}/environments/{environment}/reset`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetField {
    /// `upstreams`, `version` or `model`.
    pub field: String,
    /// Why; stands in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to every change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// The service's generation now.
    pub generation: u64,
    /// Whether anything changed at all.
    pub changed: bool,
    /// Cores that have not taken the change yet. Empty: applied on all cores.
    pub lagging_cores: Vec<usize>,
    /// From the decision to the last core, in microseconds.
    pub applied_us: u64,
    /// False while the change is not on the disk yet.
    pub durable: bool,
    /// What somebody should know all the same.
    pub warnings: Vec<String>,
}

/// What a change would do: the answer to `?dry_run=true`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The generation that was looked at. Sent along with the change, it makes sure of it.
    pub generation: u64,
    /// The active environment before and after.
    pub active: Change<Name>,
    /// Weights that would change, by environment.
    pub weights_percent: Vec<WeightChange>,
}

/// One value before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change<T> {
    /// Now.
    pub before: T,
    /// Then.
    pub after: T,
}

/// One weight before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeightChange {
    /// Whose.
    pub environment: Name,
    /// Now.
    pub before: Weight,
    /// Then.
    pub after: Weight,
}

/// One server-sent event of `GET /v1/events`. `seq` is also its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Rises by one with every event of the process.
    pub seq: u64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The service it concerns; none for the process.
    pub service: Option<Name>,
    /// A stable code: `weights_set`, `drained`, `upstream_down`.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The numbers of the sentence.
    pub details: Value,
}

/// `GET /v1/journal`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    /// The entries.
    pub entries: Vec<JournalEntry>,
    /// `?before=` of the next page; none at the beginning of the journal.
    pub next_before: Option<i64>,
}

/// Who changed what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Rises with every entry.
    pub id: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// The service; none for the process.
    pub service: Option<String>,
    /// The service's generation after it.
    pub generation: u64,
    /// Who.
    pub actor: String,
    /// A stable code.
    pub kind: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// One sentence for people.
    pub text: String,
    /// The service's record before.
    pub before: Value,
    /// The service's record after.
    pub after: Value,
    /// The numbers of the sentence.
    pub details: Value,
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

/// The event `request` of `GET /v1/requests`: the record of one exchange, as in the access log. Only the
/// fields that the command line shows in columns; docs/reference/access-log.md has all of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RequestSeen {
    /// When it ended, in RFC 3339.
    pub time: String,
    /// The id of the request.
    pub request_id: String,
    /// The service.
    pub service: Option<Name>,
    /// The environment it counts for.
    pub environment: Option<Name>,
    /// The environment that served it, where that is another one.
    pub served_by: Option<Name>,
    /// The method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// How it ended.
    pub verdict: String,
    /// Tokens that were generated.
    pub tokens_out: Option<u64>,
    /// Request head to first content.
    pub ttft_ms: Option<f64>,
    /// Request head to the end.
    pub total_ms: f64,
}

/// The event `requests_left_out` of `GET /v1/requests`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestsLeftOut {
    /// Because there were more than are shown in a second.
    pub over_rate: u64,
    /// Because this watcher had not read those before.
    pub unread: u64,
}
