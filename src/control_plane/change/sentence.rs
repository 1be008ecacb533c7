//! The sentences about changes, as events, journal and dashboard show them.

use std::time::Instant;

use serde_json::{Value, json};

use super::Next;
use crate::control_plane::services::Live;
use crate::model::assignment::Assignment;

/// `green 5 % -> 25 %, blue 95 % -> 75 %`: what rose first, because that is what was wanted.
pub(super) fn moved(before: &Assignment, after: &Assignment) -> String {
    let mut moved: Vec<_> = after
        .members
        .iter()
        .map(|member| (&member.environment, before.weight(&member.environment), member.weight))
        .filter(|(_, from, to)| from != to)
        .collect();
    moved.sort_by_key(|(_, from, to)| to < from);
    let texts: Vec<_> =
        moved.iter().map(|(name, from, to)| format!("{name} {from} % -> {to} %")).collect();
    texts.join(", ")
}

/// The weights before and after, for programs.
pub(super) fn weights(before: &Assignment, after: &Assignment) -> Value {
    let of = |assignment: &Assignment| -> serde_json::Map<String, Value> {
        let members = assignment.members.iter();
        members.map(|m| (m.environment.to_string(), json!(m.weight))).collect()
    };
    json!({ "before": of(before), "after": of(after), "active": after.active })
}

/// What speaks against a change that is allowed all the same: users sent to where nothing answers.
pub(super) fn doubts(live: &Live, next: &Next) -> Vec<String> {
    let now = Instant::now();
    let (before, after) = (&live.record.assignment, &next.record.assignment);
    let grown = after.members.iter().filter(|m| m.weight > before.weight(&m.environment));
    let grown = grown.filter_map(|member| live.table.environment(member.environment.as_str()));
    grown
        .filter(|environment| !environment.upstreams.iter().any(|u| u.is_usable(now)))
        .map(|environment| {
            let all = environment.upstreams.len();
            let are_out = environment.upstreams.iter().all(|upstream| upstream.is_out(now));
            let doubt = if are_out { "answers" } else { "is above suspicion" };
            let name = environment.name();
            format!("`{name}` gets traffic, but none of its {all} upstreams {doubt}")
        })
        .collect()
}
