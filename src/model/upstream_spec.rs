//! The addresses inside an environment, as operators write them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One address as the operator wrote it: `http://127.0.0.1:8001`, `https://api.example.com`,
/// `unix:/run/llm.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamSpec {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Where it is.
    pub address: UpstreamAddress,
}

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UpstreamAddress {
    /// A host name or IP address (IPv6 without brackets) and a port.
    Tcp {
        /// Name or address.
        host: Arc<str>,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

impl UpstreamSpec {
    /// `host` or `host:port` as an upstream expects it in `Host`: without a default port, IPv6 in brackets.
    pub fn authority(&self) -> String {
        match &self.address {
            UpstreamAddress::Unix(_) => "localhost".to_owned(),
            UpstreamAddress::Tcp { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
                let default = if self.tls { 443 } else { 80 };
                if *port == default { host } else { format!("{host}:{port}") }
            }
        }
    }
}

impl fmt::Display for UpstreamSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            UpstreamAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            UpstreamAddress::Tcp { .. } if self.tls => write!(f, "https://{}", self.authority()),
            UpstreamAddress::Tcp { .. } => write!(f, "http://{}", self.authority()),
        }
    }
}

/// Why a text is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an upstream; write http://HOST:PORT, https://HOST or unix:/path")]
pub struct UpstreamError(pub String);

impl std::str::FromStr for UpstreamSpec {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || UpstreamError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let absolute = path.starts_with('/');
            let address = UpstreamAddress::Unix(PathBuf::from(path));
            return absolute.then_some(Self { tls: false, address }).ok_or_else(error);
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(error()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = split_authority(authority).ok_or_else(error)?;
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(error)?,
            None if tls => 443,
            None => 80,
        };
        Ok(Self { tls, address: UpstreamAddress::Tcp { host: host.into(), port } })
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
    (!host.is_empty() && host.bytes().all(of_a_name)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_meant() {
        for (text, shown, authority) in [
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001", "127.0.0.1:8001"),
            ("https://api.example.com", "https://api.example.com", "api.example.com"),
            ("https://api.example.com:443/", "https://api.example.com", "api.example.com"),
            ("http://[::1]:80", "http://[::1]", "[::1]"),
            ("unix:/run/a.sock", "unix:/run/a.sock", "localhost"),
        ] {
            let spec: UpstreamSpec = text.parse().unwrap();
            assert_eq!((spec.to_string().as_str(), spec.authority().as_str()), (shown, authority));
        }
        for text in [
            "",
            "127.0.0.1:80",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://a/b",
            "unix:a",
        ] {
            assert!(text.parse::<UpstreamSpec>().is_err(), "{text}");
        }
    }
}
