//! A config as the keys and values that a file with everything written out would have.
//!
//! The way back from `element`: what the reader makes of a key, this makes a key of. A test holds it
//! against `keys`, so that no key can be forgotten in a comparison.

mod hooks;
mod quality;
mod rollout;
mod smoke;
mod tls;
mod warm_up;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use super::resolved::Config;
use super::{duration, size};
use crate::model::environment::{EnvironmentSpec, HostPolicy, Protocol, Replay, Secret};
use crate::model::listener::ListenerSpec;
use crate::model::service::{HostPattern, InitialSplit, ServiceSpec, StreamErrors};

/// One table with its keys, in the order of `keys`.
#[derive(Debug, PartialEq)]
pub(super) struct Table {
    /// `service.chat.environment.blue`; empty for everything that no service owns.
    pub(super) path: String,
    pub(super) entries: Vec<Entry>,
}

/// One key of a table.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Below the table: `timeouts.connect`.
    pub(super) key: String,
    pub(super) value: Shown,
}

/// A value as a person reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Nothing,
    Text(String),
    /// What programs and upstreams are given as it stands: shown, unless a variable stands in it.
    Free(String),
    /// A secret is set. It is never shown.
    Hidden,
}

/// The tables of a config: the process, then each service followed by its environments.
pub(super) fn tables(config: &Config) -> Vec<Table> {
    let table = |path: String, entries: Vec<Entry>| {
        let covered = |entry: Entry| covered(entry, &path, &config.from_variables);
        let entries = entries.into_iter().map(covered).collect();
        Table { path, entries }
    };
    let mut tables = vec![table(String::new(), of_process(config))];
    for service in &config.services {
        let path = format!("service.{}", service.name);
        tables.push(table(path.clone(), of_service(service)));
        for environment in &service.environments {
            let path = format!("{path}.environment.{}", environment.name);
            tables.push(table(path, of_environment(environment, &service.initial)));
        }
    }
    tables
}

/// Hides free text that came from a variable: it is where tokens of programs and of requests stand. A field
/// of the only service may stand in the file without the service's name.
fn covered(entry: Entry, table: &str, from_variables: &BTreeSet<String>) -> Entry {
    let Shown::Free(text) = entry.value else { return entry };
    let without_service = table.strip_prefix("service.").and_then(|path| path.split_once('.'));
    let at_the_top = match without_service {
        Some((_, environment)) => format!("{environment}.{}", entry.key),
        None => entry.key.clone(),
    };
    let in_full = format!("{table}.{}", entry.key);
    let is_hidden = [at_the_top, in_full].iter().any(|field| from_variables.contains(field));
    let value = if is_hidden { Shown::Hidden } else { Shown::Text(text) };
    Entry { value, ..entry }
}

