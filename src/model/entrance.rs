//! The address at which a program beside Cyan finds its services.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::listener::{ListenAddress, ListenerSpec};

/// One of Cyan's own listeners, as seen from the same machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entrance {
    /// Where to connect.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub is_tls: bool,
}

impl Entrance {
    /// The first listener that speaks plain HTTP over TCP, else the first with TLS. `bound` are the
    /// addresses of those that are no unix sockets, free ports resolved, in the same order.
    pub fn among(listeners: &[ListenerSpec], bound: &[SocketAddr]) -> Option<Self> {
        let is_tcp = |spec: &&ListenerSpec| matches!(spec.address, ListenAddress::Tcp(_));
        let of_tcp = listeners.iter().filter(is_tcp).zip(bound);
        let entrances = of_tcp
            .map(|(spec, address)| Self { address: near(*address), is_tls: spec.tls.is_some() });
        entrances.min_by_key(|entrance| entrance.is_tls)
    }
}

/// `http://127.0.0.1:8080`
impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

/// Who listens on every address is nearest on the loopback one.
fn near(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::super::listener::{CertificateFiles, ListenerTls};
    use super::super::timeouts::ClientTimeouts;
    use super::*;

    fn listener(address: &str, is_tls: bool) -> ListenerSpec {
        let address = match address.strip_prefix("unix:") {
            Some(path) => ListenAddress::Unix(path.into()),
            None => ListenAddress::Tcp(address.parse().unwrap()),
        };
        let files = CertificateFiles { certificate_file: "c".into(), key_file: "k".into() };
        let tls = ListenerTls::new(files);
        ListenerSpec {
            address,
            tls: is_tls.then_some(tls),
            trusted_proxies: vec![],
            trusts_unix: false,
            expects_proxy_header: false,
            timeouts: ClientTimeouts::default(),
            connections_max: 1,
            connections_per_address_max: None,
            head_bytes_max: 4096,
        }
    }

    #[test]
    fn plain_http_over_tcp_is_preferred() {
        let found = |specs: &[(&str, bool)], bound: &[&str]| {
            let specs: Vec<_> = specs.iter().map(|(a, tls)| listener(a, *tls)).collect();
            let bound: Vec<_> = bound.iter().map(|address| address.parse().unwrap()).collect();
            Entrance::among(&specs, &bound).map(|entrance| entrance.to_string())
        };
        assert_eq!(found(&[("unix:/run/x", false)], &[]), None);
        assert_eq!(
            found(
                &[("0.0.0.0:0", true), ("unix:/x", false), ("[::]:0", false)],
                &["0.0.0.0:8443", "[::]:81"]
            ),
            Some("http://[::1]:81".to_owned())
        );
        assert_eq!(
            found(&[("0.0.0.0:0", true)], &["0.0.0.0:8443"]),
            Some("https://127.0.0.1:8443".to_owned())
        );
        assert_eq!(
            found(&[("10.0.0.1:80", false)], &["10.0.0.1:80"]),
            Some("http://10.0.0.1:80".to_owned())
        );
    }
}
