//! Tells that the config file has changed, or a certificate or secret that it names, however it is changed.
//!
//! Editors replace files, Kubernetes swaps a symbolic link two steps away: so the directories are
//! watched, not the file, along all links that lead to it. Events only say when to look; whether there
//! is news is decided by the content. The last change is never missed: what was loaded is compared at
//! the start, a report follows the look it stands for, an unread report covers all changes until it is
//! read, and without any event the file is looked at every ten seconds (network file systems send none).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self as std_mpsc, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_64;

use super::surroundings::read_file;

/// Time from an event to the look: writers do several steps, and a burst is one change.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Time without an event after which the file is looked at all the same.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Links followed on the way to a file; Linux itself gives up after 40.
const LINKS_MAX: usize = 40;

/// What a file held; `None` inside for one that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(Option<u64>);

impl Fingerprint {
    /// Of the file as it is now. Take it before the file is loaded: then no change falls in between.
    pub fn of(path: &Path) -> Self {
        Self(read_file(path).ok().map(|content| xxh3_64(&content)))
    }
}

/// The files that a config names and that are watched beside it, as of its last reading. Clones are the
/// same list.
#[derive(Debug, Clone, Default)]
pub struct NamedFiles(Arc<Mutex<BTreeSet<PathBuf>>>);

impl NamedFiles {
    /// From now on these.
    pub fn set(&self, files: &BTreeSet<PathBuf>) {
        self.lock().clone_from(files);
    }

    /// These, too: a config that is not in force yet may wait for them.
    pub fn add(&self, files: &BTreeSet<PathBuf>) {
        self.lock().extend(files.iter().cloned());
    }

    /// Those that can be read again: a pipe tells once what it has to tell.
    fn list(&self) -> Vec<PathBuf> {
        let files = self.lock().clone();
        let is_pipe = |path: &PathBuf| path.metadata().is_ok_and(|about| !about.is_file());
        files.into_iter().filter(|path| !is_pipe(path)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // A list is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports each change of the file at `path` since `loaded`, and of `named` ones, until the receiver is
/// dropped. Read the file after a report, not before. A file that is named anew is news once: whether it
/// has changed since it was read, nobody knows.
///
/// # Errors
/// When the system cannot watch the directory; the file can still be reloaded by a signal.
pub fn watch(
    path: &Path,
    loaded: Fingerprint,
    named: &NamedFiles,
) -> notify::Result<mpsc::Receiver<()>> {
    // One event waiting is as good as many: it makes the thread look once more.
    let (event, events) = std_mpsc::sync_channel(1);
    // One report waiting is as good as many, too.
    let (report, reports) = mpsc::channel(1);
    let mut directories = Directories::new(event.clone())?;
    directories.follow_links(&[path.to_owned()]);
    if directories.watched.is_empty() {
        return Err(notify::Error::path_not_found().add_path(path.to_owned()));
    }
    let _first_look = event.try_send(());
    let watched = Watched { path: path.to_owned(), named: named.clone(), directories };
    // A thread, since looking at a file may block for as long as a network file system likes.
    thread::Builder::new()
        .name("config-watch".to_owned())
        .spawn(move || watched.look_at_events(loaded, &events, &report))
        .map_err(notify::Error::io)?;
    Ok(reports)
}

/// What is watched.
struct Watched {
    path: PathBuf,
    named: NamedFiles,
    directories: Directories,
}

impl Watched {
    fn look_at_events(
        mut self,
        loaded: Fingerprint,
        events: &Receiver<()>,
        report: &mpsc::Sender<()>,
    ) {
        let mut seen = vec![(self.path.clone(), loaded)];
        loop {
            match events.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => thread::sleep(DEBOUNCE),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if report.is_closed() {
                return;
            }
            // Taken off before the look: an event during it makes for another one.
            let _covered_by_this_look = events.try_recv();
            let mut paths = vec![self.path.clone()];
            paths.extend(self.named.list());
            self.directories.follow_links(&paths);
            let now: Vec<_> = paths
                .into_iter()
                .map(|path| {
                    let fingerprint = Fingerprint::of(&path);
                    (path, fingerprint)
                })
                .collect();
            if now != seen {
                seen = now;
                let _already_waiting = report.try_send(());
            }
        }
    }
}

/// The directories that have a part in what the watched paths mean.
struct Directories {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
}

impl Directories {
    fn new(event: SyncSender<()>) -> notify::Result<Self> {
        let watcher =
            notify::recommended_watcher(move |happened: notify::Result<notify::Event>| {
                // Reading the file is an event, too; errors (a full queue) may hide a change.
                if !happened.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                    let _already_waiting = event.try_send(());
                }
            })?;
        Ok(Self { watcher, watched: BTreeSet::new() })
    }

    /// Watches where the links lead now, and no longer where they led before.
    fn follow_links(&mut self, paths: &[PathBuf]) {
        let wanted: BTreeSet<_> = paths.iter().flat_map(|path| directories_of(path)).collect();
        for gone in self.watched.difference(&wanted) {
            let _may_be_deleted = self.watcher.unwatch(gone);
        }
        // One that cannot be watched is tried again with the next look.
        let watcher = &mut self.watcher;
        let mut is_watched = |directory: &PathBuf| {
            self.watched.contains(directory)
                || watcher.watch(directory, RecursiveMode::NonRecursive).is_ok()
        };
        self.watched = wanted.into_iter().filter(|directory| is_watched(directory)).collect();
    }
}

/// The directory of `path` and of every link on the way to its file.
fn directories_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        // The same name may mean another directory tomorrow, so the real one is watched.
        directories.extend(parent.canonicalize());
        // Kubernetes swaps a link that is the parent itself: its own directory counts, too.
        if parent.is_symlink() {
            directories.extend(parent.parent().and_then(|above| above.canonicalize().ok()));
        }
        match path.read_link() {
            Ok(target) => path = parent.join(target),
            Err(_) => break,
        }
    }
    directories
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Far more than a look takes; only a failing test waits for it.
    const DEADLINE: Duration = Duration::from_secs(9);