fn of_process(config: &Config) -> Vec<Entry> {
    let addresses = |with_tls: bool| {
        let listeners = config.listeners.iter().filter(|l| l.tls.is_some() == with_tls);
        list(listeners.map(|listener| &listener.address))
    };
    let tls = config.listeners.iter().find_map(|listener| listener.tls.as_ref());
    let mut entries = vec![
        entry("state_dir", text(config.state_dir.display())),
        entry("workers", optional(config.workers)),
        entry("listen.http", addresses(false)),
        entry("listen.https", addresses(true)),
    ];
    entries.extend(tls.into_iter().flat_map(tls::of_listener));
    if let Some(listener) = config.listeners.first() {
        entries.extend([
            entry("listen.trusted_proxies", trusted(listener)),
            entry(
                "listen.proxy_protocol",
                text(if listener.expects_proxy_header { "v2" } else { "off" }),
            ),
            entry("listen.connections_max", text(listener.connections_max)),
            entry(
                "listen.connections_per_address_max",
                optional(listener.connections_per_address_max),
            ),
            entry("listen.head_bytes_max", bytes(listener.head_bytes_max)),
            entry("listen.timeouts.handshake", time(listener.timeouts.handshake)),
            entry("listen.timeouts.head", time(listener.timeouts.head)),
            entry("listen.timeouts.idle", time(listener.timeouts.idle)),
            entry("listen.timeouts.body_idle", time(listener.timeouts.body_idle)),
            entry(
                "listen.timeouts.http2_age",
                listener.timeouts.http2_age.map_or_else(|| text("off"), time),
            ),
        ]);
    }
    let (log, otlp) = (config.access_log.as_ref(), config.otlp.as_ref());
    entries.extend([
        entry("admin.address", text(&config.admin.address)),
        entry("admin.public_url", optional(config.admin.public_url.as_ref())),
        entry("admin.token", hidden(config.admin.token.as_ref())),
        entry("shutdown.pre_stop", time(config.shutdown.pre_stop)),
        entry("shutdown.drain", time(config.shutdown.drain)),
        entry("access_log.path", optional(log.map(|log| log.path.display()))),
        entry("access_log.sample", optional(log.map(|log| log.sample))),
        entry("access_log.format", optional(log.map(|log| log.format))),
        entry("otlp.endpoint", free(otlp.map(|o| format!("{}{}", o.upstream, o.path)))),
        entry("otlp.interval", otlp.map_or(Shown::Nothing, |otlp| time(otlp.interval))),
        entry("otlp.sample", optional(otlp.map(|otlp| otlp.sample))),
        entry("limits.body_buffer_max", bytes(config.body_buffer_bytes_max)),
    ]);
    for token in &config.admin.tokens {
        let table = format!("admin.tokens.{}", token.name);
        entries.push(entry(&format!("{table}.token"), hidden(Some(&token.secret))));
        entries.push(entry(&format!("{table}.role"), text(token.role)));
    }
    entries.extend(config.hooks.iter().flat_map(hooks::of_hook));
    for (id, secret) in otlp.into_iter().flat_map(|otlp| &otlp.headers) {
        entries.push(entry(&format!("otlp.headers.{}", id.name()), hidden(Some(secret))));
    }
    entries
}

fn of_service(service: &ServiceSpec) -> Vec<Entry> {
    let (initial, sticky, force) = (&service.initial, &service.sticky, service.force.as_ref());
    let host = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    };
    let cookie = sticky.set_cookie.as_ref();
    let rate = service.requests_per_client.as_ref();
    let mut entries = vec![
        entry("hosts", list(service.hosts.iter().map(host))),
        entry("paths", list(&service.path_prefixes)),
        entry("body_max", bytes(service.body_bytes_max)),
        entry("stream_errors", text(stream_errors(service.stream_errors))),
        entry("requests_per_client.per_second", optional(rate.map(|rate| rate.per_second))),
        entry("requests_per_client.burst", optional(rate.map(|rate| rate.burst))),
        entry("requests_per_client.by", rate.map_or(Shown::Nothing, |rate| list(&rate.by))),
        entry("active", text(&initial.active)),
        entry("candidate", optional(initial.candidate.as_ref())),
        entry("fallback", optional(initial.fallback.as_ref())),
        entry("sticky.sources", list(&sticky.sources)),
        entry("sticky.body_max", bytes(sticky.body_bytes_max)),
        entry("sticky.cookie.name", optional(cookie.map(|cookie| &cookie.name))),
        entry("sticky.cookie.max_age", cookie.map_or(Shown::Nothing, |c| time(c.max_age))),
        entry("headers.deployment", text(service.headers.deployment.name())),
        entry("headers.request_id", text(service.headers.request_id.name())),
        entry("headers.exchange", text(service.headers.exchange.name())),
        entry("force.header", optional(force.map(|force| force.header.name()))),
        entry("force.cookie", optional(force.and_then(|force| force.cookie.as_ref()))),
        entry("force.trusted", force.map_or(Shown::Nothing, |force| list(&force.trusted))),
        entry("force.secret", hidden(force.and_then(|force| force.secret.as_ref()))),
    ];
    for (path, max) in &service.body_bytes_by_path {
        entries.push(entry(&format!("body_max_by_path.'{path}'"), bytes(*max)));
    }
    entries.extend(rollout::of_plans(&service.plans));
    entries.extend(quality::of_quality(service.quality.as_deref()));
    entries.extend(smoke::of_smoke(&service.smoke));
    entries.extend(warm_up::of_warm_up(service.warm_up.as_deref()));
    entries
}

