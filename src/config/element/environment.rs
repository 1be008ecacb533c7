//! `[service.NAME.environment.NAME]`: a named deployment that gets traffic.

use std::sync::Arc;

use super::super::reader::Section;
use super::super::source::Place;
use super::{certificate, ejection, health, rewrite, timeouts, upstreams};
use crate::model::environment::{EnvironmentSpec, Protocol, Replay, UpstreamTls};
use crate::model::name::Name;
use crate::model::one_line::{VERSION_CHARS_MAX, is_one_line};
use crate::model::upstream::UpstreamSpec;

/// An environment and where its upstreams are written.
pub(super) struct PlacedEnvironment {
    pub(super) spec: EnvironmentSpec,
    pub(super) upstreams: Vec<(Place, UpstreamSpec)>,
}

/// Everything but weight and role, which only mean something beside the other environments.
pub(super) fn read(name: &Name, section: &Section<'_>) -> PlacedEnvironment {
    let upstreams = upstreams::read(section);
    let addresses = upstreams.iter().map(|(_, upstream)| upstream.clone()).collect();
    let default = EnvironmentSpec::new(name.clone(), addresses);
    let (pool, queue) = (section.section("pool"), section.section("queue"));
    let set_headers = rewrite::read_set_headers(section);
    let spec = EnvironmentSpec {
        version: read_version(section),
        protocol: read_protocol(section),
        tls: read_tls(&section.section("tls")),
        host: rewrite::read_host(section),
        path_prefix: rewrite::read_path_prefix(section),
        remove_headers: rewrite::read_remove_headers(section, &set_headers),
        set_headers,
        models: Arc::new(rewrite::read_models(section)),
        timeouts: timeouts::read(&section.section("timeouts")),
        in_flight_max: section.whole("in_flight_max", 1..=1_000_000),
        queue_max: read_queue_max(section, &queue).unwrap_or(default.queue_max),
        queue_wait: queue.duration("wait", default.queue_wait),
        health: health::read(&section.section("health")),
        ejection: ejection::read(&section.section("ejection")),
        replay: read_replay(section),
        inspect: read_inspect(section),
        connect_retries: read_connect_retries(section).unwrap_or(default.connect_retries),
        slow_start: section.duration_or_zero("slow_start", default.slow_start),
        pool_idle: pool.duration("idle", default.pool_idle),
        pool_idle_max: pool.whole("idle_max", 0..=65_536).unwrap_or(default.pool_idle_max),
        ..default
    };
    PlacedEnvironment { spec, upstreams }
}

fn read_version(section: &Section<'_>) -> Option<Arc<str>> {
    let version = section.parsed::<String>("version")?;
    let is_label = !version.is_empty() && is_one_line(&version, VERSION_CHARS_MAX);
    if !is_label {
        let sentence = "must be one line of 1 to 200 characters; shorten it, or leave it out";
        section.reader.error(&section.place_of("version"), sentence);
    }
    Some(version.into())
}

fn read_queue_max(section: &Section<'_>, queue: &Section<'_>) -> Option<u32> {
    let max = queue.whole("max", 0..=100_000)?;
    if max > 0 && !section.has("in_flight_max") {
        let sentence = "nothing waits without a limit; write in_flight_max too";
        section.reader.error(&queue.place_of("max"), sentence);
    }
    Some(max)
}

fn read_protocol(section: &Section<'_>) -> Protocol {
    let known = [("http1", Protocol::Http1), ("http2", Protocol::Http2)];
    one_of(section, "protocol", &known)
}

fn read_replay(section: &Section<'_>) -> Replay {
    let known = [
        ("reused-connection", Replay::ReusedConnection),
        ("idempotent", Replay::Idempotent),
        ("never", Replay::Never),
    ];
    one_of(section, "replay", &known)
}

fn read_inspect(section: &Section<'_>) -> bool {
    let known = [("on", Inspect(true)), ("off", Inspect(false))];
    one_of::<Inspect>(section, "inspect", &known).0
}

/// A switch that is on by default.
#[derive(Clone, Copy)]
struct Inspect(bool);

impl Default for Inspect {
    fn default() -> Self {
        Self(true)
    }
}

fn read_connect_retries(section: &Section<'_>) -> Option<u8> {
    u8::try_from(section.whole("connect_retries", 0..=10)?).ok()
}

fn read_tls(section: &Section<'_>) -> UpstreamTls {
    let server_name = section.parsed::<String>("server_name");
    if let Some(name) = &server_name
        && rustls_pki_types::ServerName::try_from(name.as_str()).is_err()
    {
        let sentence =
            format!("`{name}` is neither a name nor an address; write for example llm.internal");
        section.reader.error(&section.place_of("server_name"), sentence);
    }
    let ca_file = certificate::read_authorities(section, "ca_file");
    let certificate = certificate::read_pair(section);
    UpstreamTls { ca_file, server_name: server_name.map(Into::into), certificate }
}

/// The value that a word stands for; the default when none is written.
pub(super) fn one_of<T: Copy + Default>(
    section: &Section<'_>,
    key: &str,
    known: &[(&str, T)],
) -> T {
    one_of_or(section, key, known, T::default())
}

/// The same, with what holds when it is not written.
pub(super) fn one_of_or<T: Copy>(
    section: &Section<'_>,
    key: &str,
    known: &[(&str, T)],
    usual: T,
) -> T {
    let Some(word) = section.parsed::<String>(key) else { return usual };
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == word) {
        return *value;
    }
    let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    let sentence = format!("`{word}` is not known; write {}", known.join(" or "));
    section.reader.error(&section.place_of(key), sentence);
    usual
}

#[cfg(test)]
mod tests {
    use super::super::testing::{environment, environment_errors};
    use super::*;

    #[test]
    fn an_environment_needs_only_upstreams() {
        let environment = environment("");
        let name = Name::new("blue").unwrap();
        let upstreams = vec!["http://127.0.0.1:1".parse().unwrap()];
        assert_eq!(environment, EnvironmentSpec::new(name, upstreams));
    }

    #[test]
    fn words_stand_for_choices() {
        let environment =
            environment("protocol = \"http2\"\nreplay = \"never\"\nconnect_retries = 0");
        assert_eq!(environment.protocol, Protocol::Http2);
        assert_eq!(environment.replay, Replay::Never);
        assert_eq!(environment.connect_retries, 0);
        for (text, expected) in [
            ("protocol = \"h2\"", "protocol: `h2` is not known; write http1 or http2"),
            (
                "replay = \"always\"",
                "replay: `always` is not known; write reused-connection or idempotent or never",
            ),
            (
                "version = \"\"",
                "version: must be one line of 1 to 200 characters; shorten it, or leave it out",
            ),
            ("inspect = \"no\"", "inspect: `no` is not known; write on or off"),
            ("in_flight_max = -1", "in_flight_max: -1 is out of range; write 1 to 1000000"),
            ("queue.max = 8", "queue.max: nothing waits without a limit; write in_flight_max too"),
            ("pool.idle = \"0s\"", "pool.idle: must not be zero; write at least 1ms"),
            (
                "tls.server_name = \"a b\"",
                "tls.server_name: `a b` is neither a name nor an address; write for example llm.internal",
            ),
            (
                "tls.ca_file = \"/none\"",
                "tls.ca_file: cannot read `/none`: entity not found; check the path and who may read it",
            ),
        ] {
            assert_eq!(environment_errors(text), [expected]);
        }
    }
}
