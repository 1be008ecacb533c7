//! The journal: who changed what, when and why, with the state before and after.
//!
//! An entry is written in the same transaction as the state it describes, so neither can exist
//! without the other. Events tell a moment; the journal is what is still there after a restart.

use serde_json::Value;

use super::clock::unix_ms;
use crate::model::name::Name;

/// Most entries of one page.
pub const PAGE_ENTRIES_MAX: usize = 500;

/// What is to be written about a change.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// The service; `None` for the process.
    pub service: Option<Name>,
    /// The service's generation after it.
    pub generation: u64,
    /// Who: `cli:ana`, `file`, `signal`, `controller`.
    pub actor: String,
    /// A stable code: `weights_set`, `switched`, `rolled_back`.
    pub kind: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// One sentence for people.
    pub text: String,
    /// The service's record before; `null` where there was none.
    pub before: Value,
    /// The service's record after; `null` where there is none.
    pub after: Value,
    /// The numbers of the sentence.
    pub details: Value,
}

impl NewEntry {
    /// About the process as a whole.
    pub(super) fn of_process(
        actor: String,
        reason: Option<String>,
        kind: &str,
        text: String,
        details: Value,
    ) -> Self {
        Self {
            at: unix_ms(),
            service: None,
            generation: 0,
            actor,
            kind: kind.to_owned(),
            reason,
            text,
            before: Value::Null,
            after: Value::Null,
            details,
        }
    }
}

/// Who asks for something that changes nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Who: `cli:ana`.
    pub actor: String,
    /// Why, in their words.
    pub reason: Option<String>,
}

impl Asker {
    /// What is to be remembered of what was found.
    pub(super) fn entry(
        self,
        service: &Name,
        kind: &str,
        text: String,
        details: Value,
    ) -> NewEntry {
        let of_process = NewEntry::of_process(self.actor, self.reason, kind, text, details);
        NewEntry { service: Some(service.clone()), ..of_process }
    }
}

/// An entry as it is read back.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Entry {
    /// Rises with every entry of this state directory.
    pub id: i64,
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// The service; `None` for the process.
    pub service: Option<String>,
    /// The service's generation after it.
    pub generation: u64,
    /// Who.
    pub actor: String,
    /// A stable code.
    pub kind: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// One sentence for people.
    pub text: String,
    /// The service's record before.
    pub before: Value,
    /// The service's record after.
    pub after: Value,
    /// The numbers of the sentence.
    pub details: Value,
}

/// Which entries to read, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Only of this service.
    pub service: Option<Name>,
    /// Only entries older than this one: `next_before` of the page before.
    pub before: Option<i64>,
    /// How many; at most [`PAGE_ENTRIES_MAX`], which is also the default.
    pub limit: Option<usize>,
}

/// Some entries, newest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Ask for entries before this one to go on; `None` at the journal's beginning.
    pub next_before: Option<i64>,
}
