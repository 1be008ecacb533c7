//! The default store: one SQLite file in the state directory.
//!
//! WAL, so that readers of the journal and a write do not wait for each other; `synchronous=FULL`, so
//! that a commit that returned is on the disk. A file is looked at before anything is changed in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, params};
use serde::de::DeserializeOwned;

use super::schema::{self, Content, unreadable};
use super::{Committed, Store, StoreError, Write};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::model::name::Name;

/// The state file's name in `state_dir`.
pub const FILE_NAME: &str = "state.db";

/// How long a write waits for a tool that holds the file. Below the time the controller waits for us.
const BUSY_TIMEOUT: Duration = Duration::from_millis(1000);

/// The journal keeps 30 days, and no more than this many entries (some 50 MB of them).
const JOURNAL_DAYS: u64 = 30;
const JOURNAL_ENTRIES_MAX: i64 = 50_000;

/// Old entries are looked for once in this many commits.
const PRUNE_EVERY: u32 = 256;

/// State and journal in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    commits: u32,
}

impl SqliteStore {
    /// Opens the state file of `state_dir`, which must exist; makes the file if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, foreign, or of a newer version. It is not changed then.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE_NAME);
        let open = |error: rusqlite::Error| unreadable(&path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(open)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
        let content = schema::inspect(&connection, &path)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
            .map_err(open)?;
        connection.pragma_update(None, "synchronous", "full").map_err(open)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
        if content == Content::Empty {
            schema::create(&mut connection).map_err(open)?;
        }
        Ok(Self { connection, path, commits: 0 })
    }

    /// The state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(
        &mut self,
        write: &Write,
        still_wanted: &dyn Fn() -> bool,
    ) -> rusqlite::Result<Committed> {
        let prune = self.commits.is_multiple_of(PRUNE_EVERY);
        self.commits = self.commits.wrapping_add(1);
        // Immediate: a tool that holds the file is met at the beginning, not at the commit.
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        for record in &write.records {
            keep(&transaction, record)?;
        }
        for service in &write.removed {
            transaction
                .execute("DELETE FROM service WHERE name = ?1", params![service.as_str()])?;
        }
        for entry in &write.journal {
            append(&transaction, entry)?;
        }
        if prune {
            forget_old_entries(&transaction)?;
        }
        if !still_wanted() {
            transaction.rollback()?;
            return Ok(Committed::Unwanted);
        }
        transaction.commit()?;
        Ok(Committed::Written)
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Vec<ServiceRecord>, StoreError> {
        let failed = |error: rusqlite::Error| unreadable(&self.path, &error);
        let mut statement = self
            .connection
            .prepare("SELECT name, generation, assignment, overrides, last_change FROM service")
            .map_err(failed)?;
        let rows = statement.query_map([], |row| {
            Ok(RecordRow {
                name: row.get(0)?,
                generation: row.get(1)?,
                assignment: row.get(2)?,
                overrides: row.get(3)?,
                last_change: row.get(4)?,
            })
        });
        let rows: Vec<RecordRow> = rows.and_then(Iterator::collect).map_err(failed)?;
        rows.into_iter().map(|row| row.into_record(&self.path)).collect()
    }

    fn commit(
        &mut self,
        write: &Write,
        still_wanted: &dyn Fn() -> bool,
    ) -> Result<Committed, StoreError> {
        self.write(write, still_wanted).map_err(|error| StoreError::Write(problem(&error)))
    }
}

/// A row of `service` as the file has it.
struct RecordRow {
    name: String,
    generation: i64,
    assignment: String,
    overrides: String,
    last_change: String,
}

impl RecordRow {
    fn into_record(self, path: &Path) -> Result<ServiceRecord, StoreError> {
        let damaged = |what: &str, problem: String| StoreError::Damaged {
            path: path.to_owned(),
            problem: format!("{what} of service `{}`: {problem}", self.name),
        };
        Ok(ServiceRecord {
            service: Name::new(&self.name).map_err(|e| damaged("name", e.to_string()))?,
            generation: u64::try_from(self.generation)
                .map_err(|e| damaged("generation", e.to_string()))?,
            assignment: json(&self.assignment).map_err(|e| damaged("assignment", e))?,
            overrides: json(&self.overrides).map_err(|e| damaged("overrides", e))?,
            last_change: self.last_change.clone(),
        })
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn keep(transaction: &Transaction<'_>, record: &ServiceRecord) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO service (name, generation, assignment, overrides, last_change, written_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (name) DO UPDATE SET generation = excluded.generation,
                 assignment = excluded.assignment, overrides = excluded.overrides,
                 last_change = excluded.last_change, written_at = excluded.written_at",
        )?
        .execute(params![
            record.service.as_str(),
            signed(record.generation),
            to_json(&record.assignment),
            to_json(&record.overrides),
            record.last_change,
            signed(unix_ms()),
        ])
        .map(|_| ())
}

fn append(transaction: &Transaction<'_>, entry: &NewEntry) -> rusqlite::Result<()> {
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

fn forget_old_entries(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let oldest = unix_ms().saturating_sub(JOURNAL_DAYS * 24 * 3600 * 1000);
    transaction.execute("DELETE FROM journal WHERE at < ?1", params![signed(oldest)])?;
    transaction
        .execute(
            "DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?1",
            params![JOURNAL_ENTRIES_MAX],
        )
        .map(|_| ())
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names, weights and salts are plain JSON")
}

/// SQLite's integers are signed; generations and times stay below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What went wrong, in words that say what to look at.
fn problem(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; make room in `state_dir`".to_owned(),
        Some(ErrorCode::ReadOnly) => "it is read-only; let Cyan write to `state_dir`".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it; close the tool that has it open for writing".to_owned()
        }
        _ => error.to_string(),
    }
}
