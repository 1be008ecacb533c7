//! Where clients connect.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::timeouts::ClientTimeouts;

/// An address Cyan listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`, `[::]:443`
    Tcp(SocketAddr),
    /// `unix:/run/cyan.sock`; made with mode 0660, a stale one is replaced
    Unix(PathBuf),
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
    /// Limits on time towards clients.
    pub timeouts: ClientTimeouts,
    /// Most connections of the whole process on this listener; beyond it accepting pauses.
    pub connections_max: u32,
    /// Most bytes of a request head. Default 32 KiB.
    pub head_bytes_max: u32,
}

/// Files of a listener's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// PEM chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
}
