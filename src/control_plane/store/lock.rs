//! One process per state directory.
//!
//! The kernel's lock decides, not the file's existence: it goes with its process, however that
//! ends. The number inside is for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::StoreError;

/// Between two looks at whether the lock was given back.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
        std::fs::create_dir_all(state_dir).map_err(failed)?;
        // Not truncated: until the lock is ours, the number in it belongs to somebody else.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
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
    use super::*;

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
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateLock::take(&file.join("state")).unwrap_err().to_string();
        assert!(error.ends_with("make `state_dir` a directory that Cyan may write to"), "{error}");
    }
}
