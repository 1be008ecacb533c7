//! Who the client is, when there are proxies before us, and what the upstream is told about it.
//!
//! Only peers that the listener trusts are believed. Everybody else's `X-Forwarded-*`, `Forwarded`,
//! `X-Real-IP` and `Client-Cert` are removed, or a client could name any address or certificate as its own.
//! A listener that tells of certificates itself believes nobody's: few proxies remove what clients claim there.

use std::net::IpAddr;

use super::edits::Edits;
use super::head::{Headers, Peer, RequestHead, ToldCertificate};
use crate::model::header_id::HeaderId;

/// The client's address: from the right of `X-Forwarded-For`, the first hop that is not trusted.
pub fn client_address(head: &impl Headers, peer: &Peer) -> Option<IpAddr> {
    if !peer.is_trusted {
        return peer.address;
    }
    let mut hops = Vec::new();
    head.each_value(HeaderId::X_FORWARDED_FOR, &mut |value| {
        hops.extend(value.split(|byte| *byte == b',').map(parse_hop));
    });
    let is_trusted = |address: &IpAddr| peer.trusted.iter().any(|net| net.contains(address));
    let mut client = peer.address;
    for hop in hops.into_iter().rev() {
        let Some(address) = hop else { break }; // whatever stands left of nonsense is not believed
        client = Some(address);
        if !is_trusted(&address) {
            break;
        }
    }
    client
}

/// Whether the upstream gets what this peer says in a header of this kind.
pub fn may_say(peer: &Peer, id: HeaderId) -> bool {
    let is_certificate = [HeaderId::CLIENT_CERT, HeaderId::CLIENT_CERT_CHAIN].contains(&id);
    let is_ours = is_certificate && !matches!(peer.certificate, ToldCertificate::Unsaid);
    peer.is_trusted && !is_ours
}

/// Writes `X-Forwarded-For`, `-Proto` and `-Host` as the upstream shall see them, and `Client-Cert`.
pub fn edit(head: &impl RequestHead, peer: &Peer, edits: &mut Edits) {
    let address = peer.address_text.as_bytes();
    let before = head.first(HeaderId::X_FORWARDED_FOR).filter(|_| peer.is_trusted);
    match before {
        Some(_) if address.is_empty() => {} // a trusted peer on a unix socket speaks for itself
        Some(_) => {
            let mut joined = Vec::new();
            head.each_value(HeaderId::X_FORWARDED_FOR, &mut |value| {
                joined.extend_from_slice(value);
                joined.extend_from_slice(b", ");
            });
            edits.set(HeaderId::X_FORWARDED_FOR, &[&joined, address]);
        }
        None if address.is_empty() => edits.remove(HeaderId::X_FORWARDED_FOR),
        None => edits.set(HeaderId::X_FORWARDED_FOR, &[address]),
    }
    let kept = |id| peer.is_trusted && head.first(id).is_some();
    if !kept(HeaderId::X_FORWARDED_PROTO) {
        let scheme: &[u8] = if peer.is_tls { b"https" } else { b"http" };
        edits.set(HeaderId::X_FORWARDED_PROTO, &[scheme]);
    }
    if !kept(HeaderId::X_FORWARDED_HOST) {
        let host = head.authority().map(str::as_bytes).or_else(|| head.first(HeaderId::HOST));
        if let Some(host) = host {
            edits.set(HeaderId::X_FORWARDED_HOST, &[host]);
        }
    }
    if let ToldCertificate::Leaf(value) = &peer.certificate {
        edits.set(HeaderId::CLIENT_CERT, &[value]);
    }
}

/// `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1`, `[2001:db8::1]:567`. `::ffff:1.2.3.4` is `1.2.3.4`, as sockets have it.
fn parse_hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let address = text.trim_matches(['[', ']']).parse().ok().or_else(with_port)?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer at this address, which is trusted as all of 10.0.0.0/8.
    fn proxy(address: &str) -> Peer {
        let trusted = ["10.0.0.0/8".parse().unwrap()].into();
        Peer { is_trusted: true, trusted, ..Peer::new(address.parse().ok()) }
    }

    struct Told(&'static str);

    impl Headers for Told {
        fn first(&self, id: HeaderId) -> Option<&[u8]> {
            (id == HeaderId::X_FORWARDED_FOR).then_some(self.0.as_bytes())
        }

        fn each_value<'a>(&'a self, id: HeaderId, visit: &mut dyn FnMut(&'a [u8])) {
            self.first(id).into_iter().for_each(visit);
        }

        fn each_name(&self, visit: &mut dyn FnMut(&str)) {
            visit(HeaderId::X_FORWARDED_FOR.name());
        }
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_not_trusted() {
        for (told, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1, 10.0.0.5", "192.0.2.1"),
            ("192.0.2.1:4711, 10.0.0.5:80", "192.0.2.1"),
            ("2001:db8::1, [2001:db8::2]:80", "2001:db8::2"),
            ("192.0.2.1, ::ffff:10.0.0.5", "192.0.2.1"),
            ("::ffff:192.0.2.1, [::ffff:10.0.0.5]:80", "192.0.2.1"),
            ("192.0.2.1, unknown, 10.0.0.5", "10.0.0.5"),
            ("10.0.0.7, 10.0.0.5", "10.0.0.7"),
            ("", "10.0.0.1"),
        ] {
            let found = client_address(&Told(told), &proxy("10.0.0.1"));
            assert_eq!(found, client.parse().ok(), "{told}");
        }
    }
}
