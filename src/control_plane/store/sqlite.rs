//! The default store: one `SQLite` file in the state directory.
//!
//! WAL, so that readers of the journal and a write do not wait for each other; `synchronous=FULL`,
//! so that a commit that returned is on the disk. A file is looked at before anything is changed in
//! it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::last_good::LastGood;
use super::schema::{self, Content, unreadable};
use super::thinning::Thinning;
use super::{
    Committed, Evidence, ScoreSlot, Store, StoreError, Write, file, history, journal_rows,
    rollouts, scores, service_row,
};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::record::ServiceRecord;

/// The state file's name in `state_dir`.
pub const FILE_NAME: &str = "state.db";

/// How long a write waits for a tool that holds the file. Below the time the controller waits for
/// us.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Old entries are looked for once in this many commits.
const PRUNE_EVERY: u32 = 256;

/// State and journal in one `SQLite` file.
#[derive(Debug)]
pub struct SqliteStore {
    /// Once the file was read to the end. Closed before the connection, which tidies up as the last one.
    last_good: Option<LastGood>,
    connection: Connection,
    path: PathBuf,
    commits: u32,
    thinning: Thinning,
    /// Whether there may be old records: nobody has looked yet, or the last look found some.
    has_old: bool,
}

impl SqliteStore {
    /// Opens the state file of `state_dir`, which must exist; makes the file if there is none.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, foreign, or of a newer version. It is not changed
    /// then.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE_NAME);
        file::prepare(&path)?;
        Self::open_file(path)
    }

    /// The same for a file of any name, which is there.
    pub(super) fn open_file(path: PathBuf) -> Result<Self, StoreError> {
        let open = |error: rusqlite::Error| unreadable(&path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(open)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
        keep_log_on_close(&connection, true).map_err(open)?;
        let content = schema::inspect(&connection, &path)?;
        if content == Content::Empty && file::has_copy(&path) {
            return Err(file::emptied(&path));
        }
        connection
            .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
            .map_err(open)?;
        connection.pragma_update(None, "synchronous", "full").map_err(open)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(open)?;
        match content {
            Content::Empty => schema::create(&mut connection).map_err(open)?,
            Content::Ours => schema::upgrade(&mut connection).map_err(open)?,
        }
        let thinning = Thinning::default();
        Ok(Self { last_good: None, connection, path, commits: 0, thinning, has_old: true })
    }

    /// Brings all of it into the one file, with nothing beside it, and closes it.
    pub(super) fn into_one_file(self) -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| StoreError::Write(problem(&error));
        let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let mode = self.connection.query_row("PRAGMA journal_mode = delete", [], mode);
        if mode.map_err(failed)? != "delete" {
            return Err(StoreError::Write("its log could not be brought into it".to_owned()));
        }
        self.connection.close().map_err(|(_, error)| failed(error))
    }

    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept of services is worth a copy.
    fn note_change(&self, records: &[ServiceRecord]) {
        if !records.is_empty() {
            self.last_good.iter().for_each(LastGood::on_change);
        }
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
            service_row::keep(&transaction, record)?;
            history::keep(&transaction, record)?;
        }
        for entry in &write.journal {
            journal_rows::append(&transaction, entry)?;
        }
        rollouts::keep(&transaction, &write.evidence, &write.lines)?;
        scores::keep(&transaction, &write.scores)?;
        if prune {
            journal_rows::forget_old(&transaction)?;
            history::forget_old(&transaction)?;
            scores::forget_old(&transaction, unix_ms() / 1000)?;
        }
        if !still_wanted() {
            transaction.rollback()?;
            return Ok(Committed::Unwanted);
        }
        transaction.commit()?;
        self.note_change(&write.records);
        Ok(Committed::Written)
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Vec<ServiceRecord>, StoreError> {
        let records = service_row::load(&self.connection, &self.path)?;
        let kept = keep_log_on_close(&self.connection, false);
        kept.map_err(|error| unreadable(&self.path, &error))?;
        self.last_good = LastGood::start(&self.path);
        self.note_change(&records);
        Ok(records)
    }

    fn load_evidence(&mut self) -> Result<Vec<Evidence>, StoreError> {
        rollouts::load_evidence(&self.connection).map_err(|error| unreadable(&self.path, &error))
    }

    fn load_scores(&mut self) -> Result<Vec<ScoreSlot>, StoreError> {
        scores::load(&self.connection, unix_ms() / 1000)
            .map_err(|error| unreadable(&self.path, &error))
    }

    fn commit(
        &mut self,
        write: &Write,
        still_wanted: &dyn Fn() -> bool,
    ) -> Result<Committed, StoreError> {
        self.write(write, still_wanted).map_err(|error| StoreError::Write(problem(&error)))
    }

    fn tidy(&mut self) {
        if self.has_old || self.commits.is_multiple_of(PRUNE_EVERY) {
            // A disk that fails here fails the next write as well, which says so.
            self.has_old = self.thinning.pass(&mut self.connection).unwrap_or(false);
        }
    }
}

