//! Services: public endpoints, each with its own environments, sticky rule and weights.

use std::sync::Arc;

use ipnet::IpNet;

use super::client_rate::ClientRate;
use super::environment::{EnvironmentSpec, Secret};
use super::header_id::HeaderId;
use super::name::Name;
use super::plan::Plans;
use super::plan::quality::QualitySpec;
use super::plan::smoke::SmokeSpec;
use super::plan::warm_up::WarmUpSpec;
use super::routing_table::Weighted;
use super::sticky::StickyRule;

/// What the operator wants of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Its name; `default` where a file does not need one.
    pub name: Name,
    /// Hosts it answers to; empty for every host.
    pub hosts: Vec<HostPattern>,
    /// Path prefixes it answers to, each on a segment boundary; empty for every path.
    pub path_prefixes: Vec<Arc<str>>,
    /// How the key of a request is found.
    pub sticky: StickyRule,
    /// Names of the headers that Cyan adds.
    pub headers: HeaderNames,
    /// Who may name an environment, and how; `None` for nobody.
    pub force: Option<ForceRule>,
    /// Most bytes of a request body. Default 32 MiB; beyond it 413.
    pub body_bytes_max: u64,
    /// The same for paths with one of these prefixes, on a segment boundary; the longest prefix counts.
    pub body_bytes_by_path: Vec<(Arc<str>, u64)>,
    /// How many requests each client may send; `None` for any number.
    pub requests_per_client: Option<ClientRate>,
    /// How an event stream ends that its upstream breaks off.
    pub stream_errors: StreamErrors,
    /// What a candidate's answers must be worth before users come; `None` where nobody asks.
    pub quality: Option<Arc<QualitySpec>>,
    /// What upstreams must answer before users come.
    pub smoke: Arc<SmokeSpec>,
    /// What a candidate is warmed up by before users come; `None` for no warm-up.
    pub warm_up: Option<Arc<WarmUpSpec>>,
    /// The environments as the file has them.
    pub environments: Vec<EnvironmentSpec>,
    /// Where the first start begins. Later the store knows better.
    pub initial: InitialSplit,
    /// What releases go through.
    pub plans: Plans,
}

impl ServiceSpec {
    /// Most bytes of the body of a request for this path.
    pub fn body_bytes_max(&self, path: &str) -> u64 {
        let is_meant = |prefix: &str| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| prefix == "/" || rest.is_empty() || rest.starts_with('/'))
        };
        let meant = self.body_bytes_by_path.iter().filter(|(prefix, _)| is_meant(prefix));
        let longest = meant.max_by_key(|(prefix, _)| prefix.len());
        longest.map_or(self.body_bytes_max, |(_, max)| *max)
    }
}

/// How the client learns that an event stream was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamErrors {
    /// The connection or stream to it breaks too. The default.
    #[default]
    Cut,
    /// By a last event in the words of its API, where one can be said; by a cut elsewhere.
    Event,
}

/// Roles and weights of a service that has no state yet.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialSplit {
    /// The active environment.
    pub active: Name,
    /// The one that shares the active one's slot, if any.
    pub candidate: Option<Name>,
    /// The one for emergencies, if any.
    pub fallback: Option<Name>,
    /// Weights; they sum to 100 %.
    pub weights: Vec<Weighted>,
}

/// A host that a service answers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.example.com`, in lower case and without a port.
    Exact(Arc<str>),
    /// `*.example.com`: any name below it. Kept as `.example.com`.
    Below(Arc<str>),
}

impl HostPattern {
    /// Whether `host` (lower case, without a port) is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == &**name,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }
}

/// Names of the headers that Cyan adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderNames {
    /// Names the environment, on requests and answers. Default `X-Deployment`.
    pub deployment: HeaderId,
    /// Identifies the request. Default `X-Request-Id`.
    pub request_id: HeaderId,
    /// Identifies the exchange in answers. Default `X-Cyan-Exchange`.
    pub exchange: HeaderId,
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            deployment: HeaderId::X_DEPLOYMENT,
            request_id: HeaderId::X_REQUEST_ID,
            exchange: HeaderId::X_CYAN_EXCHANGE,
        }
    }
}

/// How a request may name its environment, for evaluations and tests.
#[derive(Debug, Clone, PartialEq)]
pub struct ForceRule {
    /// The header that names it. Default `X-Cyan-Environment`.
    pub header: HeaderId,
    /// The cookie that names it, if any.
    pub cookie: Option<Arc<str>>,
    /// Peers that may name one without a signature.
    pub trusted: Vec<IpNet>,
    /// The key of signed values, `NAME.EXPIRY.SIGNATURE`; with it anybody who has one may.
    pub secret: Option<Secret>,
}
