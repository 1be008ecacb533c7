//! `[listen]`: where clients connect.

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::source::Place;
use super::environment::one_of;
use super::{address, listen_tls, range};
use crate::model::listener::{ListenAddress, ListenerSpec, ListenerTls};
use crate::model::timeouts::ClientTimeouts;

/// Open connections per address when nothing is written: with one upstream connection each they stay
/// below the 65 536 descriptors that service managers usually allow.
const CONNECTIONS_MAX: u32 = 20_000;

const HEAD_BYTES_MAX: u64 = 32 << 10;

/// A listener and where its address is written.
pub(super) type PlacedListener = (Place, ListenerSpec);

/// The listeners of the file; at least one, or an error was reported.
pub(super) fn read(section: &Section<'_>) -> Vec<PlacedListener> {
    let tls = listen_tls::read(section);
    let (trusted_proxies, trusts_unix) = range::read_list_with_unix(section, "trusted_proxies");
    let is_nobody_trusted = trusted_proxies.is_empty() && !trusts_unix;
    let expects_proxy_header = read_proxy_protocol(section, is_nobody_trusted);
    let timeouts = read_timeouts(&section.section("timeouts"));
    let connections_max = section.whole("connections_max", 1..=1_000_000);
    let connections_per_address_max = section.whole("connections_per_address_max", 1..=1_000_000);
    let head_bytes_max = read_head_bytes_max(section);
    let listener = |address, tls: Option<&ListenerTls>| ListenerSpec {
        address,
        tls: tls.cloned(),
        trusted_proxies: trusted_proxies.clone(),
        trusts_unix,
        expects_proxy_header,
        timeouts: timeouts.clone(),
        connections_max: connections_max.unwrap_or(CONNECTIONS_MAX),
        connections_per_address_max,
        head_bytes_max,
    };
    let plain = read_addresses(section, "http").into_iter();
    let secure = read_addresses(section, "https").into_iter();
    let listeners: Vec<_> = plain
        .map(|(place, address)| (place, listener(address, None)))
        .chain(secure.map(|(place, address)| (place, listener(address, tls.as_ref()))))
        .collect();
    check_presence(section);
    check_collisions(section, &listeners);
    listeners
}

/// Who is trusted by nobody cannot be believed either: then no client would ever get in.
fn read_proxy_protocol(section: &Section<'_>, is_nobody_trusted: bool) -> bool {
    let is_expected = one_of(section, "proxy_protocol", &[("off", false), ("v2", true)]);
    if is_expected && is_nobody_trusted {
        let sentence =
            "nobody is trusted to send it; write trusted_proxies, for example \"10.0.0.0/8\"";
        section.reader.error(&section.place_of("proxy_protocol"), sentence);
    }
    is_expected
}

fn read_addresses(section: &Section<'_>, key: &str) -> Vec<(Place, ListenAddress)> {
    let mut addresses = Vec::new();
    for (place, text) in section.texts(key) {
        match address::parse(&text) {
            Ok(address) => addresses.push((place, address)),
            Err(error) => section.reader.error(&place, error),
        }
    }
    addresses
}

fn read_head_bytes_max(section: &Section<'_>) -> u32 {
    let bytes = section.size("head_bytes_max", HEAD_BYTES_MAX, 4 << 10..=1 << 20);
    u32::try_from(bytes).expect("the range ends at 1 MiB")
}

fn read_timeouts(section: &Section<'_>) -> ClientTimeouts {
    let default = ClientTimeouts::default();
    ClientTimeouts {
        handshake: section.duration("handshake", default.handshake),
        head: section.duration("head", default.head),
        idle: section.duration("idle", default.idle),
        body_idle: section.duration("body_idle", default.body_idle),
        http2_age: section.duration_or_off("http2_age", default.http2_age),
    }
}

fn check_presence(section: &Section<'_>) {
    let is_empty = |key| section.value(key, Kind::Texts).is_some_and(|value| value.is_empty_list());
    let has = |key| section.has(key) && !is_empty(key);
    if !has("http") && !has("https") {
        let sentence = "no address to listen on; write http = \"127.0.0.1:8080\" in [listen]";
        section.reader.error(&section.place, sentence);
    }
    listen_tls::check_presence(section, has("https"));
}

