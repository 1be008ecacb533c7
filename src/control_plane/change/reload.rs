//! A config read anew: what the file owns is taken over, what the store owns stays.
//!
//! All or nothing. The file owns hosts, sticky rules, limits and timeouts; the store owns weights,
//! roles, salts and every field the API has changed. The same rules bring a kept record and the
//! file together at a start.

use std::sync::Arc;

use serde_json::json;

use super::exposure::{self, Exposure};
use super::{Change, Next, Planned, Random, subject};
use crate::config::Config;
use crate::config::resolved::AdminSpec;
use crate::control_plane::command::Refused;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::services::{Live, Services};
use crate::model::assignment::Assignment;
use crate::model::listener::ListenerSpec;
use crate::model::name::Name;
use crate::model::salt::Salt;
use crate::model::service::ServiceSpec;
use crate::rollout::release::Release;

/// The journal's code of a reload.
const RELOADED: &str = "reloaded";

pub(super) fn plan(
    services: &Services,
    started_with: &Config,
    config: &Config,
    random: Random<'_>,
) -> Result<Planned, Refused> {
    let mut warnings = needs_restart(started_with, config);
    let mut next = Vec::new();
    let mut exposure = Exposure::Neutral;
    for file in &config.services {
        let live = services.find(&file.name);
        let kept = live.map(|live| &live.record).or_else(|| services.dormant.get(&file.name));
        let in_flight = |name: &Name| live.map_or(0, |live| live.in_flight(name));
        let mut record = match kept {
            Some(record) => reconcile(file, record, &in_flight, random)?,
            None => first_record(file, random),
        };
        warnings.extend(kept_from_the_file(live, file, &record));
        let unchanged = |live: &Live| *live.file == *file && live.record == record;
        if live.is_some_and(unchanged) {
            continue;
        }
        RELOADED.clone_into(&mut record.last_change);
        let service = Next::new(Arc::new(file.clone()), record)?;
        live.map_or(Ok(()), |live| subject::stays(live, &service))?;
        let exposes = live.map_or(Exposure::Raises, |live| exposure::of(live, &service));
        exposure = exposure.max(exposes);
        next.push(service);
    }
    let order: Vec<Name> = config.services.iter().map(|file| file.name.clone()).collect();
    let gone = leaving(services, &order)?;
    let same_order = services.list.iter().map(|live| &live.file.name).eq(order.iter());
    if next.is_empty() && same_order {
        let generation = services.list.iter().map(|live| live.record.generation).max();
        return Ok(Planned::Nothing { generation: generation.unwrap_or(0), warnings });
    }
    Ok(Planned::Change(describe(next, order, &gone, exposure, warnings)))
}

/// The record a service begins with.
pub(in crate::control_plane) fn first_record(
    file: &ServiceSpec,
    random: Random<'_>,
) -> ServiceRecord {
    ServiceRecord {
        service: file.name.clone(),
        generation: 0,
        assignment: Assignment::initial(&file.initial, random),
        overrides: std::collections::BTreeMap::new(),
        release: Release::default(),
        last_change: "started".to_owned(),
    }
}

/// Brings a kept record under a file: environments join without traffic and leave without traffic.
///
/// # Errors
/// When an environment that the file does not have any more is still needed.
pub(in crate::control_plane) fn reconcile(
    file: &ServiceSpec,
    kept: &ServiceRecord,
    in_flight: &dyn Fn(&Name) -> u32,
    random: Random<'_>,
) -> Result<ServiceRecord, Refused> {
    let mut record = kept.clone();
    let in_file = |name: &Name| file.environments.iter().any(|spec| spec.name == *name);
    record.overrides.retain(|name, own| {
        own.created &= !in_file(name);
        (own.created || in_file(name)) && !own.is_empty()
    });
    let is_away =
        |record: &ServiceRecord, name: &Name| record.overrides.get(name).is_some_and(|o| o.removed);
    record.assignment.fallback =
        file.initial.fallback.clone().filter(|name| !is_away(&record, name));
    for member in &kept.assignment.members {
        let name = &member.environment;
        let created = record.overrides.get(name).is_some_and(|own| own.created);
        if !in_file(name) && !created {
            subject::is_not_in_one(kept, name)?;
            record.assignment = leave(&record.assignment, name, in_flight(name), &file.name)?;
        }
    }
    for spec in &file.environments {
        let joins = !record.assignment.members.iter().any(|m| m.environment == spec.name);
        if joins && !is_away(&record, &spec.name) {
            record.assignment = record.assignment.add(&spec.name, Salt(random()))?;
        }
    }
    if let (None, Some(candidate)) = (&record.assignment.partner, &file.initial.candidate)
        && record.assignment.weight(candidate).is_zero()
        && !is_away(&record, candidate)
        && record.assignment.active != *candidate
    {
        record.assignment = record.assignment.set_candidate(candidate, &mut *random)?;
    }
    Ok(record)
}

