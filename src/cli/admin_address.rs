//! Where the admin API is, and how we came to think so.
//!
//! The first of: `--admin`, `CYAN_ADMIN`, what the Cyan that serves `--config` has announced, `[admin]` of
//! that file, the default. Where it came from stands in every "cannot reach", since a forgotten variable is
//! the usual reason.

use std::fmt;
use std::path::PathBuf;

use super::failure::Failure;
use crate::config::resolved::ADMIN_ADDRESS;
use crate::model::listener::ListenAddress;

/// The admin API's address with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAddress {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// Who said so.
    pub origin: Origin,
}

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`
    Tcp(String),
    /// A unix socket.
    Unix(PathBuf),
}

/// Who named the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `--admin`
    Flag,
    /// `CYAN_ADMIN`
    Variable,
    /// `[admin]` of the file.
    Config(PathBuf),
    /// The Cyan that runs, in this file.
    Announced(PathBuf),
    /// Nobody.
    Default,
}

impl AdminAddress {
    /// What `--admin` or `CYAN_ADMIN` says.
    pub fn parse(text: &str, origin: Origin) -> Result<Self, Failure> {
        let endpoint = endpoint(text).ok_or_else(|| {
            Failure::usage(format!("`{text}` ({origin}) is no address of an admin API"))
                .hint("write http://HOST:PORT or unix:/path")
        })?;
        Ok(Self { endpoint, origin })
    }

    /// Where a server with this listener is to be found from this machine.
    pub fn of_listener(listener: &ListenAddress, origin: Origin) -> Self {
        let endpoint = match listener {
            ListenAddress::Unix(path) => Endpoint::Unix(path.clone()),
            ListenAddress::Tcp(address) if address.ip().is_unspecified() => {
                let loopback = if address.is_ipv4() { "127.0.0.1" } else { "[::1]" };
                Endpoint::Tcp(format!("{loopback}:{}", address.port()))
            }
            ListenAddress::Tcp(address) => Endpoint::Tcp(address.to_string()),
        };
        Self { endpoint, origin }
    }
}

impl Default for AdminAddress {
    fn default() -> Self {
        Self::of_listener(&ListenAddress::Tcp(ADMIN_ADDRESS), Origin::Default)
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| Endpoint::Unix(path.into()));
    }
    let authority = text.strip_prefix("http://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = authority.rsplit_once(':')?;
    let plain = !host.is_empty() && !host.contains(['/', '@', ' ']);
    (plain && port.parse::<u16>().is_ok()).then(|| Endpoint::Tcp(authority.to_owned()))
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.endpoint, self.origin)
    }
}

/// As `--admin` takes it.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "http://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --admin"),
            Self::Variable => f.write_str("from CYAN_ADMIN"),
            Self::Config(path) => write!(f, "from [admin] of {}", path.display()),
            Self::Announced(path) => write!(f, "from {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_where_they_came_from() {
        for (text, printed) in [
            ("http://127.0.0.1:9901", "http://127.0.0.1:9901 (from --admin)"),
            ("http://[::1]:9901/", "http://[::1]:9901 (from --admin)"),
            ("unix:/run/cyan.sock", "unix:/run/cyan.sock (from --admin)"),
        ] {
            assert_eq!(AdminAddress::parse(text, Origin::Flag).unwrap().to_string(), printed);
        }
        assert_eq!(AdminAddress::default().to_string(), "http://127.0.0.1:9901 (the default)");
    }

    #[test]
    fn what_is_no_address_is_a_usage_error() {
        for text in ["", "9901", "https://x:1", "http://x", "http://:1", "http://a/b:1", "unix:x"] {
            let failure = AdminAddress::parse(text, Origin::Variable).unwrap_err();
            assert_eq!(failure.exit_code, super::super::exit_code::USAGE, "{text}");
        }
    }
}
