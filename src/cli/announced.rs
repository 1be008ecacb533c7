//! `admin.json` in the state directory: where the Cyan that runs on it answers, in its own words.
//!
//! The config file says where the next Cyan will answer: somebody may have edited it, and a changed
//! `admin.address` waits for a restart. The file that was served stands in it, since another config may lie
//! beside the same directory. A takeover replaces it; who was taken over leaves it alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::admin_address::{AdminAddress, Origin};
use crate::config::read_file;
use crate::model::listener::ListenAddress;

const FILE_NAME: &str = "admin.json";

/// What stands in it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Words {
    /// As `--admin` takes it.
    admin: String,
    /// The config that was served, in full.
    config: PathBuf,
    /// Who wrote it, and when in milliseconds of Unix time: every container has a process 1.
    pid: u32,
    since: u64,
}

/// The file of this process. Dropped, it removes the file, unless another process has written its own.
#[derive(Debug)]
pub(super) struct Announced {
    path: PathBuf,
    words: Words,
}

impl Announced {
    /// Writes where the Cyan that serves `config` answers. Only for who holds the state.
    pub(super) fn write(
        state_dir: &Path,
        config: &Path,
        address: &ListenAddress,
    ) -> io::Result<Self> {
        let path = state_dir.join(FILE_NAME);
        let admin = AdminAddress::of_listener(address, Origin::Default).endpoint.to_string();
        let config = std::path::absolute(config)?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let words = Words { admin, config, pid: std::process::id(), since };
        if let Err(error) = replace(&path, &words) {
            // What an earlier process wrote would lead elsewhere.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { path, words })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if read_words(&self.path).is_some_and(|words| words == self.words) {
            // One that stays is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where the Cyan answers that serves `config` with this state; `None` where nobody has said so.
pub(super) fn read(state_dir: &Path, config: &Path) -> Option<AdminAddress> {
    let path = state_dir.join(FILE_NAME);
    // A state directory may be a relative path: what somebody else has put there is not believed.
    let owner = std::fs::metadata(&path).ok()?.uid();
    let words = read_words(&path).filter(|_| owner == rustix::process::geteuid().as_raw())?;
    if words.config != std::path::absolute(config).ok()? {
        return None;
    }
    AdminAddress::parse(&words.admin, Origin::Announced(path)).ok()
}

fn read_words(path: &Path) -> Option<Words> {
    serde_json::from_slice(&read_file(path).ok()?).ok()
}

/// Whoever reads finds the file before or the whole one after.
fn replace(path: &Path, words: &Words) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let mut options = OpenOptions::new();
    let mut file: File = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(serde_json::to_string(words)?.as_bytes())?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: &Path, config: &str) -> Option<String> {
        read(state, Path::new(config)).map(|address| address.endpoint.to_string())
    }

    #[test]
    fn what_is_announced_is_found_by_the_file_that_is_served() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        assert_eq!(told(state, "/etc/a.toml"), None);
        let config = Path::new("/etc/a.toml");
        for (listener, expected) in [
            ("0.0.0.0:9", "http://127.0.0.1:9"),
            ("[::]:9", "http://[::1]:9"),
            ("10.0.0.1:9", "http://10.0.0.1:9"),
        ] {
            let listener = ListenAddress::Tcp(listener.parse().unwrap());
            let announced = Announced::write(state, config, &listener).unwrap();
            assert_eq!(told(state, "/etc/a.toml").as_deref(), Some(expected));
            assert_eq!(told(state, "/etc/b.toml"), None, "another config");
            drop(announced);
            assert_eq!(told(state, "/etc/a.toml"), None);
        }
        let socket = ListenAddress::Unix("/run/cyan.sock".into());
        let _announced = Announced::write(state, config, &socket).unwrap();
        assert_eq!(told(state, "/etc/a.toml").as_deref(), Some("unix:/run/cyan.sock"));
        std::fs::write(state.join(FILE_NAME), "{").unwrap();
        assert_eq!(told(state, "/etc/a.toml"), None, "it is damaged");
    }

    #[test]
    fn who_was_taken_over_leaves_what_the_next_one_has_announced() {
        let state = tempfile::tempdir().unwrap();
        let config = Path::new("/etc/a.toml");
        let listener = ListenAddress::Tcp("127.0.0.1:9".parse().unwrap());
        let old = Announced::write(state.path(), config, &listener).unwrap();
        let written = read_words(&old.path).unwrap();
        replace(&old.path, &Words { pid: written.pid + 1, ..written }).unwrap();
        drop(old);
        assert!(told(state.path(), "/etc/a.toml").is_some());
    }
}