/// Whether closing leaves the log of writes (`-wal`) as it is. `SQLite` moves it into the file
/// otherwise, and a file that we refuse must stay byte for byte as it was: only a file that was read
/// to the end is known to be ours.
fn keep_log_on_close(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// The file's integers are signed; generations and times stay below 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What went wrong, in words that say what to look at.
fn problem(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; make room in `state_dir`".to_owned(),
        Some(ErrorCode::SystemIoFailure) => {
            format!("{error}; see whether `state_dir` can be written, and the system's log")
        }
        Some(ErrorCode::ReadOnly) => "it is read-only; let Cyan write to `state_dir`".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it; close the tool that has it open for writing".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::control_plane::journal::{NewEntry, Query};
    use crate::control_plane::record::Override;
    use crate::control_plane::store::StateReader;
    use crate::model::assignment::Assignment;
    use crate::model::name::Name;
    use crate::model::routing_table::Weighted;
    use crate::model::service::InitialSplit;
    use crate::model::weight::Weight;

    fn record(generation: u64) -> ServiceRecord {
        let blue = Name::new("blue").unwrap();
        let initial = InitialSplit {
            active: blue.clone(),
            candidate: None,
            fallback: None,
            weights: vec![Weighted { environment: blue.clone(), weight: Weight::FULL }],
        };
        let own = Override { upstreams: Some(vec!["http://b:1".into()]), ..Override::default() };
        ServiceRecord {
            service: Name::new("chat").unwrap(),
            generation,
            // Salts above 2^63 must survive too.
            assignment: Assignment::initial(&initial, || u64::MAX - 1),
            overrides: BTreeMap::from([(blue, own)]),
            release: crate::rollout::release::Release::default(),
            last_change: "weights_set".into(),
        }
    }

    fn entry(number: u64) -> NewEntry {
        NewEntry {
            at: unix_ms(),
            service: Some(Name::new("chat").unwrap()),
            generation: number,
            actor: "cli:ana".into(),
            kind: "weights_set".into(),
            reason: Some("looks good".into()),
            text: format!("change {number}"),
            before: Value::Null,
            after: json!({ "generation": number }),
            details: json!({}),
        }
    }

    pub(in super::super) fn write(generation: u64) -> Write {
        let (records, journal) = (vec![record(generation)], vec![entry(generation)]);
        Write { records, journal, ..Write::default() }
    }

    #[tokio::test]
    async fn a_committed_change_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap(), []);
        for generation in 1..=3 {
            let committed = store.commit(&write(generation), &|| true).unwrap();
            assert_eq!(committed, Committed::Written);
        }
        drop(store);
        let mut store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap(), [record(3)]);
        let reader = StateReader::new(store.path());
        let page = reader.page(Query { limit: Some(2), ..Query::default() }).await.unwrap();
        let texts = |page: &crate::control_plane::journal::Page| -> Vec<String> {
            page.entries.iter().map(|entry| entry.text.clone()).collect()
        };
        assert_eq!(texts(&page), ["change 3", "change 2"]);
        assert_eq!(page.entries[0].after, json!({ "generation": 3 }));
        let rest = Query { before: page.next_before, ..Query::default() };
        let rest = reader.page(rest).await.unwrap();
        assert_eq!((texts(&rest), rest.next_before), (vec!["change 1".to_owned()], None));
        let other = Query { service: Name::new("other").ok(), ..Query::default() };
        assert_eq!(reader.page(other).await.unwrap().entries, []);
    }

    #[test]
    fn what_is_no_longer_wanted_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.commit(&write(1), &|| true).unwrap();
        assert_eq!(store.commit(&write(2), &|| false).unwrap(), Committed::Unwanted);
        assert_eq!(store.load().unwrap(), [record(1)]);
        let count: i64 =
            store.connection.query_row("SELECT count(*) FROM journal", [], |r| r.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn a_file_of_the_first_schema_is_brought_up_and_keeps_its_state() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.commit(&write(1), &|| true).unwrap();
        let back = "ALTER TABLE service DROP COLUMN release; DROP TABLE evidence;
                    DROP TABLE record; DROP TABLE rollout; DROP TABLE score;
                    UPDATE cyan SET schema_version = 1;";
        store.connection.execute_batch(back).unwrap();
        drop(store);
        let mut store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap(), [record(1)]);
        store.commit(&write(2), &|| true).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).unwrap();
        store.connection.execute("UPDATE cyan SET schema_version = 7", []).unwrap();
        drop(store);
        let before = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        let error = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 7, known: 3, .. }));
        let text = error.to_string();
        assert!(
            text.contains("has schema 7, this version knows up to 3; run the newer version again"),
            "{text}"
        );
        assert_eq!(std::fs::read(dir.path().join(FILE_NAME)).unwrap(), before);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "these are not the pages you are looking for").unwrap();
        let error = SqliteStore::open(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
        assert!(text.contains("nothing was changed in it. Put the last good copy"), "{text}");
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("these are not"));

        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE accounts (id INTEGER)").unwrap();
        drop(other);
        let error = SqliteStore::open(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("it holds other tables; choose another `state_dir`"), "{error}");
    }

    #[test]
    fn a_page_that_was_overwritten_is_found_at_the_start() {
        use std::os::unix::fs::FileExt as _;
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        for generation in 1..200 {
            store.commit(&write(generation), &|| true).unwrap();
        }
        store.connection.pragma_update(None, "wal_checkpoint", "truncate").unwrap();
        drop(store);
        let path = dir.path().join(FILE_NAME);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for page in 6..12 {
            file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
        }
        let error = SqliteStore::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_row_that_makes_no_sense_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.commit(&write(1), &|| true).unwrap();
        store.connection.execute("UPDATE service SET assignment = '{}'", []).unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(
            error.contains("is damaged: assignment of service `chat`: missing field"),
            "{error}"
        );
    }

    #[test]
    fn failures_to_write_say_what_to_look_at() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.connection.busy_timeout(Duration::from_millis(1)).unwrap();
        let tool = Connection::open(store.path()).unwrap();
        tool.execute_batch("BEGIN IMMEDIATE").unwrap();
        let held = store.commit(&write(1), &|| true).unwrap_err();
        tool.execute_batch("ROLLBACK").unwrap();

        store.connection.pragma_update(None, "query_only", true).unwrap();
        let read_only = store.commit(&write(1), &|| true).unwrap_err();
        store.connection.pragma_update(None, "query_only", false).unwrap();

        let pages: i64 =
            store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        store
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
        let full = (0..500).find_map(|generation| store.commit(&write(generation), &|| true).err());
        for (error, text) in [
            (Some(held), "another program holds it; close the tool that has it open for writing"),
            (Some(read_only), "it is read-only; let Cyan write to `state_dir`"),
            (full, "the disk is full; make room in `state_dir`"),
        ] {
            let expected = format!("the state file cannot be written: {text}");
            assert_eq!(error.unwrap().to_string(), expected);
        }
    }

    #[test]
    fn old_entries_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let old = NewEntry { at: 1, ..entry(1) };
        let journal = vec![old, entry(2)];
        store.commit(&Write { journal, ..Write::default() }, &|| true).unwrap();
        let left: Vec<String> = store
            .connection
            .prepare("SELECT text FROM journal")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(left, ["change 2"]);
    }
}
