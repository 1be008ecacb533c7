//! The state file as it lies on the disk, looked at before `SQLite` opens it.
//!
//! To `SQLite` an empty file is a new database, and the log of writes beside it is deleted. Here it is what
//! a power cut or a repair of the file system has left, unless nothing speaks of an earlier state.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::last_good::COPY_NAME;
use super::lock::PRIVATE_FILE;
use crate::control_plane::clock::unix_ms;

/// Sees to it that there is a file at `path`, and that opening it takes nothing from an earlier state. Without
/// a file a copy of one is kept under another name, since the copies of the new one would take its place.
///
/// # Errors
/// When the file is empty and was not always, or it cannot be made, or the copy not kept.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    let failed =
        |error: Error| StoreError::Open { path: path.to_owned(), problem: error.to_string() };
    if find(path).map_err(failed)?.is_some() {
        return refuse_emptied(path);
    }
    let copy = path.with_file_name(COPY_NAME);
    if find(&copy).map_err(failed)?.is_some() {
        let kept = path.with_file_name(format!("{COPY_NAME}-{}", unix_ms()));
        std::fs::rename(&copy, &kept).map_err(failed)?;
        tracing::warn!(
            "there is no state file, so this is a new one; the copy of an earlier one is kept as `{}`",
            kept.display()
        );
    }
    // SQLite makes its files for everybody to read, and gives those beside this one the mode of this one.
    make(path).map(drop).map_err(failed)
}

/// Makes an empty file that nobody else reads, or empties the one that is there.
pub(super) fn make(path: &Path) -> Result<File, Error> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE_FILE).open(path)
}

/// A file without a byte holds what it always held only when it is the first: beside neither a copy nor a
/// log of writes, as a crash within the first start leaves it.
///
/// # Errors
/// When the file was emptied.
pub(super) fn refuse_emptied(path: &Path) -> Result<(), StoreError> {
    let is_empty = |file: &Path| std::fs::metadata(file).is_ok_and(|found| found.len() == 0);
    let has_log = beside(path, "-wal").exists() && !is_empty(&beside(path, "-wal"));
    if is_empty(path) && (has_log || has_copy(path)) {
        return Err(emptied(path));
    }
    Ok(())
}

/// Whether there is a copy beside the file, which a first start does not have.
pub(super) fn has_copy(path: &Path) -> bool {
    path.with_file_name(COPY_NAME).exists()
}

/// The error for a file that has lost all it held.
pub(super) fn emptied(path: &Path) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), problem: "it is empty".to_owned() }
}

/// A file whose name goes on where that of `path` ends.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn find(path: &Path) -> Result<Option<Metadata>, Error> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::store::sqlite::{FILE_NAME, SqliteStore};

    /// A power cut had left a file of no bytes. It began anew with the weights of the config, and the first
    /// change overwrote the copy that would have brought the state back.
    #[test]
    fn a_file_that_was_emptied_is_damaged_and_its_copy_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join(FILE_NAME), dir.path().join(COPY_NAME));
        let is_refused = || {
            let error = SqliteStore::open(dir.path()).unwrap_err();
            assert!(error.to_string().contains("is damaged: it is empty; nothing"), "{error}");
        };
        std::fs::write(&path, "").unwrap();
        std::fs::write(&copy, "the copy").unwrap();
        is_refused();
        // Its header may be all that has come to the disk.
        std::fs::remove_file(&path).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.pragma_update(None, "user_version", 1).unwrap();
        other.close().unwrap();
        is_refused();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "the copy");
        std::fs::remove_file(&copy).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::write(dir.path().join("state.db-wal"), "the log").unwrap();
        is_refused();
        assert_eq!(std::fs::read_to_string(dir.path().join("state.db-wal")).unwrap(), "the log");
    }

    #[test]
    fn a_first_start_that_crashed_begins_again() {
        let dir = tempfile::tempdir().unwrap();
        for file in [FILE_NAME, "state.db-wal"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        SqliteStore::open(dir.path()).unwrap();
    }

    #[test]
    fn a_new_file_keeps_the_copy_of_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(COPY_NAME), "the copy").unwrap();
        SqliteStore::open(dir.path()).unwrap();
        let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        let is_copy = |file: &PathBuf| std::fs::read(file).unwrap() == b"the copy";
        let kept: Vec<_> = files.filter(is_copy).collect();
        assert!(kept.len() == 1 && kept[0] != dir.path().join(COPY_NAME), "{kept:?}");
    }
}
