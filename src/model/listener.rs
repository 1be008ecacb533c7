//! Where clients connect.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::timeouts::ClientTimeouts;

/// An address Cyan listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenAddress {
    /// `127.0.0.1:8080`, `[::]:443`
    Tcp(SocketAddr),
    /// `unix:/run/cyan.sock`; made with mode 0660, a stale one is replaced
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Where it listens.
    pub address: ListenAddress,
    /// Certificate and key; `None` for plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Peers whose `X-Forwarded-*` headers are believed. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those of peers on a unix socket are, which have no address. Default: they are not.
    pub trusts_unix: bool,
    /// Every connection begins with a PROXY header of version 2, and comes from a trusted peer.
    pub expects_proxy_header: bool,
    /// Limits on time towards clients.
    pub timeouts: ClientTimeouts,
    /// Most connections of the whole process on this listener; beyond it accepting pauses.
    pub connections_max: u32,
    /// Most connections of one client address, trusted proxies excepted; `None` for no limit.
    pub connections_per_address_max: Option<u32>,
    /// Most bytes of a request head. Default 32 KiB.
    pub head_bytes_max: u32,
}

/// How a listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The one for clients that ask for no host, or for one that no other has.
    pub usual: Option<CertificateFiles>,
    /// Further ones, for the hosts they are made out to. Without a usual one, the first is it.
    pub named: Vec<(Name, CertificateFiles)>,
    /// The oldest version that is spoken. Default 1.2.
    pub version_min: TlsVersion,
    /// Who may connect at all; `None` for everybody.
    pub clients: Option<ClientCertificates>,
}

impl ListenerTls {
    /// TLS with one certificate and every default.
    pub fn new(certificate: CertificateFiles) -> Self {
        let version_min = TlsVersion::default();
        Self { usual: Some(certificate), named: vec![], version_min, clients: None }
    }

    /// At least one; a client gets the one made out to the host it asks for (SNI), else the first.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateFiles> {
        self.usual.iter().chain(self.named.iter().map(|(_, files)| files))
    }
}

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
}

/// A version of TLS; older ones are not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

/// Which certificates clients have to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM of the authorities that may have issued them.
    pub ca_file: PathBuf,
    /// Whether a client without one is refused. One that shows a wrong one always is.
    pub is_required: bool,
    /// Whether upstreams are told which one a client has shown.
    pub is_forwarded: bool,
}
