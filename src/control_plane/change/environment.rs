//! Environments at run time: made, given other upstreams, removed, given back to the file.

use serde_json::json;

use super::{Next, Planned, Random, Said, subject};
use crate::control_plane::command::Refused;
use crate::control_plane::record::{Override, ServiceRecord, parse_upstreams};
use crate::control_plane::services::Live;
use crate::model::assignment::{AssignmentError, PartnerRole};
use crate::model::environment::EnvironmentSpec;
use crate::model::model_names::{OwnName, OwnNameError};
use crate::model::name::Name;
use crate::model::one_line::{VERSION_CHARS_MAX, is_one_line};
use crate::model::salt::Salt;

/// Most environments of a service; a dashboard with more would help nobody.
const ENVIRONMENTS_MAX: usize = 64;

/// Most upstreams of an environment.
const UPSTREAMS_MAX: usize = 256;

/// What is to be put.
pub(super) struct Put<'a> {
    pub(super) name: &'a Name,
    pub(super) upstreams: Option<&'a [String]>,
    pub(super) version: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    /// Refuse unless it has no traffic and is part of no rollout.
    pub(super) only_idle: bool,
}

pub(super) fn put(live: &Live, put: &Put<'_>, random: Random<'_>) -> Result<Planned, Refused> {
    let upstreams = checked_upstreams(put)?;
    check_version(put)?;
    check_model(put)?;
    let before = live.table.environment(put.name.as_str()).map(|environment| &*environment.spec);
    let mut record = live.record.clone();
    let in_file = live.file.environments.iter().any(|spec| spec.name == *put.name);
    let own = record.overrides.entry(put.name.clone()).or_default();
    let upstreams_before = before.map(texts);
    if upstreams_before != upstreams {
        own.upstreams = upstreams.or(own.upstreams.take());
    }
    let version_before = before.map(|spec| spec.version.as_deref().unwrap_or_default());
    if version_before != put.version {
        own.version = put.version.map(str::to_owned).or(own.version.take());
    }
    if before.map(|spec| model(spec).unwrap_or_default()) != put.model {
        own.model = put.model.map(str::to_owned).or(own.model.take());
    }
    own.removed = false;
    own.created = !in_file;
    drop_if_empty(&mut record, put.name);
    match before {
        Some(_) => keeps_an_address(live, put)?,
        None => join(live, put, &mut record, in_file, random)?,
    }
    let kind = if before.is_some() { "environment_changed" } else { "environment_created" };
    let next = Next::of(live, record)?;
    subject::stays(live, &next)?;
    let spec = next.specs.iter().find(|spec| spec.name == *put.name);
    let spec = spec.expect("it was in the assignment or has joined it");
    if put.only_idle && before != Some(spec) {
        is_idle(live, put.name)?;
    }
    let text = describe(kind, before, spec);
    let details = json!({
        "environment": put.name, "upstreams": texts(spec), "version": spec.version,
        "model": model(spec),
    });
    let warning = armed_no_more(live, put.name, before, spec);
    let mut planned = next.planned(live, Said { kind, text, details });
    if let Planned::Change(change) = &mut planned {
        change.warnings.extend(warning);
    }
    Ok(planned)
}

/// Refuses to deploy under users.
fn is_idle(live: &Live, name: &Name) -> Result<(), Refused> {
    subject::is_not_in_one(&live.record, name)?;
    let weight = live.record.assignment.weight(name);
    if weight.is_zero() {
        return Ok(());
    }
    Err(Refused::State {
        problem: format!("`{name}` has {weight} % of the traffic"),
        remedy: "deploy to an environment without any, or change it under its users: cyan environment put"
            .to_owned(),
    })
}

/// Who goes back after this finds something else than what was active.
fn armed_no_more(
    live: &Live,
    name: &Name,
    before: Option<&EnvironmentSpec>,
    after: &EnvironmentSpec,
) -> Option<String> {
    let partner = live.record.assignment.partner.as_ref()?;
    let is_armed = partner.environment == *name && partner.role == PartnerRole::Previous;
    let is_other = before.is_some_and(|before| before.version != after.version);
    (is_armed && is_other).then(|| {
        let active = &live.record.assignment.active;
        format!("`{name}` was what {active} goes back to; a rollback leads to what is there now")
    })
}

pub(super) fn remove(live: &Live, name: &Name) -> Result<Planned, Refused> {
    subject::is_not_in_one(&live.record, name)?;
    let mut record = live.record.clone();
    record.assignment = record.assignment.remove(name)?;
    let in_flight = live.in_flight(name);
    if in_flight > 0 {
        return Err(Refused::State {
            problem: format!("`{name}` has {in_flight} in flight"),
            remedy: format!("drain it first: cyan drain {} {name}", live.file.name),
        });
    }
    record.overrides.remove(name);
    if live.file.environments.iter().any(|spec| spec.name == *name) {
        let away = Override { removed: true, ..Override::default() };
        record.overrides.insert(name.clone(), away);
    }
    let text = format!("{name} was removed");
    let details = json!({ "environment": name });
    let said = Said { kind: "environment_removed", text, details };
    Ok(Next::of(live, record)?.planned(live, said))
}