fn of_environment(environment: &EnvironmentSpec, initial: &InitialSplit) -> Vec<Entry> {
    let weighted = initial.weights.iter().find(|w| w.environment == environment.name);
    let mut entries = vec![
        entry("upstreams", list(&environment.upstreams)),
        entry("weight", optional(weighted.map(|weighted| weighted.weight))),
        entry("version", optional(environment.version.as_ref())),
        entry("protocol", text(protocol(environment.protocol))),
        entry("host", text(host(&environment.host))),
        entry("path_prefix", optional(environment.path_prefix.as_ref())),
        entry("model", optional(environment.models.otherwise.as_ref())),
        entry("remove_headers", list(environment.remove_headers.iter().map(|id| id.name()))),
        entry("in_flight_max", optional(environment.in_flight_max)),
        entry("queue.max", text(environment.queue_max)),
        entry("queue.wait", time(environment.queue_wait)),
        entry("replay", text(replay(environment.replay))),
        entry("inspect", text(if environment.inspect { "on" } else { "off" })),
        entry("connect_retries", text(environment.connect_retries)),
        entry("slow_start", time(environment.slow_start)),
    ];
    // Credentials are such a header too.
    for (id, secret) in &environment.set_headers {
        entries.push(entry(&format!("set_headers.{}", id.name()), hidden(Some(secret))));
    }
    for (asked, own) in &environment.models.list {
        entries.push(entry(&format!("models.{asked}"), text(own)));
    }
    entries.extend(of_timeouts(environment));
    entries.extend(of_health(environment));
    entries.extend([
        entry("pool.idle", time(environment.pool_idle)),
        entry("pool.idle_max", text(environment.pool_idle_max)),
    ]);
    entries.extend(tls::of_upstreams(&environment.tls));
    entries
}

fn of_timeouts(environment: &EnvironmentSpec) -> [Entry; 8] {
    let timeouts = &environment.timeouts;
    let limit = |limit: Option<Duration>| limit.map_or_else(|| text("off"), time);
    [
        entry("timeouts.connect", time(timeouts.connect)),
        entry("timeouts.response_head", time(timeouts.response_head)),
        entry("timeouts.idle", time(timeouts.idle)),
        entry("timeouts.first_content", limit(timeouts.first_content)),
        entry("timeouts.stalled", limit(timeouts.stalled)),
        entry("timeouts.total", limit(timeouts.total)),
        entry("timeouts.write_stall", time(timeouts.write_stall)),
        entry("timeouts.tunnel_idle", time(timeouts.tunnel_idle)),
    ]
}

fn of_health(environment: &EnvironmentSpec) -> [Entry; 9] {
    let (health, ejection) = (&environment.health, &environment.ejection);
    let no_progress = health.no_progress.map_or_else(|| text("off"), time);
    [
        entry("health.path", free(health.path.as_ref())),
        entry("health.interval", time(health.interval)),
        entry("health.timeout", time(health.timeout)),
        entry("health.healthy_after", text(health.healthy_after)),
        entry("health.unhealthy_after", text(health.unhealthy_after)),
        entry("health.no_progress", no_progress),
        entry("ejection.failures", text(ejection.failures)),
        entry("ejection.backoff", time(ejection.backoff)),
        entry("ejection.backoff_max", time(ejection.backoff_max)),
    ]
}

fn stream_errors(errors: StreamErrors) -> &'static str {
    match errors {
        StreamErrors::Cut => "cut",
        StreamErrors::Event => "event",
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    }
}

fn host(host: &HostPolicy) -> &str {
    match host {
        HostPolicy::Preserve => "preserve",
        HostPolicy::Upstream => "upstream",
        HostPolicy::Fixed(name) => name,
    }
}

fn replay(replay: Replay) -> &'static str {
    match replay {
        Replay::ReusedConnection => "reused-connection",
        Replay::Idempotent => "idempotent",
        Replay::Never => "never",
    }
}

