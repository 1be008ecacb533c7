//! Weights, switch and rollback.

use super::{Next, Planned, Random, Said, sentence, subject};
use crate::control_plane::command::Refused;
use crate::control_plane::services::Live;
use crate::model::assignment::{Assignment, AssignmentError, PartnerRole};
use crate::model::name::Name;
use crate::model::routing_table::Weighted;

/// The journal's code of weights.
pub(super) const SET: &str = "weights_set";

/// The journal's code of a switch.
pub(super) const SWITCHED: &str = "switched";

/// The journal's code of a rollback; a repeated one is recognised by it.
pub(super) const ROLLED_BACK: &str = "rolled_back";

pub(super) fn set(
    live: &Live,
    weights: &[Weighted],
    candidate: Option<&Name>,
    random: Random<'_>,
) -> Result<Planned, Refused> {
    if weights.is_empty() && candidate.is_none() {
        let problem = "names no environment; send at least one, e.g. blue=95 green=5".to_owned();
        return Err(Refused::Invalid { field: "weights", problem });
    }
    is_not_another_candidate(live, candidate)?;
    let before = &live.record.assignment;
    let mut after = before.clone();
    if let Some(name) = candidate.filter(|name| !is_candidate(before, name)) {
        after = after.set_candidate(name, &mut *random)?;
    }
    if !weights.is_empty() {
        after = after.set_weights(weights, random)?;
    }
    has_upstreams_where_it_grows(live, &after)?;
    let mut text = sentence::moved(before, &after);
    if let Some(name) = candidate.filter(|name| !is_candidate(before, name)) {
        let joined = format!("{name} is the candidate");
        text = if text.is_empty() { joined } else { format!("{joined}; {text}") };
    }
    with_assignment(live, after, SET, text)
}

pub(super) fn switch(live: &Live, to: Option<&Name>) -> Result<Planned, Refused> {
    let before = &live.record.assignment;
    let partner = before.partner.as_ref().map(|partner| &partner.environment);
    let Some(to) = to.or(partner) else {
        return Err(Refused::State {
            problem: format!("`{}` has no candidate to switch to", live.file.name),
            remedy: "name the environment that shall be active".to_owned(),
        });
    };
    let after = before.switch(to)?;
    has_upstreams_where_it_grows(live, &after)?;
    let weight = after.weight(to);
    let text = if before.active == *to {
        format!("{to} is active with {weight} %")
    } else {
        let (left, service) = (&before.active, &live.file.name);
        format!("{to} is active with {weight} %; {left} stays ready. Back: cyan rollback {service}")
    };
    with_assignment(live, after, SWITCHED, text)
}

pub(super) fn roll_back(live: &Live) -> Result<Planned, Refused> {
    let before = &live.record.assignment;
    let after = match before.roll_back() {
        Ok(after) => after,
        // The second press of a nervous finger is no error.
        Err(AssignmentError::NothingToRollBack(_))
            if super::is_rollback(&live.record.last_change) =>
        {
            let generation = live.record.generation;
            return Ok(Planned::Nothing { generation, warnings: vec![] });
        }
        Err(error) => return Err(error.into()),
    };
    let text = format!("rolled back: {}", sentence::moved(before, &after));
    with_assignment(live, after, ROLLED_BACK, text)
}

fn with_assignment(
    live: &Live,
    after: Assignment,
    kind: &'static str,
    text: String,
) -> Result<Planned, Refused> {
    let details = sentence::weights(&live.record.assignment, &after);
    let mut record = live.record.clone();
    record.assignment = after;
    Ok(Next::of(live, record)?.planned(live, Said { kind, text, details }))
}

/// As long as a rollout runs the candidate is its own: another one would take its place in the slot.
fn is_not_another_candidate(live: &Live, candidate: Option<&Name>) -> Result<(), Refused> {
    match (live.record.release.running(), candidate) {
        (Some(rollout), Some(name)) if *name != rollout.candidate => Err(Refused::State {
            problem: format!("`{}` is the candidate of rollout {}", rollout.candidate, rollout.id),
            remedy: subject::remedy(rollout).to_owned(),
        }),
        _ => Ok(()),
    }
}

fn is_candidate(assignment: &Assignment, name: &Name) -> bool {
    let partner = assignment.partner.as_ref();
    partner.is_some_and(|p| p.environment == *name && p.role == PartnerRole::Candidate)
}

/// Users must not be sent where there is no address at all; that is a slip, never a wish.
fn has_upstreams_where_it_grows(live: &Live, after: &Assignment) -> Result<(), Refused> {
    let before = &live.record.assignment;
    let grown = after.members.iter().filter(|m| m.weight > before.weight(&m.environment));
    for member in grown {
        let environment = live.table.environment(member.environment.as_str());
        if environment.is_some_and(|environment| environment.upstreams.is_empty()) {
            return Err(Refused::State {
                problem: format!("`{}` has no upstreams", member.environment),
                remedy: "give it some before it gets traffic".to_owned(),
            });
        }
    }
    Ok(())
}