pub(super) fn reset(live: &Live, name: &Name, field: &str) -> Result<Planned, Refused> {
    known(live, name)?;
    let mut record = live.record.clone();
    let own = record.overrides.entry(name.clone()).or_default();
    if own.created {
        return Err(Refused::State {
            problem: format!("`{name}` is not in the file, so there is nothing to go back to"),
            remedy: "change it by the API, or write it into the file and reload".to_owned(),
        });
    }
    match field {
        "upstreams" => own.upstreams = None,
        "version" => own.version = None,
        "model" => own.model = None,
        other => {
            let problem =
                format!("`{other}` is never overridden; write `upstreams`, `version` or `model`");
            return Err(Refused::Invalid { field: "field", problem });
        }
    }
    drop_if_empty(&mut record, name);
    let text = format!("{name}: the file decides `{field}` again");
    let details = json!({ "environment": name, "field": field });
    let next = Next::of(live, record)?;
    subject::stays(live, &next)?;
    Ok(next.planned(live, Said { kind: "field_reset", text, details }))
}

/// A new environment joins without traffic, so nobody moves.
fn join(
    live: &Live,
    put: &Put<'_>,
    record: &mut ServiceRecord,
    in_file: bool,
    random: Random<'_>,
) -> Result<(), Refused> {
    if put.upstreams.is_none() && !in_file {
        let problem = format!("`{}` is new and needs some, e.g. http://127.0.0.1:8002", put.name);
        return Err(Refused::Invalid { field: "upstreams", problem });
    }
    if live.record.assignment.members.len() >= ENVIRONMENTS_MAX {
        return Err(Refused::State {
            problem: format!("`{}` has {ENVIRONMENTS_MAX} environments already", live.file.name),
            remedy: "remove one that is not used any more".to_owned(),
        });
    }
    record.assignment = record.assignment.add(put.name, Salt(random()))?;
    Ok(())
}

/// The upstreams to put, each written as Cyan writes it, so that equal ones compare as equal.
fn checked_upstreams(put: &Put<'_>) -> Result<Option<Vec<String>>, Refused> {
    let Some(upstreams) = put.upstreams else { return Ok(None) };
    let invalid = |problem| Refused::Invalid { field: "upstreams", problem };
    if upstreams.len() > UPSTREAMS_MAX {
        let problem = format!("{} of them; at most {UPSTREAMS_MAX} are allowed", upstreams.len());
        return Err(invalid(problem));
    }
    let parsed = parse_upstreams(upstreams).map_err(|error| invalid(error.to_string()))?;
    for (index, upstream) in parsed.iter().enumerate() {
        if parsed[..index].contains(upstream) {
            return Err(invalid(format!("`{upstream}` is named twice; name each once")));
        }
    }
    Ok(Some(parsed.iter().map(ToString::to_string).collect()))
}

fn check_version(put: &Put<'_>) -> Result<(), Refused> {
    let Some(version) = put.version else { return Ok(()) };
    if is_one_line(version, VERSION_CHARS_MAX) {
        return Ok(());
    }
    let problem = format!(
        "has {} characters; use up to {VERSION_CHARS_MAX} printable ones",
        version.chars().count()
    );
    Err(Refused::Invalid { field: "version", problem })
}

fn check_model(put: &Put<'_>) -> Result<(), Refused> {
    let name = put.model.filter(|name| !name.is_empty());
    let checked = name.map(OwnName::new).transpose();
    let invalid =
        |error: OwnNameError| Refused::Invalid { field: "model", problem: error.to_string() };
    checked.map(drop).map_err(invalid)
}

/// An environment with users keeps at least one address.
fn keeps_an_address(live: &Live, put: &Put<'_>) -> Result<(), Refused> {
    let weight = live.record.assignment.weight(put.name);
    if put.upstreams.is_some_and(<[String]>::is_empty) && !weight.is_zero() {
        return Err(Refused::State {
            problem: format!(
                "`{}` has {weight} % of the traffic and would have no upstream",
                put.name
            ),
            remedy: "name at least one upstream, or set its weight to 0 first".to_owned(),
        });
    }
    Ok(())
}

fn known(live: &Live, name: &Name) -> Result<(), Refused> {
    if live.table.environment(name.as_str()).is_some() {
        return Ok(());
    }
    let names = live.record.assignment.members.iter().map(|m| m.environment.as_str());
    let known = names.collect::<Vec<_>>().join(", ");
    Err(AssignmentError::Unknown { name: name.clone(), known }.into())
}

fn drop_if_empty(record: &mut ServiceRecord, name: &Name) {
    if record.overrides.get(name).is_some_and(Override::is_empty) {
        record.overrides.remove(name);
    }
}

/// What is sent for whatever model is asked for, if it is replaced.
fn model(spec: &EnvironmentSpec) -> Option<&str> {
    spec.models.otherwise.as_ref().map(OwnName::as_str)
}

fn texts(spec: &EnvironmentSpec) -> Vec<String> {
    spec.upstreams.iter().map(ToString::to_string).collect()
}

fn describe(kind: &str, before: Option<&EnvironmentSpec>, after: &EnvironmentSpec) -> String {
    let name = &after.name;
    let version = after.version.as_deref().unwrap_or("no version");
    if kind == "environment_created" {
        return format!("{name} ({version}) joined without traffic: {}", texts(after).join(", "));
    }
    let mut parts = Vec::new();
    if before.is_none_or(|before| before.upstreams != after.upstreams) {
        parts.push(format!("upstreams are {}", texts(after).join(", ")));
    }
    if before.is_none_or(|before| before.version != after.version) {
        parts.push(format!("version is {version}"));
    }
    if before.is_none_or(|before| before.models != after.models) {
        parts.push(format!("model is {}", model(after).unwrap_or("what is asked for")));
    }
    format!("{name}: {}", parts.join("; "))
}