/// Takes an environment out that the file does not have any more.
fn leave(
    assignment: &Assignment,
    name: &Name,
    in_flight: u32,
    service: &Name,
) -> Result<Assignment, Refused> {
    let refused = |problem: String| {
        let remedy = "write it into the file again, or move its traffic away and drain it first";
        Refused::State { problem, remedy: remedy.to_owned() }
    };
    let gone = format!("the file has no environment `{name}` of service `{service}` any more, but");
    if assignment.active == *name {
        return Err(refused(format!("{gone} it is the active one")));
    }
    let weight = assignment.weight(name);
    if !weight.is_zero() {
        return Err(refused(format!("{gone} it has {weight} % of the traffic")));
    }
    if in_flight > 0 {
        return Err(refused(format!("{gone} it has {in_flight} in flight")));
    }
    Ok(assignment.remove(name)?)
}

/// Services that the new config does not have.
fn leaving<'a>(services: &'a Services, order: &[Name]) -> Result<Vec<&'a Name>, Refused> {
    let mut gone = Vec::new();
    for live in services.list.iter().filter(|live| !order.contains(&live.file.name)) {
        let name = &live.file.name;
        let environments = live.table.environments.iter();
        let in_flight: u32 = environments.map(|e| live.in_flight(e.name())).sum();
        if in_flight > 0 {
            return Err(Refused::State {
                problem: format!(
                    "the file has no service `{name}` any more, but it has {in_flight} in flight"
                ),
                remedy: "take its clients away first, then reload".to_owned(),
            });
        }
        gone.push(name);
    }
    Ok(gone)
}

fn describe(
    next: Vec<Next>,
    order: Vec<Name>,
    gone: &[&Name],
    exposure: Exposure,
    warnings: Vec<String>,
) -> Change {
    let changed: Vec<_> = next.iter().map(|next| next.file.name.to_string()).collect();
    let gone: Vec<_> = gone.iter().map(ToString::to_string).collect();
    let mut parts = vec!["config reloaded; weights stay as they are".to_owned()];
    for (what, names) in [("changed", &changed), ("gone", &gone)] {
        if !names.is_empty() {
            parts.push(format!("{what}: {}", names.join(", ")));
        }
    }
    let text = parts.join("; ");
    let details = json!({ "changed": changed, "gone": gone, "warnings": warnings });
    Change {
        next,
        order: Some(order),
        exposure,
        kind: RELOADED,
        text,
        details,
        warnings,
        effects: vec![],
    }
}

/// What is read at the start only, and is not what it was then.
pub(in crate::control_plane) fn needs_restart(
    started_with: &Config,
    config: &Config,
) -> Vec<String> {
    let (before, now) = (&started_with.admin, &config.admin);
    let other_place = (&before.address, &before.public_url) != (&now.address, &now.public_url);
    let parts = [
        ("listeners", without_tls(started_with) != without_tls(config)),
        ("admin", other_place),
        ("state_dir", started_with.state_dir != config.state_dir),
        ("workers", started_with.workers != config.workers),
        ("shutdown", started_with.shutdown != config.shutdown),
        ("otlp", started_with.otlp != config.otlp),
        ("hooks", started_with.hooks != config.hooks),
        ("access_log", started_with.access_log != config.access_log),
        ("body_buffer", started_with.body_buffer_bytes_max != config.body_buffer_bytes_max),
    ];
    let changed = parts.into_iter().filter(|(_, changed)| *changed);
    let parts = changed.map(|(part, _)| format!("`{part}` has changed; it needs a restart"));
    let tokens = leaves_open(before, now).then(|| {
        format!(
            "`admin` has no token any more, and {} is reached from other machines until a restart; the old tokens stay until then",
            before.address
        )
    });
    parts.chain(tokens).collect()
}

/// Whether nobody would need a token where the admin API listens, and is reached from other machines.
pub(in crate::control_plane) fn leaves_open(started_with: &AdminSpec, now: &AdminSpec) -> bool {
    now.is_open() && !started_with.address.is_local()
}

/// Listeners but for what of TLS is renewed in place.
fn without_tls(config: &Config) -> Vec<(bool, ListenerSpec)> {
    let strip = |listener: &ListenerSpec| {
        (listener.tls.is_some(), ListenerSpec { tls: None, ..listener.clone() })
    };
    config.listeners.iter().map(strip).collect()
}

/// What the file says and the state knows better.
fn kept_from_the_file(
    live: Option<&Live>,
    file: &ServiceSpec,
    record: &ServiceRecord,
) -> Vec<String> {
    let mut kept = Vec::new();
    let service = &file.name;
    if live.is_some_and(|live| live.file.initial.weights != file.initial.weights) {
        let weights = record.assignment.weights();
        let weights: Vec<_> =
            weights.iter().map(|w| format!("{}={}", w.environment, w.weight)).collect();
        kept.push(format!(
            "{service}: weights stay {}; the file's are for a first start, set them with cyan weights",
            weights.join(" ")
        ));
    }
    if live.is_some_and(|live| live.file.sticky != file.sticky) {
        kept.push(format!(
            "{service}: the sticky rule has changed, so users may change sides once"
        ));
    }
    for (name, own) in &record.overrides {
        for field in own.fields() {
            kept.push(format!(
                "{service}: `{field}` of {name} was changed by the API and stays; \
                 give it back with cyan config reset {service} {name} --field {field}"
            ));
        }
        if own.removed {
            kept.push(format!(
                "{service}: {name} was removed by the API and stays away until it is put"
            ));
        }
    }
    kept
}
