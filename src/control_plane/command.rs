//! What can be asked of the controller, and what it answers. The admin API and the CLI speak these.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::model::assignment::{Assignment, AssignmentError};
use crate::model::name::Name;
use crate::model::reading::Reading;
use crate::model::routing_table::Weighted;
use crate::model::upstream::Probe;
use crate::model::weight::Weight;
use crate::rollout::event::{Event, NotNow};
use crate::rollout::release::{Freeze, Release};
use crate::rollout::start::{BaseMeasured, Start, StartRefused};

/// A change somebody asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks: `cli:ana`, `file`, `signal`, `controller`. Stands in the journal.
    pub actor: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// What.
    pub command: Command,
}

/// The changes there are.
#[derive(Debug, Clone)]
pub enum Command {
    /// Set weights; environments left out keep theirs.
    SetWeights {
        /// Of which service.
        service: Name,
        /// The weights.
        weights: Vec<Weighted>,
        /// Who shall share the active environment's slot from now on; it must have no traffic.
        candidate: Option<Name>,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// All of the slot to one environment.
    Switch {
        /// Of which service.
        service: Name,
        /// To which environment; `None` for the partner.
        to: Option<Name>,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Back to the environment that was active before.
    RollBack {
        /// Of which service.
        service: Name,
        /// At once, whatever the plan of a rollout under way says. Without one it is always at once.
        instant: bool,
    },
    /// Create an environment, or change its upstreams, version or model.
    PutEnvironment {
        /// Of which service.
        service: Name,
        /// Which environment.
        environment: Name,
        /// Its upstreams as texts; `None` leaves them.
        upstreams: Option<Vec<String>>,
        /// Its version label; `None` leaves it, an empty text removes it.
        version: Option<String>,
        /// What its servers call whatever model is asked for; `None` leaves it, an empty text passes on
        /// what is asked for.
        model: Option<String>,
        /// Refuse unless it has no traffic and is part of no rollout.
        only_idle: bool,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Remove an environment that has no traffic and nothing in flight.
    RemoveEnvironment {
        /// Of which service.
        service: Name,
        /// Which environment.
        environment: Name,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Wait until an environment without traffic has nothing in flight; end what remains at the
    /// deadline.
    Drain {
        /// Of which service.
        service: Name,
        /// Which environment.
        environment: Name,
        /// How long its exchanges may take; default 30 s.
        deadline: Duration,
    },
    /// Give a field that the API changed back to the file.
    ResetField {
        /// Of which service.
        service: Name,
        /// Which environment.
        environment: Name,
        /// `upstreams`, `version` or `model`.
        field: String,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Start a rollout.
    StartRollout {
        /// Of which service.
        service: Name,
        /// Of what, and by which rules.
        start: Box<Start>,
        /// What the active environment did lately.
        base: BaseMeasured,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Something happened to a rollout, or is asked of it.
    Rollout {
        /// Of which service.
        service: Name,
        /// What.
        event: Box<Event>,
        /// The rollout that is meant; `None` for the last one.
        rollout: Option<u64>,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// No automatic steps in a service for a while, or again.
    Freeze {
        /// Of which service.
        service: Name,
        /// Until when and why; `None` lifts it.
        freeze: Option<Freeze>,
        /// Refuse unless this is the generation now.
        if_generation: Option<u64>,
    },
    /// Take over a config that was read anew, unless one that was read later has come before. All or nothing.
    Reload(Reading, Box<Config>),
}

impl Command {
    /// The service it is about; `None` when it is about all of them.
    pub fn service(&self) -> Option<&Name> {
        match self {
            Self::SetWeights { service, .. }
            | Self::Switch { service, .. }
            | Self::RollBack { service, .. }
            | Self::PutEnvironment { service, .. }
            | Self::RemoveEnvironment { service, .. }
            | Self::Drain { service, .. }
            | Self::StartRollout { service, .. }
            | Self::Rollout { service, .. }
            | Self::Freeze { service, .. }
            | Self::ResetField { service, .. } => Some(service),
            Self::Reload(..) => None,
        }
    }
}

/// A change that happened.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Applied {
    /// The service's generation now.
    pub generation: u64,
    /// Whether anything changed at all. A repeated call answers `false`.
    pub changed: bool,
    /// Cores that have not acked within a second. Empty: applied on all cores.
    pub lagging_cores: Vec<usize>,
    /// From the decision to the last ack, in microseconds.
    pub applied_us: u64,
    /// False while the change is not on the disk yet (what protects is published first).
    pub durable: bool,
    /// A config that was not taken over, because one that was read later had come before.
    pub is_left_out: bool,
    /// What somebody should know all the same, in words.
    pub warnings: Vec<String>,
}

/// Why a change was refused. Nothing was changed. `Display` is safe to show to an API client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// No such service.
    #[error("unknown service `{name}`; configured: {known}")]
    UnknownService {
        /// What was asked for.
        name: Name,
        /// What there is.
        known: String,
    },
    /// Against the rules of weights and roles.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// Somebody else was faster.
    #[error("generation is {current}, not {asked}; look at the state again and repeat")]
    Generation {
        /// What the caller expected.
        asked: u64,
        /// What it is.
        current: u64,
    },
    /// A value that is none.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field of the request.
        field: &'static str,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// The present state does not allow it.
    #[error("{problem}; {remedy}")]
    State {
        /// What stands against it.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// A rollout does not start.
    #[error(transparent)]
    Start(Box<StartRefused>),
    /// The rollout does not allow it at present.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Exposing users to more needs a disk that keeps the change, and there is none.
    #[error("not durable: {0}; nothing was raised, lowering and rollback still work")]
    Store(String),
    /// The controller is going or gone.
    #[error("cyan is shutting down; nothing was changed")]
    ShuttingDown,
}

/// What everybody may know of the present state; published anew after every change.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ServiceView {
    /// The service.
    pub name: Name,
    /// Its generation.
    pub generation: u64,
    /// Weights, roles, salts.
    pub assignment: Assignment,
    /// The environments.
    pub environments: Vec<EnvironmentView>,
}

/// What everybody may know of a service's releases.
#[derive(Debug, Clone)]
pub struct ReleaseView {
    /// The last rollout, and what was before it.
    pub release: Release,
    /// Why no automatic step may be taken now.
    pub frozen: Option<String>,
    /// How long the rollout has been observed.
    pub observed: Duration,
}

/// What everybody may know of an environment.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EnvironmentView {
    /// Its name.
    pub name: Name,
    /// Its version label.
    pub version: Option<Arc<str>>,
    /// What its servers call whatever model is asked for, if it is replaced.
    pub model: Option<Arc<str>>,
    /// `active`, `candidate`, `previous`, `fallback`, or none of them.
    pub role: Option<&'static str>,
    /// Its share.
    pub weight: Weight,
    /// Exchanges in flight.
    pub in_flight: u32,
    /// Requests that wait for a place.
    pub queued: u32,
    /// Its upstreams.
    pub upstreams: Vec<UpstreamView>,
    /// Fields that the API changed and the file no longer decides.
    pub overridden: Vec<&'static str>,
    /// Who serves its requests while it has no usable upstream.
    pub served_by: Option<Name>,
    /// While it drains.
    pub drain: Option<DrainView>,
}

/// What everybody may know of an upstream.
#[derive(Debug, Clone, serde::Serialize)]
pub struct UpstreamView {
    /// As written.
    pub address: String,
    /// What active probes say.
    pub probe: Probe,
    /// The last probe's answer in words: `200 in 3 ms`, `503 "Loading model"`, `connection
    /// refused`.
    pub last_probe: Option<String>,
    /// Taken out by failures for the moment.
    pub ejected: bool,
    /// Why its streams give a reason to doubt it: `12 streams open, no content for 63 s`. `None` while
    /// they do not.
    pub suspect: Option<String>,
    /// Exchanges it is working on.
    pub in_flight: u32,
    /// Resolved addresses.
    pub addresses: Vec<std::net::SocketAddr>,
}

/// A drain under way or done.
#[derive(Debug, Clone, serde::Serialize)]
pub struct DrainView {
    /// `draining`, `drained`, or `ended` when the deadline ended what remained.
    pub state: &'static str,
    /// Exchanges still in flight.
    pub in_flight: u32,
    /// Time left, in milliseconds.
    pub left_ms: u64,
    /// Exchanges that the deadline ended.
    pub ended: u32,
    /// How long the oldest of those in flight has been under way, in milliseconds, as the cores said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<u64>,
}
