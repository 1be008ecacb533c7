//! Checks across services: who answers to what, and that nobody calls Cyan itself.

use std::net::{IpAddr, SocketAddr};

use super::super::reader::Reader;
use super::listen::PlacedListener;
use super::service::PlacedService;
use crate::model::listener::ListenAddress;
use crate::model::upstream::UpstreamAddress;

pub(super) fn check(
    reader: &Reader<'_>,
    services: &[&PlacedService],
    listeners: &[PlacedListener],
) {
    check_endpoints(reader, services);
    for service in services {
        check_loops(reader, service, listeners);
    }
}

/// No two services may answer to the same host and path; between others the narrower one wins.
fn check_endpoints(reader: &Reader<'_>, services: &[&PlacedService]) {
    for (index, service) in services.iter().enumerate() {
        for earlier in &services[..index] {
            let same = service.endpoints.iter().find_map(|(place, endpoint)| {
                let same = earlier.endpoints.iter().find(|(_, other)| other == endpoint)?;
                Some((place, endpoint, &same.0))
            });
            if let Some((place, endpoint, other)) = same {
                let name = &earlier.spec.name;
                let sentence = format!(
                    "{endpoint} belongs to service `{name}` already; give one of them other hosts or paths"
                );
                reader.error_with(place, sentence, vec![other.span.clone()]);
            }
        }
    }
}

/// An upstream that is a listener of Cyan would pass each request round and round.
fn check_loops(reader: &Reader<'_>, service: &PlacedService, listeners: &[PlacedListener]) {
    for (place, upstream) in &service.upstreams {
        let own = listeners.iter().find(|(_, own)| is_same(&upstream.address, &own.address));
        if let Some((at, own)) = own {
            let sentence = format!(
                "{upstream} is Cyan's own address {}; write that of the server behind",
                own.address
            );
            reader.error_with(place, sentence, vec![at.span.clone()]);
        }
    }
}

fn is_same(upstream: &UpstreamAddress, own: &ListenAddress) -> bool {
    match (upstream, own) {
        (UpstreamAddress::Unix(path), ListenAddress::Unix(own)) => path == own,
        (UpstreamAddress::Tcp { host, port }, ListenAddress::Tcp(own)) => {
            let ip = if &**host == "localhost" { "127.0.0.1" } else { host };
            let ip = ip.parse::<IpAddr>();
            *port != 0 && ip.is_ok_and(|ip| reaches(SocketAddr::new(ip, *port), *own))
        }
        _ => false,
    }
}

fn reaches(upstream: SocketAddr, own: SocketAddr) -> bool {
    let same_ip = upstream.ip() == own.ip();
    let through_loopback = own.ip().is_unspecified() && upstream.ip().is_loopback();
    upstream.port() == own.port() && (same_ip || through_loopback)
}

#[cfg(test)]
mod tests {
    use super::super::testing::errors;

    fn two(a: &str, b: &str) -> Vec<String> {
        let service = |name: &str, rule: &str, port: u8| {
            format!(
                "[service.{name}]\n{rule}\n[service.{name}.environment.blue]\nupstreams = \"http://127.0.0.1:{port}\"\n"
            )
        };
        let text =
            format!("listen.http = \"0.0.0.0:80\"\n{}{}", service("a", a, 1), service("b", b, 2));
        errors(&text)
    }

    #[test]
    fn every_endpoint_has_one_service() {
        for (a, b, expected) in [
            (
                "",
                "",
                Some(
                    "a.toml:6: service.b: every host and path belongs to service `a` already; give one of them other hosts or paths",
                ),
            ),
            ("", "hosts = \"b.com\"", None),
            ("paths = \"/a\"", "paths = \"/a/b\"", None),
            ("hosts = \"a.com\"", "hosts = \"*.a.com\"", None),
            (
                "hosts = \"a.com\"",
                "hosts = [\"b.com\", \"A.com\"]",
                Some(
                    "a.toml:7: service.b.hosts: a.com belongs to service `a` already; give one of them other hosts or paths",
                ),
            ),
            (
                "paths = \"/\"",
                "",
                Some(
                    "a.toml:6: service.b: every host and path belongs to service `a` already; give one of them other hosts or paths",
                ),
            ),
            (
                "hosts = \"a.com\"\npaths = [\"/x\", \"/y\"]",
                "hosts = \"a.com\"\npaths = \"/y/\"",
                Some(
                    "a.toml:8: service.b.hosts: a.com/y belongs to service `a` already; give one of them other hosts or paths",
                ),
            ),
        ] {
            assert_eq!(two(a, b), expected.map(ToOwned::to_owned).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn nobody_calls_cyan_itself() {
        for upstream in ["http://127.0.0.1:80", "http://localhost", "http://0.0.0.0:80"] {
            let text = format!(
                "listen.http = \"0.0.0.0:80\"\n[environment.blue]\nupstreams = \"{upstream}\""
            );
            let errors = errors(&text);
            assert!(errors[0].contains("is Cyan's own address 0.0.0.0:80"), "{errors:?}");
        }
    }
}
