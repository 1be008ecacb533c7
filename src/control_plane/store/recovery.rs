//! Puts the last good copy in place of a state file that cannot be read.
//!
//! What is damaged is moved aside and never deleted, and a file that can be read is left alone. The copy is
//! some minutes old, so a rollout in it takes no automatic step until somebody has looked at the weights.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::last_good::COPY_NAME;
use super::lock::StateLock;
use super::schema::{self, Content};
use super::sqlite::{FILE_NAME, SqliteStore};
use super::{Store as _, StoreError, Write, file, reader, service_row};
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::model::name::Name;
use crate::model::rfc3339;
use crate::model::routing_table::Weighted;
use crate::rollout::release::Freeze;

const KIND: &str = "state_recovered";
/// Where the file is made that will take the place.
const NEW_NAME: &str = "state.db.recovering";
/// A database, and what `SQLite` keeps beside it.
const ENDINGS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A copy that can take the place of the state file, and the right to put it there.
#[derive(Debug)]
pub struct Recovery {
    _lock: StateLock,
    state_dir: PathBuf,
    copied_at: String,
    services: Vec<ServiceRecord>,
}

/// A service as the copy has it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CopiedService {
    /// The service.
    pub name: Name,
    /// Who gets what.
    pub weights: Vec<Weighted>,
    /// The candidate of a rollout that was under way; it will take no automatic step.
    pub rollout: Option<Name>,
}

impl Recovery {
    /// Looks for a copy that can be put in place. Changes nothing.
    ///
    /// # Errors
    /// When a process works on the state, the state file can be read, or there is no copy that can.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let (present, copy) = (state_dir.join(FILE_NAME), state_dir.join(COPY_NAME));
        let no_copy = |problem: String| StoreError::NoCopy { path: copy.clone(), problem };
        // Looked for first: taking the lock makes the directory.
        let found = std::fs::metadata(&copy).and_then(|found| found.modified());
        let copied_at = written(found.map_err(|error| no_copy(error.to_string()))?);
        let lock = StateLock::take(state_dir)?;
        if read(&present).is_ok() {
            return Err(StoreError::Whole(present));
        }
        let services = read(&copy).map_err(|error| no_copy(error.to_string()))?;
        Ok(Self { _lock: lock, state_dir: state_dir.to_owned(), copied_at, services })
    }

    /// When the copy was made, as RFC 3339.
    pub fn copied_at(&self) -> &str {
        &self.copied_at
    }

    /// What it holds.
    pub fn services(&self) -> Vec<CopiedService> {
        let service = |record: &ServiceRecord| CopiedService {
            name: record.service.clone(),
            weights: record.assignment.weights(),
            rollout: record.release.running().map(|rollout| rollout.candidate.clone()),
        };
        self.services.iter().map(service).collect()
    }

    /// Puts it in place, in the name of `actor`. Tells where what was damaged lies now.
    ///
    /// # Errors
    /// When the disk fails. No Cyan starts on what is there then, and whoever calls again ends what was begun.
    pub fn put_in_place(self, actor: &str) -> Result<Vec<PathBuf>, StoreError> {
        // Complete before anything is moved: a full disk is met while nothing has changed.
        let new = self.state_dir.join(NEW_NAME);
        let prepared = self.prepare(&new, actor);
        if prepared.is_err() {
            let _ = forget(&new);
        }
        prepared?;
        replace(&self.state_dir, &new).map_err(|error| StoreError::Write(error.to_string()))
    }

    /// Makes the file that takes the place: the copy, in which it is written down what happened, and what would
    /// go on by itself is frozen.
    fn prepare(&self, new: &Path, actor: &str) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Write(error.to_string());
        forget(new).map_err(failed)?; // of one that was broken off
        let copied = File::open(self.state_dir.join(COPY_NAME))
            .and_then(|mut copy| std::io::copy(&mut copy, &mut file::make(new)?));
        copied.map_err(failed)?;
        let mut store = SqliteStore::open_file(new.to_owned())?;
        announce(&mut store, self.services.clone(), &self.copied_at, actor)?;
        store.into_one_file()?;
        File::open(new).and_then(|file| file.sync_all()).map_err(failed)
    }
}

