//! Entries of the journal as rows, and how long they are kept.

use rusqlite::{Transaction, params};

use super::sqlite::signed;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::model::name::Name;

/// The journal keeps 30 days, and no more than this many entries (some 50 MB of them).
const JOURNAL_DAYS: u64 = 30;
const JOURNAL_ENTRIES_MAX: i64 = 50_000;

/// Writes an entry.
pub(super) fn append(transaction: &Transaction<'_>, entry: &NewEntry) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO journal
                 (at, service, generation, actor, kind, reason, text, before, after, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            signed(entry.at),
            entry.service.as_ref().map(Name::as_str),
            signed(entry.generation),
            entry.actor,
            entry.kind,
            entry.reason,
            entry.text,
            entry.before.to_string(),
            entry.after.to_string(),
            entry.details.to_string(),
        ])
        .map(|_| ())
}

/// Forgets what is beyond both limits.
pub(super) fn forget_old(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let oldest = unix_ms().saturating_sub(JOURNAL_DAYS * 24 * 3600 * 1000);
    transaction.execute("DELETE FROM journal WHERE at < ?1", params![signed(oldest)])?;
    transaction
        .execute(
            "DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?1",
            params![JOURNAL_ENTRIES_MAX],
        )
        .map(|_| ())
}
