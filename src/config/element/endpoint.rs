//! What a service answers to: hosts and path prefixes.

use std::sync::Arc;

use super::super::reader::Section;
use super::super::source::Place;
use crate::model::service::HostPattern;

/// The hosts in the list `hosts`, each with its place.
pub(super) fn read_hosts(section: &Section<'_>) -> Vec<(Place, HostPattern)> {
    let mut hosts = Vec::new();
    for (place, text) in section.texts("hosts") {
        match parse_host(&text) {
            Some(host) => hosts.push((place, host)),
            None => section.reader.error(
                &place,
                format!("`{text}` is no host; write api.example.com or *.example.com, without scheme and port"),
            ),
        }
    }
    hosts
}

/// The path prefixes in the list `paths`, each with its place; without a slash at their end.
pub(super) fn read_paths(section: &Section<'_>) -> Vec<(Place, Arc<str>)> {
    let mut paths = Vec::new();
    for (place, text) in section.texts("paths") {
        match parse_path(&text) {
            Some(path) => paths.push((place, path)),
            None => section.reader.error(
                &place,
                format!(
                    "`{text}` is no path prefix; write for example /v1, without `?`, `#` or spaces"
                ),
            ),
        }
    }
    paths
}

fn parse_host(text: &str) -> Option<HostPattern> {
    let host = text.to_ascii_lowercase();
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok()
        || host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    match host.strip_prefix('*') {
        Some(suffix) if is_domain(suffix.strip_prefix('.')?) => {
            Some(HostPattern::Below(suffix.into()))
        }
        None if is_address || is_domain(&host) => Some(HostPattern::Exact(host.as_str().into())),
        _ => None,
    }
}

/// Labels of letters, digits, `-` and `_`, 253 characters at most (RFC 1035, section 2.3.4).
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let of_a_name = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(of_a_name)
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A path as it may stand in a request line, or `/` for all.
pub(super) fn parse_path(text: &str) -> Option<Arc<str>> {
    let may_stand = |b: u8| b.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&b);
    if !text.starts_with('/') || text.contains("//") || !text.bytes().all(may_stand) {
        return None;
    }
    match text.strip_suffix('/') {
        Some("") | None => Some(text.into()),
        Some(prefix) => Some(prefix.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_patterns() {
        let exact = |name: &str| Some(HostPattern::Exact(name.into()));
        for (text, host) in [
            ("API.example.com", exact("api.example.com")),
            ("localhost", exact("localhost")),
            ("10.0.0.1", exact("10.0.0.1")),
            ("[::1]", exact("[::1]")),
            ("*.example.com", Some(HostPattern::Below(".example.com".into()))),
            ("*", None),
            ("*example.com", None),
            ("a.*.com", None),
            ("example.com:80", None),
            ("http://example.com", None),
            ("", None),
            ("a..b", None),
        ] {
            assert_eq!(parse_host(text), host, "{text}");
        }
    }

    #[test]
    fn prefixes_are_kept_without_their_last_slash() {
        for (text, path) in [
            ("/v1", Some("/v1")),
            ("/v1/", Some("/v1")),
            ("/", Some("/")),
            ("/a%20b", Some("/a%20b")),
            ("v1", None),
            ("", None),
            ("/a b", None),
            ("/a?b", None),
            ("/a//b", None),
        ] {
            assert_eq!(parse_path(text).as_deref(), path, "{text}");
        }
    }
}
