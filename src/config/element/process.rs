//! The top of the file: the process, its listeners and its services.

use std::path::PathBuf;
use std::time::Duration;

use super::super::keys::Kind;
use super::super::reader::Section;
use super::super::resolved::{Config, STATE_DIR, ShutdownSpec};
use super::{access_log, admin, hooks, listen, otlp, overlap, service};
use crate::model::service::ServiceSpec;

const BODY_BUFFER_BYTES_MAX: u64 = 128 << 20;

/// Most services; their tables are searched in order for every request.
const SERVICES_MAX: usize = 256;

/// The whole config; `None` where something that has no default is wrong or missing.
pub(in super::super) fn read(root: &Section<'_>) -> Option<Config> {
    let listeners = listen::read(&root.section("listen"));
    let admin = admin::read(&root.section("admin"), &listeners);
    let limits = root.section("limits");
    let body_buffer_bytes_max =
        limits.size("body_buffer_max", BODY_BUFFER_BYTES_MAX, 1 << 20..=1 << 40);
    let state_dir = root.value("state_dir", Kind::Path).and_then(|value| value.path());
    let workers = root.whole("workers", 1..=1024).and_then(|count| usize::try_from(count).ok());
    let shutdown = read_shutdown(&root.section("shutdown"));
    let access_log = access_log::read(&root.section("access_log"));
    let otlp = otlp::read(&root.section("otlp"));
    let hooks = hooks::read(root);
    let services = read_services(root, &listeners);
    if let Some(services) = &services {
        hooks::check_services(&hooks, services);
    }
    Some(Config {
        listeners: listeners.into_iter().map(|(_, listener)| listener).collect(),
        admin,
        state_dir: state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR)),
        workers,
        services: services?,
        shutdown,
        access_log,
        otlp,
        hooks: hooks.into_iter().map(|hook| hook.spec).collect(),
        body_buffer_bytes_max,
        from_variables: root.reader.fields_from_variables(),
        files: root.reader.files(),
    })
}

fn read_shutdown(section: &Section<'_>) -> ShutdownSpec {
    ShutdownSpec {
        pre_stop: section.duration_or_zero("pre_stop", Duration::ZERO),
        drain: section.duration("drain", Duration::from_secs(300)),
    }
}

/// Either `[service.NAME]` tables, or the keys of the only service at the top.
fn read_services(
    root: &Section<'_>,
    listeners: &[listen::PlacedListener],
) -> Option<Vec<ServiceSpec>> {
    let mut sections = root.named_sections("service");
    if let Some(only) = root.as_only_service() {
        if let [(name, _), ..] = sections.as_slice() {
            let sentence = format!(
                "keys of a service stand at the top beside [service.{name}]; move them into a [service.NAME] of their own"
            );
            root.reader.error(&only.place, sentence);
        }
        sections.push((service::only_name(), only));
    }
    if sections.len() > SERVICES_MAX {
        let sentence =
            format!("{} services, at most 256 are served; split the file", sections.len());
        root.reader.error(&root.section("service").place, sentence);
        return None;
    }
    if sections.is_empty() && root.section("service").written_keys().is_empty() {
        let sentence =
            "no service; write [environment.blue] with upstreams = [\"http://127.0.0.1:8001\"]";
        root.reader.error(&root.place, sentence);
    }
    let services: Vec<_> =
        sections.iter().map(|(name, section)| service::read(name.clone(), section)).collect();
    overlap::check(root.reader, &services.iter().flatten().collect::<Vec<_>>(), listeners);
    services.into_iter().map(|service| service.map(|service| service.spec)).collect()
}
