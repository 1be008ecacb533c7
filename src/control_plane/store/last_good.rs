//! A copy of the state file that is known to be whole, for the day on which the file is not.
//!
//! Every page is read and written anew, beside the file and under another name first: a crash or a damaged
//! page leaves the copy before. A thread of its own reads beside the writer, so that no change waits.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle, params};

use super::{file, reader};

/// The copy's name in `state_dir`.
pub const COPY_NAME: &str = "state.db.last-good";
/// Changes gather for at least this long, and for so many times what the last copy took.
const EVERY_MIN: Duration = Duration::from_secs(10);
const REST_PER_WORK: u32 = 100;

/// Copies what changes. Dropping it ends a copy that is half made.
pub(super) struct LastGood {
    changes: Option<SyncSender<()>>,
    interrupt: InterruptHandle,
    thread: Option<JoinHandle<()>>,
}

impl LastGood {
    /// Copies the file at `path` from now on, or says why not.
    pub(super) fn start(path: &Path) -> Option<Self> {
        begin(path).map_err(|problem| not_copied(&problem)).ok()
    }

    /// Something has changed. A copy follows, soon.
    pub(super) fn on_change(&self) {
        // A full channel says it already.
        let _ = self.changes.as_ref().map(|changes| changes.try_send(()));
    }
}

impl std::fmt::Debug for LastGood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LastGood").finish_non_exhaustive()
    }
}

impl Drop for LastGood {
    fn drop(&mut self) {
        // Whoever has the state next copies under the same name.
        self.changes = None;
        self.interrupt.interrupt();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn begin(path: &Path) -> Result<LastGood, String> {
    let connection = reader::open(path).map_err(|error| error.to_string())?;
    let interrupt = connection.get_interrupt_handle();
    let (changes, told) = sync_channel(1);
    let path = path.to_owned();
    let copying = move || copy_changes(&connection, &path, &told);
    let thread = std::thread::Builder::new().name("cyan-copy".to_owned()).spawn(copying);
    let thread = Some(thread.map_err(|error| error.to_string())?);
    Ok(LastGood { changes: Some(changes), interrupt, thread })
}

/// Until the other end of the channel is gone.
fn copy_changes(connection: &Connection, path: &Path, told: &Receiver<()>) {
    let mut is_told = told.recv().is_ok();
    while is_told {
        let begun = Instant::now();
        if let Err(problem) = copy(connection, path) {
            not_copied(&problem);
        }
        let rested = begun + EVERY_MIN.max(begun.elapsed() * REST_PER_WORK);
        is_told = is_told_after(told, rested);
    }
}

/// Waits for that time and for a change, before or after it; false when no more will come.
fn is_told_after(told: &Receiver<()>, rested: Instant) -> bool {
    let mut is_told = false;
    loop {
        match told.recv_timeout(rested.saturating_duration_since(Instant::now())) {
            Ok(()) => is_told = true,
            Err(RecvTimeoutError::Timeout) if is_told => return true,
            Err(RecvTimeoutError::Timeout) => return told.recv().is_ok(),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn copy(connection: &Connection, path: &Path) -> Result<(), String> {
    let new = path.with_file_name("state.db.copying");
    let made = remove(&new).and_then(|()| make(connection, &new, &path.with_file_name(COPY_NAME)));
    if made.is_err() {
        // On a full disk half a copy would take the room that the state needs.
        let _ = remove(&new);
    }
    made
}

fn make(connection: &Connection, new: &Path, copy: &Path) -> Result<(), String> {
    let name = new.to_str().ok_or("its path is no text")?;
    // SQLite takes an empty file as well; one that it makes itself could be read by everybody.
    file::make(new).map_err(|error| error.to_string())?;
    let copied = connection.execute("VACUUM INTO ?1", params![name]);
    copied.map_err(|error| error.to_string())?;
    let kept = File::open(new).and_then(|file| file.sync_all());
    kept.and_then(|()| std::fs::rename(new, copy)).map_err(|error| error.to_string())
}

fn remove(file: &Path) -> Result<(), String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn not_copied(problem: &str) {
    tracing::warn!(problem, "no new copy of the state file was made; the one before stays");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::store::sqlite::{FILE_NAME, SqliteStore};

    #[test]
    fn a_copy_that_fails_leaves_the_one_before_and_nothing_half_made() {
        let dir = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(dir.path()).unwrap());
        let (path, last_good) = (dir.path().join(FILE_NAME), dir.path().join(COPY_NAME));
        // Nothing can take its place, as on a disk that fails after the copy was written.
        std::fs::create_dir(&last_good).unwrap();
        let connection = reader::open(&path).unwrap();
        copy(&connection, &path).unwrap_err();
        assert!(last_good.is_dir() && !dir.path().join("state.db.copying").exists());
        std::fs::remove_dir(&last_good).unwrap();
        copy(&connection, &path).unwrap();
        assert!(last_good.is_file());
    }
}
