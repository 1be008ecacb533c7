//! Past rollouts, and what their judges were told: enough to list them, and to judge them again.
//!
//! A row of `rollout` follows the service's record, in the same transaction, so that none is forgotten when
//! the next one takes its place there. Records are read a page at a time, by weight and not by number: one
//! line has a hundred bytes or a megabyte, and who reads a rollout of days must not need memory for days.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::StoreError;
use super::reader::{self, StateReader, unsigned};
use super::sqlite::signed;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::record::ServiceRecord;
use crate::model::name::Name;

/// Rollouts that are remembered, of all services: years of them, in a megabyte.
const ROLLOUTS_MAX: i64 = 2_000;
/// Rollouts of a page.
pub const PAGE_ROLLOUTS_MAX: usize = 200;
/// A page of records ends with the line that reaches this many bytes.
const PAGE_BYTES_MIN: usize = 256 << 10;
/// How every record of a rollout begins that is whole.
const BEGINNING: &str = r#"{"record":"start""#;

/// A rollout, over or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRollout {
    /// Its number in the service.
    pub id: u64,
    /// The environment that was released.
    pub candidate: String,
    /// The environment that it went back to, or would have.
    pub base: String,
    /// The candidate's version label when it started.
    pub version: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// In milliseconds of Unix time.
    pub started_at: u64,
    /// The same; `None` while it runs.
    pub ended_at: Option<u64>,
    /// Where it stands, or how it ended: the code of a stage.
    pub stage: String,
    /// Why it went back: a code, and a sentence.
    pub cause: Option<(String, String)>,
    /// Whether its records are kept from the first on, so that it can be judged again.
    pub has_records: bool,
}

/// Some records of a rollout, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// As JSON, one object each, without a line's end.
    pub lines: Vec<String>,
    /// Where the next page begins; `None` after the last.
    pub next_after: Option<i64>,
}

impl RecordPage {
    /// The records, each with its line's end.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// Whether a rollout can be judged again.
///
/// # Errors
/// Why it cannot, for people.
pub fn replayable(rollout: Option<&PastRollout>, service: &Name, id: u64) -> Result<(), String> {
    match rollout {
        None => Err(format!("`{service}` has no rollout {id} that is remembered")),
        Some(rollout) if rollout.has_records => Ok(()),
        Some(rollout) => Err(format!(
            "rollout {id} of `{service}` (it is `{}`) has no records from its beginning: users did not \
             meet its candidate, or they are no longer kept",
            rollout.stage
        )),
    }
}

impl StateReader {
    /// Rollouts of a service below this number, newest first. Cancel safe.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rollouts(
        &self,
        service: Name,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<PastRollout>, StoreError> {
        self.read(move |connection| rollouts(connection, &service, before, limit)).await
    }

    /// One of them, if it is remembered. Cancel safe.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rollout(&self, service: Name, id: u64) -> Result<Option<PastRollout>, StoreError> {
        self.read(move |connection| rollout(connection, &service, id)).await
    }

    /// Records of a rollout after this place; 0 is the beginning. Cancel safe.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn records(
        &self,
        service: Name,
        id: u64,
        after: i64,
    ) -> Result<RecordPage, StoreError> {
        self.read(move |connection| records(connection, &service, id, after)).await
    }
}

/// The same without a Cyan that runs: of a state file that nobody writes, or one beside its writer.
#[derive(Debug)]
pub struct StateFile(Connection);

impl StateFile {
    /// Opens the file at `path` for reading.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::Open {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        reader::open(path).map(Self).map_err(failed)
    }

    /// The services that had a rollout, by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn services(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT service FROM rollout ORDER BY service";
        let names = self.0.prepare(sql).and_then(|mut statement| {
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<_>>()
        });
        names.map_err(|error| StoreError::Read(error.to_string()))
    }

    /// A rollout, if it is remembered.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn rollout(&self, service: &Name, id: u64) -> Result<Option<PastRollout>, StoreError> {
        rollout(&self.0, service, id).map_err(|error| StoreError::Read(error.to_string()))
    }

    /// Records of a rollout after this place; 0 is the beginning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records(&self, service: &Name, id: u64, after: i64) -> Result<RecordPage, StoreError> {
        records(&self.0, service, id, after).map_err(|error| StoreError::Read(error.to_string()))
    }
}

