//! Environments: named deployments that get traffic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::header_id::HeaderId;
use super::in_flight::InFlight;
use super::mirror::counts::MirrorCounts;
use super::model_names::ModelNames;
use super::name::Name;
use super::pem_file::{PemFile, PemPair};
use super::timeouts::Timeouts;
use super::upstream::{EjectionSpec, Upstream, UpstreamSpec};

/// A text that must never be printed: a credential, a signing key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Keeps `text` out of logs, errors and JSON.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The protocol spoken to upstreams.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1, the default: one answer per connection, nothing shared between streams.
    #[default]
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge without. gRPC needs it.
    Http2,
}

/// What upstreams see in `Host`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HostPolicy {
    /// What the client sent. The default.
    #[default]
    Preserve,
    /// The upstream's own name, as serverless functions and hosted APIs want it.
    Upstream,
    /// A fixed value.
    Fixed(Arc<str>),
}

/// TLS towards the upstreams of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// Authorities to trust instead of the public ones (PEM).
    pub ca_file: Option<PemFile>,
    /// The name to ask for and to verify, instead of the upstream's host.
    pub server_name: Option<Arc<str>>,
    /// What Cyan shows upstreams that ask for a certificate.
    pub certificate: Option<PemPair>,
}

/// When a request may be sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// When a *reused* connection ended before any byte of an answer, within a second: once, on a fresh one.
    #[default]
    ReusedConnection,
    /// As above, but only for methods that RFC 9110 calls idempotent.
    Idempotent,
    /// Never.
    Never,
}

/// How upstreams are probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSpec {
    /// Path asked for; `None` for no probes.
    pub path: Option<Arc<str>>,
    /// Time between two probes of one upstream. Default 5 s (llama-server dislikes faster than 2 s).
    pub interval: Duration,
    /// Time an answer may take. Default 2 s.
    pub timeout: Duration,
    /// Passed probes in a row that make it up. Default 1.
    pub healthy_after: u32,
    /// Failed probes in a row that make it down. Default 3.
    pub unhealthy_after: u32,
    /// How long the open streams of an upstream may all be without content before it is suspect, whatever
    /// probes say; `None` for ever. Default 60 s. Needs no path.
    pub no_progress: Option<Duration>,
}

impl Default for HealthSpec {
    fn default() -> Self {
        Self {
            path: None,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_after: 1,
            unhealthy_after: 3,
            no_progress: Some(Duration::from_secs(60)),
        }
    }
}

/// What the operator wants of one environment. Immutable; a change makes a new one.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentSpec {
    /// `blue`, `green`, any name.
    pub name: Name,
    /// A free label: model, prompt or build. Changes at run time.
    pub version: Option<Arc<str>>,
    /// The addresses. Change at run time. May be empty: then there is nothing to send to.
    pub upstreams: Vec<UpstreamSpec>,
    /// The protocol spoken to them.
    pub protocol: Protocol,
    /// TLS towards them.
    pub tls: UpstreamTls,
    /// What they see in `Host`.
    pub host: HostPolicy,
    /// Put before the path of every request, e.g. `/prod`; without a slash at its end.
    pub path_prefix: Option<Arc<str>>,
    /// Headers set on the way to them, replacing what the client sent. Credentials are such headers.
    pub set_headers: Vec<(HeaderId, Secret)>,
    /// Headers removed on the way to them.
    pub remove_headers: Vec<HeaderId>,
    /// What its servers call the models: replaces `model` in JSON requests on the way to them.
    pub models: Arc<ModelNames>,
    /// Limits on time.
    pub timeouts: Timeouts,
    /// Most exchanges in flight at once; beyond it 503 with `Retry-After`.
    pub in_flight_max: Option<u32>,
    /// Most requests that wait for a place while so many are in flight. Default 0: none waits.
    pub queue_max: u32,
    /// How long one waits at most. Default 1 s.
    pub queue_wait: Duration,
    /// Active probes.
    pub health: HealthSpec,
    /// Passive ejection.
    pub ejection: EjectionSpec,
    /// When a request may be sent twice.
    pub replay: Replay,
    /// Whether the words of answers are read while they pass.
    pub inspect: bool,
    /// Further upstreams tried when one cannot be connected to. Default 2.
    pub connect_retries: u8,
    /// How long an upstream that returns gets less than its share. Default 10 s.
    pub slow_start: Duration,
    /// How long a pooled connection may rest. Default 4 s: uvicorn and llama-server close after 5.
    pub pool_idle: Duration,
    /// Most idle connections kept per core and upstream. Default 256.
    pub pool_idle_max: u32,
}

impl EnvironmentSpec {
    /// An environment with every setting at its default.
    pub fn new(name: Name, upstreams: Vec<UpstreamSpec>) -> Self {
        Self {
            name,
            version: None,
            upstreams,
            protocol: Protocol::default(),
            tls: UpstreamTls::default(),
            host: HostPolicy::default(),
            path_prefix: None,
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            models: Arc::default(),
            timeouts: Timeouts::default(),
            in_flight_max: None,
            queue_max: 0,
            queue_wait: Duration::from_secs(1),
            health: HealthSpec::default(),
            ejection: EjectionSpec::default(),
            replay: Replay::default(),
            inspect: true,
            connect_retries: 2,
            slow_start: Duration::from_secs(10),
            pool_idle: Duration::from_secs(4),
            pool_idle_max: 256,
        }
    }
}

/// Identifies an environment of a service while the process lives, over table changes and reloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub u32);

/// An environment at work, as a routing table holds it.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Number for metrics, pools and aborts.
    pub id: EnvironmentId,
    /// What the operator wants of it.
    pub spec: Arc<EnvironmentSpec>,
    /// Its upstreams, in the order of the spec.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Exchanges in flight: streams and tunnels included. The same counter in every table.
    pub in_flight: Arc<InFlight>,
    /// What became of requests mirrored to it. The same counts in every table.
    pub mirror: Arc<MirrorCounts>,
}

impl Environment {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.spec.name
    }
}
