//! Headers that end here: those of one hop only (RFC 9110, section 7.6.1), and those that only Cyan may
//! set.
//!
//! Everything is removed *before* Cyan's own headers are set, so that a client cannot make us drop
//! them by naming them in `Connection`. Names with underscores that an application server would read as
//! one of ours are removed as well.

use super::edits::Edits;
use super::forwarded;
use super::head::{Headers, Peer};
use crate::model::header_id::HeaderId;
use crate::model::service::{ForceRule, HeaderNames};

/// Headers that make sense on one connection only.
const HOP_BY_HOP: [HeaderId; 7] = [
    HeaderId::CONNECTION,
    HeaderId::KEEP_ALIVE,
    HeaderId::PROXY_CONNECTION,
    HeaderId::TE,
    HeaderId::TRAILER,
    HeaderId::TRANSFER_ENCODING,
    HeaderId::UPGRADE,
];

/// Headers in which only a trusted peer is believed.
const FORWARDED: [HeaderId; 8] = [
    HeaderId::X_FORWARDED_FOR,
    HeaderId::X_FORWARDED_PROTO,
    HeaderId::X_FORWARDED_HOST,
    HeaderId::X_FORWARDED_PORT,
    HeaderId::FORWARDED,
    HeaderId::X_REAL_IP,
    HeaderId::CLIENT_CERT,
    HeaderId::CLIENT_CERT_CHAIN,
];

/// How all headers begin in which proxies tell of what was before them. There are more than are known here:
/// applications believe `X-Forwarded-Prefix`, `-Ssl` and `-Scheme` too.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// End-to-end headers that a `Connection` header cannot have removed: without them the request would
/// mean something else, or somebody else's.
const NOT_NOMINATED: [HeaderId; 6] = [
    HeaderId::HOST,
    HeaderId::CONTENT_LENGTH,
    HeaderId::CONTENT_TYPE,
    HeaderId::AUTHORIZATION,
    HeaderId::COOKIE,
    HeaderId::X_REQUEST_ID,
];

/// Headers of a request that only Cyan may set, besides the forwarded ones.
fn is_ours(name: &str, ours: &HeaderNames, force: Option<&ForceRule>) -> bool {
    name.starts_with("x-cyan-")
        || name == ours.deployment.name()
        || name == ours.exchange.name()
        || force.is_some_and(|force| name == force.header.name())
}

/// Removes what ends here from a request. An upgrade is put back by its own edit.
pub fn request(
    head: &impl Headers,
    peer: &Peer,
    ours: &HeaderNames,
    force: Option<&ForceRule>,
    edits: &mut Edits,
) {
    remove_nominated(head, edits);
    let wants_trailers = accepts_trailers(head);
    head.each_name(&mut |name| {
        // One look at the first byte spares most names the comparisons below.
        match name.as_bytes()[0] {
            b'c' | b'k' | b'p' | b't' | b'u' | b'e' => {
                if let Some(id) = hop_by_hop(name) {
                    edits.remove(id);
                } else if name == "expect" {
                    edits.remove(HeaderId::EXPECT);
                } else if is_ours(name, ours, force) {
                    edits.remove_named(name);
                } else if let Some(id) = disbelieved(name, peer) {
                    edits.remove(id);
                }
            }
            b'x' | b'f' if !name.contains('_') => {
                if is_ours(name, ours, force) {
                    edits.remove_named(name);
                } else if let Some(id) = disbelieved(name, peer) {
                    edits.remove(id);
                } else if !peer.is_trusted && name.starts_with(FORWARDED_PREFIX) {
                    edits.remove_named(name);
                }
            }
            _ if is_ours(name, ours, force) => edits.remove_named(name),
            _ => {}
        }
        if name.contains('_') {
            let dashed = name.replace('_', "-");
            let forwarded = is_forwarded(&dashed);
            let is_framing = dashed == HeaderId::CONTENT_LENGTH.name();
            if forwarded
                || is_framing
                || is_ours(&dashed, ours, force)
                || hop_by_hop(&dashed).is_some()
            {
                edits.remove_named(name);
            }
        }
    });
    if wants_trailers {
        edits.set(HeaderId::TE, &[b"trailers"]);
    }
}

