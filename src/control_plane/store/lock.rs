//! One process per state directory.
//!
//! The kernel's lock decides, not the file's existence: it goes with its process, however that
//! ends. The number inside is for people.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::StoreError;

/// Between two looks at whether the lock was given back.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The journal names people, and says why they did what: nobody else's to read.
pub(super) const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// The exclusive right to a state directory, until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    _held: File,
}

impl StateLock {
    /// Takes the lock of `state_dir`, also from a process that gives it back within `patience`. Blocks the
    /// thread.
    ///
    /// # Errors
    /// As `take`, at the end of the patience.
    pub fn take_within(state_dir: &Path, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::take(state_dir) {
                Err(StoreError::InUse { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(LOOK_EVERY);
                }
                taken => return taken,
            }
        }
    }

    /// Takes the lock of `state_dir`, which is made if it does not exist.
    ///
    /// # Errors
    /// When another process holds it, or the directory cannot be written to.
    pub fn take(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join("lock");
        let failed = |error: std::io::Error| StoreError::Open {
            path: path.clone(),
            problem: error.to_string(),
        };
        make_private(state_dir).map_err(failed)?;
        // Not truncated: until the lock is ours, the number in it belongs to somebody else.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            // Whoever can open it can hold it, and keep Cyan from starting.
            .mode(PRIVATE_FILE)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    state_dir: state_dir.to_owned(),
                    by: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // A full disk keeps the number out, not the lock: it is only for people.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Self { _held: file })
    }
}

/// Makes the directory where it is missing. Only ours is private: one above it may be shared.
fn make_private(state_dir: &Path) -> std::io::Result<()> {
    if state_dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = state_dir.parent() {
        std::fs::create_dir_all(above)?;
    }
    DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(state_dir)
}

/// Who holds the lock, as far as the file tells.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(pid)) => format!("process {pid}"),
        _ => "another process, which has not said its number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::control_plane::store::sqlite::SqliteStore;

    #[test]
    fn a_second_one_is_refused_by_the_first_ones_number() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        let error = StateLock::take(dir.path()).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains(&format!("is in use by process {pid}; stop it first")), "{error}");
        drop(first);
        StateLock::take(dir.path()).unwrap();
    }

    #[test]
    fn whoever_has_patience_gets_what_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        let refused = StateLock::take_within(dir.path(), LOOK_EVERY * 2).unwrap_err();
        assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
        std::thread::scope(|scope| {
            let second =
                scope.spawn(|| StateLock::take_within(dir.path(), Duration::from_secs(10)).is_ok());
            drop(first);
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn nobody_else_reads_what_is_made_and_what_is_there_keeps_its_mode() {
        let mode = |path: &Path| {
            let found = std::fs::metadata(path).unwrap();
            found.permissions().mode() & 0o777
        };
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("above/state");
        let (lock, file) = (state_dir.join("lock"), state_dir.join("state.db"));
        drop(StateLock::take(&state_dir).unwrap());
        let store = SqliteStore::open(&state_dir).unwrap();
        let log = state_dir.join("state.db-wal");
        assert_eq!(
            [&state_dir, &lock, &file, &log].map(|path| mode(path)),
            [0o700, 0o600, 0o600, 0o600]
        );
        drop(store);
        for path in [&state_dir, &lock, &file] {
            std::fs::set_permissions(path, Permissions::from_mode(0o750)).unwrap();
        }
        drop(StateLock::take(&state_dir).unwrap());
        drop(SqliteStore::open(&state_dir).unwrap());
        assert_eq!([&state_dir, &lock, &file].map(|path| mode(path)), [0o750; 3]);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateLock::take(&file.join("state")).unwrap_err().to_string();
        assert!(error.ends_with("make `state_dir` a directory that Cyan may write to"), "{error}");
    }
}