/// Reads a state file to the end, without changing it.
fn read(path: &Path) -> Result<Vec<ServiceRecord>, StoreError> {
    file::refuse_emptied(path)?;
    let connection = reader::open(path).map_err(|error| schema::unreadable(path, &error))?;
    match schema::inspect(&connection, path)? {
        Content::Empty => Err(file::emptied(path)),
        Content::Ours => service_row::load(&connection, path),
    }
}

fn forget(new: &Path) -> std::io::Result<()> {
    for ending in ENDINGS {
        match std::fs::remove_file(file::beside(new, ending)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Moves what is damaged aside, and `new` to where it was.
fn replace(state_dir: &Path, new: &Path) -> std::io::Result<Vec<PathBuf>> {
    let present = state_dir.join(FILE_NAME);
    let kept = state_dir.join(format!("{FILE_NAME}.damaged-{}", unix_ms()));
    let mut aside = Vec::new();
    if std::fs::metadata(&present).is_ok_and(|damaged| damaged.len() > 0) {
        // A file system without links is left without the file for a moment; the copy outlasts a start on that.
        std::fs::hard_link(&present, &kept).or_else(|_| std::fs::rename(&present, &kept))?;
        aside.push(kept.clone());
    }
    // Without its log the damaged file could pass for an older state, and with that log the new one would be
    // damaged too. So in between there is a file on which nobody starts.
    let nothing = state_dir.join("state.db.nothing");
    file::make(&nothing)?.sync_all()?;
    std::fs::rename(&nothing, &present)?;
    sync(state_dir)?;
    for ending in &ENDINGS[1..] {
        let damaged = file::beside(&present, ending);
        if damaged.exists() {
            let kept = file::beside(&kept, ending);
            std::fs::rename(&damaged, &kept)?;
            aside.push(kept);
        }
    }
    sync(state_dir)?;
    std::fs::rename(new, &present)?;
    sync(state_dir)?;
    Ok(aside)
}

fn sync(state_dir: &Path) -> std::io::Result<()> {
    File::open(state_dir)?.sync_all()
}

/// Writes down what happened, and freezes what would go on by itself.
fn announce(
    store: &mut SqliteStore,
    mut records: Vec<ServiceRecord>,
    copied_at: &str,
    actor: &str,
) -> Result<(), StoreError> {
    let mut journal = Vec::new();
    for record in &mut records {
        let before = json!(record);
        record.generation += 1;
        KIND.clone_into(&mut record.last_change);
        if record.release.running().is_some() && record.release.frozen(unix_ms()).is_none() {
            let reason = format!("the state of {copied_at} was recovered; see whether it is right");
            record.release.freeze = Some(Freeze { by: actor.to_owned(), reason, until_ms: None });
        }
        journal.push(entry(record, before, copied_at, actor));
    }
    store.commit(&Write { records, journal, ..Write::default() }, &|| true).map(drop)
}

fn entry(record: &ServiceRecord, before: Value, copied_at: &str, actor: &str) -> NewEntry {
    NewEntry {
        at: unix_ms(),
        service: Some(record.service.clone()),
        generation: record.generation,
        actor: actor.to_owned(),
        kind: KIND.to_owned(),
        reason: None,
        text: format!("the state of {copied_at} took the place of a damaged one"),
        before,
        after: json!(record),
        details: json!({ "copied_at": copied_at }),
    }
}

fn written(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    rfc3339::format(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::control_plane::journal::Query;
    use crate::control_plane::store::StateReader;
    use crate::control_plane::store::sqlite::tests::write;

    /// A state of generation 2, its copy of generation 1, and the file damaged.
    fn damaged() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.commit(&write(1), &|| true).unwrap();
        store.load().unwrap();
        let copied = dir.path().join(COPY_NAME);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !copied.exists() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        store.commit(&write(2), &|| true).unwrap();
        drop(store);
        std::fs::write(dir.path().join(FILE_NAME), "no database").unwrap();
        dir
    }

    #[tokio::test]
    async fn the_copy_takes_the_place_of_a_damaged_file() {
        let dir = damaged();
        let recovery = Recovery::open(dir.path()).unwrap();
        let services = json!(recovery.services());
        assert_eq!(services[0]["weights"], json!([{"environment": "blue", "weight": 100.0}]));
        let aside = recovery.put_in_place("cli:ana").unwrap();
        assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), "no database");
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let records = store.load().unwrap();
        assert_eq!((records[0].generation, records[0].last_change.as_str()), (2, KIND));
        let page = StateReader::new(store.path()).page(Query::default()).await.unwrap();
        let kinds: Vec<&str> = page.entries.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, [KIND, "weights_set"]);
    }

    /// What was damaged was moved aside first, and the freeze written last: a crash in between left no state, on
    /// which the next start began anew, or a rollout that went on by itself.
    #[test]
    fn what_fails_or_is_broken_off_changes_nothing_or_is_ended_by_the_next() {
        let dir = damaged();
        let present = dir.path().join(FILE_NAME);
        let is_untouched = || std::fs::read(&present).unwrap() == b"no database";
        // What was left of one that a crash ended while it prepared.
        std::fs::write(dir.path().join("state.db.recovering-wal"), "half").unwrap();
        std::fs::create_dir(dir.path().join(NEW_NAME)).unwrap();
        let failed = Recovery::open(dir.path()).unwrap().put_in_place("cli:ana");
        assert!(failed.is_err() && is_untouched());
        std::fs::remove_dir(dir.path().join(NEW_NAME)).unwrap();
        // It stops where the log is moved, which is the last thing but one.
        std::fs::write(dir.path().join("state.db-wal"), "the log").unwrap();
        std::fs::create_dir(dir.path().join("state.db-shm")).unwrap();
        let recovery = Recovery::open(dir.path()).unwrap();
        recovery.prepare(&dir.path().join(NEW_NAME), "cli:ana").unwrap();
        assert!(is_untouched());
        replace(dir.path(), &dir.path().join("nowhere")).unwrap_err();
        drop(recovery);
        let refused = SqliteStore::open(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("is damaged: it is empty"), "{refused}");
        Recovery::open(dir.path()).unwrap().put_in_place("cli:ana").unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        assert_eq!(store.load().unwrap()[0].last_change, KIND);
        drop(store);
        let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap());
        let mut names: Vec<_> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.retain(|name| name.contains("damaged") || name.contains("recovering"));
        let endings = |name: &String| name.rsplit('-').next().unwrap().to_owned();
        assert_eq!(names.len(), 3, "{names:?}");
        for ending in ["wal", "shm"] {
            assert!(names.iter().any(|name| endings(name) == ending), "{names:?}");
        }
    }

    #[test]
    fn a_state_in_use_or_whole_or_without_a_copy_is_left_alone() {
        let dir = damaged();
        let lock = StateLock::take(dir.path()).unwrap();
        let in_use = Recovery::open(dir.path()).unwrap_err();
        assert!(matches!(in_use, StoreError::InUse { .. }), "{in_use}");
        drop(lock);
        std::fs::write(dir.path().join(COPY_NAME), "").unwrap();
        let error = Recovery::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("it is empty; nothing was changed in it"), "{error}");
        std::fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
        SqliteStore::open(dir.path()).unwrap();
        std::fs::write(dir.path().join(COPY_NAME), "").unwrap();
        let whole = Recovery::open(dir.path()).unwrap_err();
        assert!(matches!(whole, StoreError::Whole(_)), "{whole}");
        let nowhere = dir.path().join("elsewhere");
        let error = Recovery::open(&nowhere).unwrap_err();
        assert!(matches!(error, StoreError::NoCopy { .. }), "{error}");
        assert!(!nowhere.exists());
    }
}
