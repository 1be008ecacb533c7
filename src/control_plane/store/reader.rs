//! Reads the state file beside the writer: on a connection of its own, so that a page of history never
//! waits for a commit and never delays one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::StoreError;
use crate::control_plane::journal::{Entry, PAGE_ENTRIES_MAX, Page, Query};

/// Readers at once; more callers wait their turn.
const READERS_MAX: usize = 2;
/// How long a reader waits for a tool that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads what is kept. Clones share the bound on readers.
#[derive(Debug, Clone)]
pub struct StateReader {
    path: PathBuf,
    readers: Arc<Semaphore>,
}

impl StateReader {
    /// Reads from the state file at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), readers: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Some entries of the journal, newest first. Cancel safe.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn page(&self, query: Query) -> Result<Page, StoreError> {
        self.read(move |connection| read_page(connection, &query)).await
    }

    /// Reads on a thread of the blocking pool, because `SQLite` waits for the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Closed;
        let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(closed)?;
        let path = self.path.clone();
        // The permit goes along, so that a caller who gives up does not make room for more readers
        // than there may be.
        let reading = tokio::task::spawn_blocking(move || {
            let read = open(&path).and_then(|connection| read(&connection));
            drop(permit);
            read
        });
        let read = reading.await.map_err(|error| StoreError::Read(error.to_string()))?;
        read.map_err(|error| StoreError::Read(error.to_string()))
    }
}

/// Opens the state file for reading only.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The part that both statements share.
macro_rules! select {
    () => {
        "SELECT id, at, service, generation, actor, kind, reason, text, before, after, details
         FROM journal WHERE id < ?1"
    };
}

fn read_page(connection: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let limit = query.limit.unwrap_or(PAGE_ENTRIES_MAX).clamp(1, PAGE_ENTRIES_MAX);
    // One more than asked for tells whether there is another page.
    let rows = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let before = query.before.unwrap_or(i64::MAX);
    let mut values = vec![SqlValue::Integer(before), SqlValue::Integer(rows)];
    values.extend(query.service.as_ref().map(|service| SqlValue::Text(service.to_string())));
    let mut statement = connection.prepare(match query.service {
        None => concat!(select!(), " ORDER BY id DESC LIMIT ?2"),
        // A literal of its own, so that the index on the service is used.
        Some(_) => concat!(select!(), " AND service = ?3 ORDER BY id DESC LIMIT ?2"),
    })?;
    let entries = statement.query_map(rusqlite::params_from_iter(values), entry)?;
    let mut entries = entries.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_before = if more { entries.last().map(|entry| entry.id) } else { None };
    Ok(Page { entries, next_before })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get("id")?,
        at: unsigned(row, "at")?,
        service: row.get("service")?,
        generation: unsigned(row, "generation")?,
        actor: row.get("actor")?,
        kind: row.get("kind")?,
        reason: row.get("reason")?,
        text: row.get("text")?,
        before: json(row, "before")?,
        after: json(row, "after")?,
        details: json(row, "details")?,
    })
}

/// Numbers are written from `u64`s below 2^63, so none is negative.
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

/// A text that is no JSON any more is shown as the text it is.
fn json(row: &Row<'_>, column: &str) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