/// Removes what ends here from an answer: an upstream cannot speak in Cyan's name either. `Trailer`
/// stays, since trailers are passed on. A length beside chunks must not outlive them: the client would
/// cut the body there, and read the rest as another answer (RFC 9112, section 6.3).
pub fn response(head: &impl Headers, ours: &HeaderNames, edits: &mut Edits) {
    remove_nominated(head, edits);
    if head.first(HeaderId::TRANSFER_ENCODING).is_some() {
        edits.remove(HeaderId::CONTENT_LENGTH);
    }
    head.each_name(&mut |name| match hop_by_hop(name) {
        Some(HeaderId::TRAILER) => {}
        Some(id) => edits.remove(id),
        None if is_ours(name, ours, None) => edits.remove_named(name),
        None => {}
    });
}

/// Whether a trailer may be passed on in either direction.
pub fn is_trailer_allowed(name: &str, ours: &HeaderNames) -> bool {
    let dashed = name.replace('_', "-");
    let framing =
        ["content-length", "host", "authorization", "cookie", "set-cookie", "content-type"];
    hop_by_hop(&dashed).is_none()
        && !is_forwarded(&dashed)
        && !framing.contains(&dashed.as_str())
        && !is_ours(&dashed, ours, None)
}

/// Whether this is a WebSocket handshake (RFC 6455, section 4.1).
pub fn is_websocket(head: &impl super::head::RequestHead) -> bool {
    head.method() == "GET"
        && head.version() == super::head::Version::Http11
        && has_token(head, HeaderId::CONNECTION, b"upgrade")
        && has_token(head, HeaderId::UPGRADE, b"websocket")
}

/// Puts a WebSocket handshake back after stripping.
pub fn restore_websocket(edits: &mut Edits) {
    edits.set(HeaderId::CONNECTION, &[b"upgrade"]);
    edits.set(HeaderId::UPGRADE, &[b"websocket"]);
}

/// Whether it is one of the headers in which only a trusted peer is believed.
fn is_forwarded(name: &str) -> bool {
    name.starts_with(FORWARDED_PREFIX) || FORWARDED.iter().any(|id| id.name() == name)
}

/// One of the headers in which this peer is not believed.
fn disbelieved(name: &str, peer: &Peer) -> Option<HeaderId> {
    // As below: most names need no look at the list.
    if !matches!(name.as_bytes().first(), Some(b'c' | b'f' | b'x')) {
        return None;
    }
    let id = FORWARDED.into_iter().find(|id| id.name() == name)?;
    (!forwarded::may_say(peer, id)).then_some(id)
}

fn hop_by_hop(name: &str) -> Option<HeaderId> {
    if !matches!(name.as_bytes().first(), Some(b'c' | b'k' | b'p' | b't' | b'u')) {
        return None;
    }
    HOP_BY_HOP.into_iter().find(|id| id.name() == name)
}

fn remove_nominated(head: &impl Headers, edits: &mut Edits) {
    head.each_value(HeaderId::CONNECTION, &mut |value| {
        for token in value.split(|byte| *byte == b',') {
            let token = token.trim_ascii();
            let plain = [&b"close"[..], b"keep-alive", b"upgrade"];
            if token.is_empty() || plain.iter().any(|known| token.eq_ignore_ascii_case(known)) {
                continue;
            }
            if let Ok(name) = std::str::from_utf8(token) {
                let name = name.to_ascii_lowercase();
                if !NOT_NOMINATED.iter().any(|id| id.name() == name) {
                    edits.remove_named(&name);
                }
            }
        }
    });
}

fn accepts_trailers(head: &impl Headers) -> bool {
    has_token(head, HeaderId::TE, b"trailers")
}

fn has_token(head: &impl Headers, id: HeaderId, wanted: &[u8]) -> bool {
    let mut found = false;
    head.each_value(id, &mut |value| {
        found |= value
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted));
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_the_lists_is_passed_over_by_its_first_byte() {
        let stranger = Peer::new(None);
        HOP_BY_HOP.into_iter().for_each(|id| assert_eq!(hop_by_hop(id.name()), Some(id)));
        FORWARDED
            .into_iter()
            .for_each(|id| assert_eq!(disbelieved(id.name(), &stranger), Some(id)));
    }
}