fn check_collisions(section: &Section<'_>, listeners: &[PlacedListener]) {
    for (index, (place, listener)) in listeners.iter().enumerate() {
        let earlier = listeners[..index]
            .iter()
            .find(|(_, earlier)| address::collide(&earlier.address, &listener.address));
        if let Some((other, earlier)) = earlier {
            let sentence = format!(
                "{} collides with {} above; give each its own address",
                listener.address, earlier.address
            );
            section.reader.error_with(place, sentence, vec![other.span.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{config, errors, with_files};

    const BLUE: &str = "[environment.blue]\nupstreams = \"http://127.0.0.1:1\"\n";

    #[test]
    fn every_address_has_the_settings_of_the_table() {
        let text = "[listen]\nhttp = [\"127.0.0.1:80\", \"unix:/a\"]\nconnections_max = 7\n\
                    trusted_proxies = [\"10.0.0.0/8\", \"unix\"]\nproxy_protocol = \"v2\"\n[listen.timeouts]\nidle = \"2m\"\n";
        let config = config(&format!("{text}{BLUE}"));
        assert_eq!(config.listeners.len(), 2);
        for listener in &config.listeners {
            assert_eq!(listener.connections_max, 7);
            assert_eq!(listener.timeouts.idle.as_secs(), 120);
            assert_eq!(listener.trusted_proxies.len(), 1);
            assert!(listener.trusts_unix);
            assert!(listener.expects_proxy_header);
            assert!(listener.tls.is_none());
        }
    }

    #[test]
    fn what_cannot_be_listened_on_is_refused() {
        for (listen, expected) in [
            (
                "",
                "a.toml:1: listen: no address to listen on; write http = \"127.0.0.1:8080\" in [listen]",
            ),
            (
                "http = []",
                "a.toml:1: listen: no address to listen on; write http = \"127.0.0.1:8080\" in [listen]",
            ),
            (
                "http = 8080",
                "a.toml:2: listen.http: must be a text or list of texts; write for example [\"127.0.0.1:8080\", \"unix:/run/cyan.sock\"]",
            ),
            (
                "https = \"0.0.0.0:443\"",
                "a.toml:2: listen.https: needs a certificate; write certificate_file and key_file",
            ),
            (
                "http = [\"0.0.0.0:80\", \"127.0.0.1:80\"]",
                "a.toml:2: listen.http: 127.0.0.1:80 collides with 0.0.0.0:80 above; give each its own address",
            ),
            (
                "http = \"127.0.0.1:80\"\nconnections_max = 0",
                "a.toml:3: listen.connections_max: 0 is out of range; write 1 to 1000000",
            ),
            (
                "http = \"127.0.0.1:80\"\nhead_bytes_max = \"1KiB\"",
                "a.toml:3: listen.head_bytes_max: 1KiB is out of range; write 4KiB to 1MiB",
            ),
            (
                "http = \"127.0.0.1:80\"\ntimeouts.idle = \"0s\"",
                "a.toml:3: listen.timeouts.idle: must not be zero; write at least 1ms",
            ),
            (
                "http = \"127.0.0.1:80\"\nproxy_protocol = \"v2\"",
                "a.toml:3: listen.proxy_protocol: nobody is trusted to send it; write trusted_proxies, for example \"10.0.0.0/8\"",
            ),
            (
                "http = \"127.0.0.1:80\"\ntrusted_proxies = [\"lan\"]",
                "a.toml:3: listen.trusted_proxies: `lan` is no address range; write for example 10.0.0.0/8, ::1 or 192.168.1.7",
            ),
        ] {
            assert_eq!(errors(&format!("[listen]\n{listen}\n{BLUE}")), [expected]);
        }
    }

    #[test]
    fn certificates_are_read_before_anything_listens() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let files =
            [("/tls.crt", certificate.as_str()), ("/tls.key", key.as_str()), ("/bad", "bad")];
        let read = |listen: &str| with_files(&format!("[listen]\n{listen}\n{BLUE}"), &files);

        let pair =
            "https = \"0.0.0.0:443\"\ncertificate_file = \"/tls.crt\"\nkey_file = \"/tls.key\"";
        let config = read(pair).unwrap();
        let tls = config.listeners[0].tls.as_ref().unwrap();
        assert_eq!(tls.certificates().next().unwrap().key_file.to_str(), Some("/tls.key"));

        for (listen, expected) in [
            (
                pair.replace("/tls.crt", "/none"),
                "listen.certificate_file: cannot read `/none`: entity not found; check the path and who may read it",
            ),
            (
                pair.replace("/tls.crt", "/bad"),
                "listen.certificate_file: holds no certificate; it must be PEM",
            ),
            (
                pair.replace("https = \"0.0.0.0:443\"", "http = \"127.0.0.1:80\""),
                "listen.certificate_file: nothing speaks TLS; write https = \"0.0.0.0:443\", or leave it out",
            ),
            (
                pair.replace("key_file = \"/tls.key\"", ""),
                "listen.key_file: is missing beside `certificate_file`; write both",
            ),
        ] {
            let errors = read(&listen).unwrap_err();
            let lines: Vec<_> = errors.lines().collect();
            assert!(lines.len() == 1 && lines[0].ends_with(expected), "{lines:?}");
        }
    }
}
