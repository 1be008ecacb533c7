//! The config as the program uses it: checked, with every default filled in.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::environment::Secret;
use crate::model::header_id::HeaderId;
use crate::model::hook::HookSpec;
use crate::model::listener::{ListenAddress, ListenerSpec};
use crate::model::name::Name;
use crate::model::role::Role;
use crate::model::service::ServiceSpec;
use crate::model::upstream::UpstreamSpec;

/// A whole config that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Public listeners; at least one.
    pub listeners: Vec<ListenerSpec>,
    /// The admin listener.
    pub admin: AdminSpec,
    /// Where state and journal live.
    pub state_dir: PathBuf,
    /// Data-plane threads; `None` for one per core that the process may use.
    pub workers: Option<usize>,
    /// At least one service, in the order of the file.
    pub services: Vec<ServiceSpec>,
    /// How the process ends.
    pub shutdown: ShutdownSpec,
    /// Where requests are logged; `None` for nowhere.
    pub access_log: Option<AccessLogSpec>,
    /// Where traces and metrics are pushed; `None` for nowhere, which it is without the feature `otlp`.
    pub otlp: Option<OtlpSpec>,
    /// Who is told what happens, in the order of the file.
    pub hooks: Vec<HookSpec>,
    /// Most bytes that all cores together hold of request bodies, until they go on and for replays.
    pub body_buffer_bytes_max: u64,
    /// Fields, as the file names them, in which a variable was replaced: free text in them is not shown.
    pub from_variables: BTreeSet<String>,
    /// Files that it names and that are renewed without a word: certificates, keys, authorities, secrets.
    pub files: BTreeSet<PathBuf>,
}

/// The admin listener.
#[derive(Debug, Clone, PartialEq)]
pub struct AdminSpec {
    /// Loopback by default (`127.0.0.1:9901`), or a unix socket.
    pub address: ListenAddress,
    /// Where people reach the dashboard, without a slash at its end.
    pub public_url: Option<Arc<str>>,
    /// Asked for as `Authorization: Bearer …`; opens everything. Where the address is not loopback,
    /// there is this one or one with a name.
    pub token: Option<Secret>,
    /// Tokens with a name and a role.
    pub tokens: Vec<NamedToken>,
}

impl AdminSpec {
    /// Whether nobody needs a token.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.tokens.is_empty()
    }
}

/// A token whose name stands in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedToken {
    /// Whose it is.
    pub name: Name,
    /// What it opens.
    pub role: Role,
    /// The token itself.
    pub secret: Secret,
}

/// How the process ends on SIGTERM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSpec {
    /// `/readyz` answers 503 for this long while connections are still accepted. Default 0 s.
    pub pre_stop: Duration,
    /// Then exchanges in flight have this long to finish. Default 300 s.
    pub drain: Duration,
}

/// Where requests are logged.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessLogSpec {
    /// `-` for standard output, else a file that is appended to.
    pub path: PathBuf,
    /// Share of requests that are logged, 0 to 1. Failed and forced ones always are.
    pub sample: f64,
    /// How a line is written.
    pub format: LogFormat,
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A JSON object.
    #[default]
    Json,
    /// `key=value` pairs.
    Logfmt,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Logfmt => "logfmt",
        })
    }
}

/// Where traces and metrics are pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSpec {
    /// The collector.
    pub upstream: UpstreamSpec,
    /// What stands before `/v1/traces`; empty or with a leading slash.
    pub path: String,
    /// Sent along, credentials for example.
    pub headers: Vec<(HeaderId, Secret)>,
    /// Time between two pushes.
    pub interval: Duration,
    /// Share of the traces begun here that are recorded, 0 to 1.
    pub sample: f64,
}

/// Where the state is kept when nothing is written.
pub const STATE_DIR: &str = "./cyan-state";

/// The address the admin API has when nothing is written.
pub const ADMIN_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9901);
