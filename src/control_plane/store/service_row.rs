//! A service's record as a row: numbers and JSON, so that any tool can read it at night.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};
use serde::de::DeserializeOwned;

use super::StoreError;
use super::schema::unreadable;
use super::sqlite::signed;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::record::ServiceRecord;
use crate::model::name::Name;

/// Every service's record; the file at `path` is named where one makes no sense.
pub(super) fn load(connection: &Connection, path: &Path) -> Result<Vec<ServiceRecord>, StoreError> {
    let failed = |error: rusqlite::Error| unreadable(path, &error);
    let mut statement = connection
        .prepare(
            "SELECT name, generation, assignment, overrides, last_change, release FROM service",
        )
        .map_err(failed)?;
    let rows = statement.query_map([], |row| {
        Ok(RecordRow {
            name: row.get(0)?,
            generation: row.get(1)?,
            assignment: row.get(2)?,
            overrides: row.get(3)?,
            last_change: row.get(4)?,
            release: row.get(5)?,
        })
    });
    let rows: Vec<RecordRow> = rows.and_then(Iterator::collect).map_err(failed)?;
    let into_record = |row: RecordRow| row.into_record(path);
    rows.into_iter().map(into_record).collect()
}

/// Writes a record in place of the service's older one.
pub(super) fn keep(transaction: &Transaction<'_>, record: &ServiceRecord) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO service
                 (name, generation, assignment, overrides, last_change, release, written_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (name) DO UPDATE SET generation = excluded.generation,
                 assignment = excluded.assignment, overrides = excluded.overrides,
                 last_change = excluded.last_change, release = excluded.release,
                 written_at = excluded.written_at",
        )?
        .execute(params![
            record.service.as_str(),
            signed(record.generation),
            to_json(&record.assignment),
            to_json(&record.overrides),
            record.last_change,
            to_json(&record.release),
            signed(unix_ms()),
        ])
        .map(|_| ())
}

/// A row of `service` as the file has it.
struct RecordRow {
    name: String,
    generation: i64,
    assignment: String,
    overrides: String,
    last_change: String,
    release: String,
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
            release: json(&self.release).map_err(|e| damaged("release", e))?,
        })
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names, weights and salts are plain JSON")
}