/// Notes where the last rollout of a service stands.
pub(super) fn keep(transaction: &Transaction<'_>, record: &ServiceRecord) -> rusqlite::Result<()> {
    let Some(rollout) = record.release.rollout.as_deref() else { return Ok(()) };
    let cause = rollout.stage.cause();
    let ended_at = rollout.stage.is_over().then(unix_ms);
    transaction
        .prepare_cached(
            "INSERT INTO rollout (service, rollout, candidate, base, version, started_by,
                 started_at, ended_at, stage, cause, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (service, rollout) DO UPDATE SET stage = excluded.stage,
                 ended_at = ifnull(ended_at, excluded.ended_at), cause = excluded.cause,
                 text = excluded.text",
        )?
        .execute(params![
            record.service.as_str(),
            signed(rollout.id),
            rollout.candidate.as_str(),
            rollout.base.as_str(),
            rollout.version,
            rollout.started_by,
            signed(rollout.started_at),
            ended_at.map(signed),
            rollout.stage.code(),
            cause.map(|cause| cause.code.as_str()),
            cause.map(|cause| cause.text.as_str()),
        ])
        .map(|_| ())
}

/// The oldest go where there are too many.
pub(super) fn forget_old(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "DELETE FROM rollout WHERE id <= (SELECT max(id) FROM rollout) - ?1";
    transaction.execute(sql, params![ROLLOUTS_MAX]).map(|_| ())
}

/// The part that both statements share. The first record that is kept tells whether it is the first.
macro_rules! select {
    () => {
        "SELECT rollout, candidate, base, version, started_by, started_at, ended_at, stage, cause,
             text, (SELECT substr(line, 1, 17) FROM record
                    WHERE record.service = rollout.service AND record.rollout = rollout.rollout
                    ORDER BY record.id LIMIT 1) AS beginning
         FROM rollout WHERE service = ?1"
    };
}

fn rollouts(
    connection: &Connection,
    service: &Name,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<PastRollout>> {
    let sql = concat!(select!(), " AND rollout < ?2 ORDER BY rollout DESC LIMIT ?3");
    let before = before.map_or(i64::MAX, signed);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params![service.as_str(), before, limit], past)?;
    rows.collect()
}

fn rollout(
    connection: &Connection,
    service: &Name,
    id: u64,
) -> rusqlite::Result<Option<PastRollout>> {
    let sql = concat!(select!(), " AND rollout = ?2");
    connection.query_row(sql, params![service.as_str(), signed(id)], past).optional()
}

fn past(row: &Row<'_>) -> rusqlite::Result<PastRollout> {
    let cause: Option<String> = row.get("cause")?;
    let text: Option<String> = row.get("text")?;
    let beginning: Option<String> = row.get("beginning")?;
    Ok(PastRollout {
        id: unsigned(row, "rollout")?,
        candidate: row.get("candidate")?,
        base: row.get("base")?,
        version: row.get("version")?,
        started_by: row.get("started_by")?,
        started_at: unsigned(row, "started_at")?,
        ended_at: row.get::<_, Option<i64>>("ended_at")?.and_then(|at| u64::try_from(at).ok()),
        stage: row.get("stage")?,
        cause: cause.map(|code| (code, text.unwrap_or_default())),
        has_records: beginning.as_deref() == Some(BEGINNING),
    })
}

fn records(
    connection: &Connection,
    service: &Name,
    id: u64,
    after: i64,
) -> rusqlite::Result<RecordPage> {
    let sql = "SELECT id, line FROM record WHERE service = ?1 AND rollout = ?2 AND id > ?3
               ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![service.as_str(), signed(id), after])?;
    let (mut page, mut bytes) = (RecordPage::default(), 0);
    while let Some(row) = rows.next()? {
        let line: String = row.get(1)?;
        bytes += line.len();
        page.lines.push(line);
        if bytes >= PAGE_BYTES_MIN {
            page.next_after = Some(row.get(0)?);
            break;
        }
    }
    Ok(page)
}
