//! Addresses to listen on: `127.0.0.1:8080`, `[::]:443`, `unix:/run/cyan.sock`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::model::listener::ListenAddress;

/// Most bytes of a unix socket's path: `sun_path` of Linux has 108, one of them ends it.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Why a text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum AddressError {
    /// Neither form.
    #[error("`{0}` is no address to listen on; write IP:PORT, e.g. 127.0.0.1:8080, or unix:/path")]
    Form(String),
    /// A port alone.
    #[error(
        "`:{0}` does not say for whom; write 127.0.0.1:{0} for this machine only, 0.0.0.0:{0} for every network"
    )]
    PortOnly(u16),
    /// A path that is relative or too long.
    #[error(
        "`{0}` is no path of a unix socket; write unix: and an absolute path of at most 107 bytes"
    )]
    UnixPath(String),
}

/// The address that `text` means.
pub(in super::super) fn parse(text: &str) -> Result<ListenAddress, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.len() > UNIX_PATH_BYTES_MAX || path.contains('\0') {
            return Err(AddressError::UnixPath(text.to_owned()));
        }
        return Ok(ListenAddress::Unix(PathBuf::from(path)));
    }
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Err(AddressError::PortOnly(port));
    }
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
    text.parse().map(ListenAddress::Tcp).map_err(|_| AddressError::Form(text.to_owned()))
}

/// Whether both cannot be listened on at once. Port 0 is any free port and never collides.
pub(super) fn collide(a: &ListenAddress, b: &ListenAddress) -> bool {
    match (a, b) {
        (ListenAddress::Unix(a), ListenAddress::Unix(b)) => a == b,
        (ListenAddress::Tcp(a), ListenAddress::Tcp(b)) => {
            let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
            a.port() == b.port() && a.port() != 0 && same_ip
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_explicit() {
        for (text, shown) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::]:443", "[::]:443"),
            ("localhost:80", "127.0.0.1:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "8080", "127.0.0.1", "example.com:80", "http://127.0.0.1:80", ":http"] {
            assert_eq!(parse(text), Err(AddressError::Form(text.to_owned())), "{text}");
        }
        assert_eq!(parse(":8080"), Err(AddressError::PortOnly(8080)));
        for path in ["unix:a.sock", &format!("unix:/{}", "x".repeat(107))] {
            assert_eq!(parse(path), Err(AddressError::UnixPath(path.to_owned())));
        }
    }

    #[test]
    fn one_port_is_listened_on_once() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "127.0.0.1:80", false),
        ] {
            assert_eq!(collide(&parse(a).unwrap(), &parse(b).unwrap()), expected, "{a} {b}");
        }
    }
}
