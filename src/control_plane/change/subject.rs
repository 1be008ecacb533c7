//! What a rollout judges stays what it is, as long as the rollout runs.
//!
//! Evidence about one version says nothing of the next, and a comparison of users needs the rule by
//! which they are told apart. So whatever would put something else under a rollout is refused, whoever
//! asks: the API, a field given back to the file, a reload.

use super::Next;
use crate::control_plane::command::Refused;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::services::Live;
use crate::model::environment::EnvironmentSpec;
use crate::model::name::Name;
use crate::rollout::stage::Stage;
use crate::rollout::value::Rollout;

/// Refuses what would take an environment away from the rollout under way.
pub(super) fn is_not_in_one(record: &ServiceRecord, environment: &Name) -> Result<(), Refused> {
    let running = record.release.running();
    match running.filter(|rollout| [&rollout.candidate, &rollout.base].contains(&environment)) {
        None => Ok(()),
        Some(rollout) => Err(Refused::State {
            problem: format!("`{environment}` is part of rollout {}", rollout.id),
            remedy: remedy(rollout).to_owned(),
        }),
    }
}

/// Refuses another candidate, or another version to compare it with, under the same name. The base may
/// get other upstreams: it has users, and has to be kept alive.
pub(super) fn stays(live: &Live, next: &Next) -> Result<(), Refused> {
    let Some(rollout) = live.record.release.running() else { return Ok(()) };
    for environment in [&rollout.candidate, &rollout.base] {
        let before = live.table.environment(environment.as_str()).map(|known| &*known.spec);
        let after = next.specs.iter().find(|spec| spec.name == *environment);
        let (Some(before), Some(after)) = (before, after) else { continue };
        let is_candidate = *environment == rollout.candidate;
        if let Some(what) = changed(before, after, is_candidate) {
            return Err(Refused::State {
                problem: format!(
                    "`{environment}` is part of rollout {}, so its {what} cannot change",
                    rollout.id
                ),
                remedy: remedy(rollout).to_owned(),
            });
        }
    }
    // A rule that changes would move users in the middle of a comparison.
    if live.file.sticky != next.file.sticky {
        let service = &live.file.name;
        return Err(Refused::State {
            problem: format!(
                "the sticky rule of `{service}` cannot change while a rollout is running"
            ),
            remedy: remedy(rollout).to_owned(),
        });
    }
    Ok(())
}

fn changed(
    before: &EnvironmentSpec,
    after: &EnvironmentSpec,
    is_candidate: bool,
) -> Option<&'static str> {
    if before.version != after.version {
        return Some("version");
    }
    if before.models != after.models {
        return Some("model");
    }
    (is_candidate && before.upstreams != after.upstreams).then_some("upstreams")
}

/// How a rollout under way is ended.
pub(super) fn remedy(rollout: &Rollout) -> &'static str {
    match rollout.stage {
        Stage::Switched => {
            "wait for its end, or end it first: cyan rollout release, or back: cyan rollback"
        }
        _ => "wait for its end, or roll it back first: cyan rollback",
    }
}
