//! A change with its numbers, its caller and what the journal will say of it.

use serde_json::{Value, json};

use super::Waiting;
use crate::control_plane::change::Change;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::command::Request;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::services::Services;
use crate::model::name::Name;

/// A change that is decided: it only has to be written and published.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) change: Change,
    pub(super) asked: Waiting,
    /// The generations that the change was worked out from.
    pub(super) expects: Vec<(Name, u64)>,
    pub(super) entries: Vec<NewEntry>,
}

impl Decided {
    /// Gives a change its numbers and writes its journal entries.
    pub(super) fn new(services: &mut Services, mut change: Change, asked: Waiting) -> Self {
        let mut expects = Vec::new();
        let mut entries = Vec::new();
        for next in &mut change.next {
            let name = next.file.name.clone();
            let before = services.find(&name).map(|live| live.record.clone());
            let generation = before.as_ref().map_or(0, |record| record.generation);
            next.record.generation = services.number(&name);
            expects.push((name.clone(), generation));
            entries.push(NewEntry {
                generation: next.record.generation,
                before: json!(before),
                after: json!(next.record),
                ..entry(&asked.request, change.kind, Some(name), &change.text, &change.details)
            });
        }
        if entries.is_empty() {
            entries.push(entry(&asked.request, change.kind, None, &change.text, &change.details));
        }
        Self { change, asked, expects, entries }
    }

    /// What the store is to keep.
    pub(super) fn records(&self) -> Vec<ServiceRecord> {
        self.change.next.iter().map(|next| next.record.clone()).collect()
    }
}

/// A journal entry for a request, without the states yet.
pub(super) fn entry(
    request: &Request,
    kind: &str,
    service: Option<Name>,
    text: &str,
    details: &Value,
) -> NewEntry {
    NewEntry {
        at: unix_ms(),
        service,
        generation: 0,
        actor: request.actor.clone(),
        kind: kind.to_owned(),
        reason: request.reason.clone(),
        text: text.to_owned(),
        before: Value::Null,
        after: Value::Null,
        details: details.clone(),
    }
}