fn entry(key: &str, value: Shown) -> Entry {
    Entry { key: key.to_owned(), value }
}

fn text(value: impl Display) -> Shown {
    Shown::Text(value.to_string())
}

fn free(value: Option<impl Display>) -> Shown {
    value.map_or(Shown::Nothing, |value| Shown::Free(value.to_string()))
}

fn free_list(items: impl IntoIterator<Item = impl Display>) -> Shown {
    match list(items) {
        Shown::Text(text) => Shown::Free(text),
        other => other,
    }
}

fn optional(value: Option<impl Display>) -> Shown {
    value.map_or(Shown::Nothing, text)
}

fn hidden(secret: Option<&Secret>) -> Shown {
    secret.map_or(Shown::Nothing, |_| Shown::Hidden)
}

fn time(value: std::time::Duration) -> Shown {
    Shown::Text(duration::print(value))
}

fn bytes(value: impl Into<u64>) -> Shown {
    Shown::Text(size::print(value.into()))
}

/// The peers that a listener trusts.
fn trusted(listener: &ListenerSpec) -> Shown {
    let ranges = listener.trusted_proxies.iter().map(ToString::to_string);
    list(ranges.chain(listener.trusts_unix.then(|| "unix".to_owned())))
}

fn list(items: impl IntoIterator<Item = impl Display>) -> Shown {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    Shown::Text(format!("[{}]", items.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::element::testing::config;
    use super::super::keys;
    use super::super::specimen::Specimen;
    use super::*;

    #[test]
    fn every_key_has_an_entry() {
        let tables = tables(&Specimen::full().read());
        let field = |table: &Table, entry: &Entry| match table.path.as_str() {
            "" => entry.key.clone(),
            path => format!("{path}.{}", entry.key),
        };
        let shown: BTreeSet<String> = tables
            .iter()
            .flat_map(|table| table.entries.iter().map(move |entry| field(table, entry)))
            .collect();
        let as_header = "service.NAME.environment.NAME.credentials";
        let keys = keys::all().filter(|key| !key.is_short_form && key.path != as_header);
        for key in keys {
            assert!(shown.contains(&Specimen::field(key.path)), "{}", key.path);
        }
        assert!(shown.contains("service.chat.environment.blue.set_headers.authorization"));
    }

    /// `GET /v1/config` told tokens with the role `read` what others call programs with.
    #[test]
    fn free_text_from_a_variable_is_not_shown() {
        let hooks = "[hooks.page]\non = 'alert'\nexec = ['page', '${TOKEN}']\n\
             [hooks.say]\non = 'alert'\nexec = ['say', '$$TOKEN']\n";
        let service = "force.trusted = '127.0.0.1'\n\
             rollout.smoke.one.path = '/'\nrollout.smoke.one.body = 'a ${TOKEN}'\n\
             rollout.quality.exec = ['judge', '--key=${TOKEN}']\nrollout.quality.threshold = 0.5\n\
             rollout.warm_up.prompts = ['${TOKEN}']\nrollout.warm_up.bodies = ['{}']\n\
             environment.blue.upstreams = 'http://${TOKEN}:1'\n";
        for above in ["", "[service.chat]\n"] {
            let text = format!("listen.http = '127.0.0.1:80'\n{above}{service}{hooks}");
            let tables = tables(&config(&text));
            let shown = |key: &str| {
                let mut entries = tables.iter().flat_map(|table| &table.entries);
                entries.find(|entry| entry.key == key).map(|entry| entry.value.clone())
            };
            for key in [
                "hooks.page.exec",
                "rollout.smoke.one.body",
                "rollout.quality.exec",
                "rollout.warm_up.prompts",
            ] {
                assert_eq!(shown(key), Some(Shown::Hidden), "{key}");
            }
            for (key, expected) in [
                ("hooks.say.exec", "[say, $TOKEN]"),
                ("rollout.warm_up.bodies", "[{}]"),
                ("upstreams", "[http://secret-token:1]"),
            ] {
                assert_eq!(shown(key), Some(Shown::Text(expected.to_owned())), "{key}");
            }
        }
    }
}