    /// Reads after each report until the file holds `expected`.
    async fn comes_to_hold(reports: &mut mpsc::Receiver<()>, path: &Path, expected: &str) {
        let read = async {
            while fs::read_to_string(path).ok().as_deref() != Some(expected) {
                reports.recv().await.expect("the watch lives as long as its receiver");
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("a report of the last change");
    }

    async fn is_reported(reports: &mut mpsc::Receiver<()>) {
        tokio::time::timeout(DEADLINE, reports.recv()).await.expect("a report").unwrap();
    }

    #[tokio::test]
    async fn writing_and_replacing_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cyan.toml");
        fs::write(&path, "1").unwrap();
        let mut reports = watch(&path, Fingerprint::of(&path), &NamedFiles::default()).unwrap();
        fs::write(&path, "2").unwrap();
        is_reported(&mut reports).await;
        let other = directory.path().join("cyan.toml.new");
        fs::write(&other, "3").unwrap();
        fs::rename(&other, &path).unwrap();
        is_reported(&mut reports).await;
        fs::remove_file(&path).unwrap();
        is_reported(&mut reports).await;
    }

    #[tokio::test]
    async fn a_swapped_link_is_reported_each_time() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        let publish = |version: &str| {
            fs::create_dir(mount.join(version)).unwrap();
            fs::write(mount.join(version).join("cyan.toml"), version).unwrap();
            symlink(version, mount.join("..data_tmp")).unwrap();
            fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        };
        publish("..1");
        let path = mount.join("cyan.toml");
        symlink("..data/cyan.toml", &path).unwrap();
        let mut reports = watch(&path, Fingerprint::of(&path), &NamedFiles::default()).unwrap();
        for (before, version) in [("..1", "..2"), ("..2", "..3")] {
            publish(version);
            fs::remove_dir_all(mount.join(before)).unwrap();
            is_reported(&mut reports).await;
            assert_eq!(fs::read_to_string(&path).unwrap(), version);
        }
    }

    #[tokio::test]
    async fn a_file_behind_links_is_watched_where_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (links, releases) = (directory.path().join("etc"), directory.path().join("releases"));
        fs::create_dir(&links).unwrap();
        fs::create_dir_all(releases.join("1")).unwrap();
        fs::write(releases.join("1/cyan.toml"), "1").unwrap();
        symlink("1", releases.join("current")).unwrap();
        let path = links.join("cyan.toml");
        symlink("../releases/current/cyan.toml", &path).unwrap();
        let mut reports = watch(&path, Fingerprint::of(&path), &NamedFiles::default()).unwrap();
        fs::write(releases.join("1/cyan.toml"), "2").unwrap();
        is_reported(&mut reports).await;
        fs::create_dir(releases.join("2")).unwrap();
        fs::write(releases.join("2/cyan.toml"), "3").unwrap();
        symlink("2", releases.join("next")).unwrap();
        fs::rename(releases.join("next"), releases.join("current")).unwrap();
        is_reported(&mut reports).await;
    }

    #[tokio::test]
    async fn a_change_between_loading_and_watching_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cyan.toml");
        fs::write(&path, "1").unwrap();
        let loaded = Fingerprint::of(&path);
        fs::write(&path, "2").unwrap();
        is_reported(&mut watch(&path, loaded, &NamedFiles::default()).unwrap()).await;
    }

    #[tokio::test]
    async fn the_last_of_many_changes_is_never_missed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cyan.toml");
        fs::write(&path, "start").unwrap();
        let mut reports = watch(&path, Fingerprint::of(&path), &NamedFiles::default()).unwrap();
        for round in 0..3 {
            for write in 0..200 {
                fs::write(&path, format!("{round}.{write}")).unwrap();
            }
            comes_to_hold(&mut reports, &path, &format!("{round}.199")).await;
        }
    }

    #[tokio::test]
    async fn a_named_file_is_watched_too_wherever_it_is() {
        let (config, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = config.path().join("cyan.toml");
        let certificate = secrets.path().join("tls.crt");
        fs::write(&path, "1").unwrap();
        fs::write(&certificate, "1").unwrap();
        let named = NamedFiles::default();
        named.set(&BTreeSet::from([certificate.clone()]));
        let mut reports = watch(&path, Fingerprint::of(&path), &named).unwrap();
        is_reported(&mut reports).await; // it is named anew
        fs::write(&certificate, "2").unwrap();
        is_reported(&mut reports).await;
    }

    #[tokio::test]
    async fn a_file_that_is_missing_is_waited_for_and_a_pipe_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let [path, secret, pipe] =
            ["cyan.toml", "secret", "pipe"].map(|n| directory.path().join(n));
        fs::write(&path, "1").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let named = NamedFiles::default();
        let loaded = Fingerprint::of(&path);
        let mut reports = watch(&path, loaded, &named).unwrap();
        named.add(&BTreeSet::from([secret.clone(), pipe]));
        fs::write(directory.path().join("other"), "").unwrap();
        is_reported(&mut reports).await; // they are named anew
        fs::write(&secret, "1").unwrap();
        is_reported(&mut reports).await;
    }

    #[test]
    fn a_directory_that_is_not_there_cannot_be_watched() {
        let path = Path::new("/nowhere/cyan.toml");
        assert!(watch(path, Fingerprint::of(path), &NamedFiles::default()).is_err());
    }
}
