//! The tables of the state file, and the check that a file is one of ours before it is touched.
//!
//! Columns hold plain numbers, texts and JSON, so that any tool for it can answer a question at
//! night.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::StoreError;

/// The schema this version writes, and the latest it can read.
pub(super) const SCHEMA_VERSION: i64 = 3;

const CREATE: &str = "
CREATE TABLE cyan (schema_version INTEGER NOT NULL) STRICT;
CREATE TABLE service (
    name        TEXT PRIMARY KEY,
    generation  INTEGER NOT NULL,
    assignment  TEXT NOT NULL,  -- JSON: weights, roles, salts
    overrides   TEXT NOT NULL,  -- JSON: what the API changed of environments
    last_change TEXT NOT NULL,  -- the journal's code
    release     TEXT NOT NULL,  -- JSON: the rollout, attempts, freeze
    written_at  INTEGER NOT NULL -- milliseconds of Unix time
) STRICT;
CREATE TABLE journal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL, -- milliseconds of Unix time
    service     TEXT,
    generation  INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    reason      TEXT,
    text        TEXT NOT NULL,
    before      TEXT NOT NULL,  -- JSON
    after       TEXT NOT NULL,  -- JSON
    details     TEXT NOT NULL   -- JSON
) STRICT;
CREATE TABLE evidence (
    service     TEXT PRIMARY KEY,
    rollout     INTEGER NOT NULL, -- its number in the service
    snapshot    TEXT NOT NULL     -- JSON: what the judge knows
) STRICT;
CREATE TABLE record (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    service     TEXT NOT NULL,
    rollout     INTEGER NOT NULL,
    at          INTEGER NOT NULL, -- milliseconds of Unix time
    line        TEXT NOT NULL     -- JSON: docs/reference/replay.md
) STRICT;
CREATE TABLE rollout (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    service     TEXT NOT NULL,
    rollout     INTEGER NOT NULL, -- its number in the service
    candidate   TEXT NOT NULL,
    base        TEXT NOT NULL,
    version     TEXT,
    started_by  TEXT NOT NULL,
    started_at  INTEGER NOT NULL, -- milliseconds of Unix time
    ended_at    INTEGER,          -- the same; none while it runs
    stage       TEXT NOT NULL,    -- where it stands, or how it ended
    cause       TEXT,             -- a code: why it went back
    text        TEXT,             -- the same in a sentence
    UNIQUE (service, rollout)
) STRICT;
CREATE TABLE score (
    service     TEXT NOT NULL,
    environment TEXT NOT NULL,
    version     TEXT NOT NULL,    -- the environment's label; empty for none
    name        TEXT NOT NULL,
    origin      TEXT NOT NULL,    -- users, evaluations
    at          INTEGER NOT NULL, -- first of ten seconds of Unix time in which they came in
    n           INTEGER NOT NULL,
    sum         REAL NOT NULL,
    squares     REAL NOT NULL,
    PRIMARY KEY (service, environment, version, name, origin, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_by_rollout ON record (service, rollout, id);
CREATE INDEX journal_by_service ON journal (service, id);
CREATE INDEX journal_by_time ON journal (at);
";

/// What a database file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: a new file.
    Empty,
    /// Our tables.
    Ours,
}

/// Looks at a file without changing it.
///
/// # Errors
/// When it is damaged, foreign, or of a newer version.
pub(super) fn inspect(connection: &Connection, path: &Path) -> Result<Content, StoreError> {
    let failed = |error: rusqlite::Error| unreadable(path, &error);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .map_err(failed)?;
    if tables == 0 {
        return Ok(Content::Empty);
    }
    let ours: bool = connection
        .query_row(
            "SELECT count(*) = 3 FROM sqlite_schema
             WHERE type = 'table' AND name IN ('cyan', 'service', 'journal')",
            [],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if !ours {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let version: Option<i64> = connection
        .query_row("SELECT max(schema_version) FROM cyan", [], |row| row.get(0))
        .optional()
        .map_err(failed)?
        .flatten();
    match version {
        Some(found) if found > SCHEMA_VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION })
        }
        Some(_) => check(connection, path).map(|()| Content::Ours),
        None => Err(StoreError::Damaged {
            path: path.to_owned(),
            problem: "it does not name its schema".into(),
        }),
    }
}

/// From the first schema to the second: rollouts.
const SECOND: &str = "
ALTER TABLE service ADD COLUMN release TEXT NOT NULL DEFAULT '{}';
CREATE TABLE evidence (
    service TEXT PRIMARY KEY, rollout INTEGER NOT NULL, snapshot TEXT NOT NULL
) STRICT;
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, rollout INTEGER NOT NULL,
    at INTEGER NOT NULL, line TEXT NOT NULL
) STRICT;
CREATE INDEX record_by_rollout ON record (service, rollout, id);
";

/// From the second to the third: past rollouts, and scores.
const THIRD: &str = "
CREATE TABLE rollout (
    id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, rollout INTEGER NOT NULL,
    candidate TEXT NOT NULL, base TEXT NOT NULL, version TEXT, started_by TEXT NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER, stage TEXT NOT NULL, cause TEXT, text TEXT,
    UNIQUE (service, rollout)
) STRICT;
CREATE TABLE score (
    service TEXT NOT NULL, environment TEXT NOT NULL, version TEXT NOT NULL, name TEXT NOT NULL,
    origin TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL, sum REAL NOT NULL,
    squares REAL NOT NULL, PRIMARY KEY (service, environment, version, name, origin, at)
) STRICT, WITHOUT ROWID;
";

/// Brings an older file of ours up to this version, or leaves it as it is.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 =
        connection.query_row("SELECT max(schema_version) FROM cyan", [], |row| row.get(0))?;
    if version >= SCHEMA_VERSION {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for (step, brings_to) in [(SECOND, 2), (THIRD, 3)] {
        if version < brings_to {
            transaction.execute_batch(step)?;
        }
    }
    transaction.execute("UPDATE cyan SET schema_version = ?1", params![SCHEMA_VERSION])?;
    transaction.commit()
}

/// Makes the tables of a new file.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(CREATE)?;
    transaction
        .execute("INSERT INTO cyan (schema_version) VALUES (?1)", params![SCHEMA_VERSION])?;
    transaction.commit()
}

/// Reads every page once. The file is small (a journal of 30 days), so this is cheap next to a
/// start.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| unreadable(path, &error))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged { path: path.to_owned(), problem: verdict })
}

/// A file that cannot be read is damaged, unless the system keeps us from it.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> StoreError {
    let kept_from_it = [
        ErrorCode::CannotOpen,
        ErrorCode::PermissionDenied,
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseLocked,
        ErrorCode::ReadOnly,
        ErrorCode::SystemIoFailure,
        ErrorCode::DiskFull,
    ];
    let problem = error.to_string();
    match error.sqlite_error_code() {
        Some(code) if kept_from_it.contains(&code) => {
            StoreError::Open { path: path.to_owned(), problem }
        }
        _ => StoreError::Damaged { path: path.to_owned(), problem },
    }
}
