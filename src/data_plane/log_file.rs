//! The file behind the access log: appended to in whole lines, rotated by others, on a disk that may be
//! full.
//!
//! What must stay true:
//! - a line stands in the file whole or not at all: one that was torn by a full disk is finished first
//!   when there is room again;
//! - trouble loses lines and says so once; serving never notices, and writing goes on by itself;
//! - whoever moves or removes the file (logrotate) gets a new one at the same path within a second, and
//!   never loses a line by it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at whether the file is still where it was.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A file of lines.
#[derive(Debug)]
pub struct LogFile {
    /// `None` for standard output, which nobody moves.
    path: Option<PathBuf>,
    lines: Lines<File>,
    looked: Instant,
    trouble: Trouble,
}

impl LogFile {
    /// Opens the file for appending, or standard output for `-`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (path, file) = if path == Path::new("-") {
            // A copy of the descriptor, because what `Stdout` holds back would be lost unseen.
            (None, File::from(io::stdout().as_fd().try_clone_to_owned()?))
        } else {
            (Some(path.to_owned()), append(path)?)
        };
        let lines = Lines { output: file, torn: Vec::new() };
        Ok(Self { path, lines, looked: Instant::now(), trouble: Trouble::default() })
    }

    /// Appends whole lines; returns how many were lost.
    pub fn write(&mut self, lines: &[u8]) -> u64 {
        match self.lines.write(lines) {
            Ok(()) => {
                self.trouble.is_over();
                0
            }
            Err(Lost { lines, error }) => {
                self.trouble.lost(lines, &error);
                lines
            }
        }
    }

    /// Opens the file anew if it was moved or removed; looks at most once a second.
    pub fn follow(&mut self, now: Instant) {
        if now.saturating_duration_since(self.looked) < LOOK_INTERVAL {
            return;
        }
        self.looked = now;
        if !self.is_in_place() {
            self.reopen();
        }
    }

    /// Opens the file anew. While that fails, lines go on into the one that is open.
    pub fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append(path) {
            // The rest of a torn line belongs to the file that is left, and goes with it.
            Ok(file) => self.lines = Lines { output: file, torn: Vec::new() },
            Err(error) => self.trouble.cannot_open(path, &error),
        }
    }

    fn is_in_place(&self) -> bool {
        let Some(path) = &self.path else { return true };
        let place = |metadata: Metadata| (metadata.dev(), metadata.ino());
        match (std::fs::metadata(path), self.lines.output.metadata()) {
            (Ok(there), Ok(ours)) => place(there) == place(ours),
            _ => false,
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Says once what is wrong, and once that it is over.
#[derive(Debug, Default)]
struct Trouble {
    lines: u64,
    is_told: bool,
    is_open_told: bool,
}

impl Trouble {
    fn lost(&mut self, lines: u64, error: &io::Error) {
        self.lines += lines;
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "cannot write the access log; lines are lost until it can be written");
        }
    }

    fn cannot_open(&mut self, path: &Path, error: &io::Error) {
        if !std::mem::replace(&mut self.is_open_told, true) {
            let path = path.display();
            tracing::warn!(%error, "cannot open the access log `{path}` anew; lines go on into the file it was");
        }
    }

    fn is_over(&mut self) {
        if std::mem::take(&mut self.is_told) {
            let lost = std::mem::take(&mut self.lines);
            tracing::info!(lost, "the access log is written again");
        }
        self.is_open_told = false;
    }
}

/// Lines on their way into an output that may take a part of them.
#[derive(Debug)]
struct Lines<W> {
    output: W,
    /// The rest of a line whose beginning was written.
    torn: Vec<u8>,
}

/// Lines that could not be written.
#[derive(Debug)]
struct Lost {
    lines: u64,
    error: io::Error,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let torn = std::mem::take(&mut self.torn);
        if let Err((written, error)) = write_all(&mut self.output, &torn) {
            self.torn = torn[written..].to_vec();
            return Err(Lost { lines: count(lines), error });
        }
        write_all(&mut self.output, lines).map_err(|(written, error)| {
            let (done, rest) = lines.split_at(written);
            let is_torn = done.last().is_some_and(|last| *last != b'\n');
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let end = if is_torn { end } else { 0 };
            self.torn = rest[..end].to_vec();
            Lost { lines: count(&rest[end..]), error }
        })
    }
}

/// As `Write::write_all`, but an error tells how much was written before it.
fn write_all(output: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_loses_whole_lines_and_no_part_of_one() {
        let batch = b"one\ntwo\nthree\n";
        for room in 0..=batch.len() {
            let disk = Disk { room, ..Disk::default() };
            let mut lines = Lines { output: disk, torn: Vec::new() };
            let lost = lines.write(batch).map_or_else(|lost| lost.lines, |()| 0);
            lines.output.room = if room % 2 == 0 { 1 } else { 100 }; // room for a part of the torn line
            let lost = lost + lines.write(b"four\n").map_or_else(|lost| lost.lines, |()| 0);
            lines.output.room = 100;
            lines.write(b"five\n").unwrap();
            let text = String::from_utf8(lines.output.bytes).unwrap();
            let whole = ["one", "two", "three", "four", "five"];
            assert!(text.lines().all(|line| whole.contains(&line)), "{room}: {text:?}");
            assert_eq!(text.lines().count() as u64 + lost, 5, "{room}: {text:?}");
            assert!(text.ends_with("five\n"), "{room}: {text:?}");
        }
    }

    #[test]
    fn a_file_that_was_moved_or_removed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let moved = folder.path().join("access.log.1");
        let mut log = LogFile::open(&path).unwrap();
        let later = |log: &LogFile| log.looked + LOOK_INTERVAL;
        assert_eq!(log.write(b"one\n"), 0);
        std::fs::rename(&path, &moved).unwrap();
        log.follow(log.looked + LOOK_INTERVAL / 2); // too soon to look
        assert_eq!(log.write(b"two\n"), 0);
        log.follow(later(&log));
        assert_eq!(log.write(b"three\n"), 0);
        std::fs::remove_file(&path).unwrap();
        log.follow(later(&log));
        assert_eq!(log.write(b"four\n"), 0);
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "four\n");
    }

    #[test]
    fn a_file_that_cannot_be_made_anew_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, path) = (folder.path().join("logs"), folder.path().join("logs/access.log"));
        std::fs::create_dir(&inner).unwrap();
        let mut log = LogFile::open(&path).unwrap();
        std::fs::rename(&inner, folder.path().join("old")).unwrap();
        log.reopen();
        assert_eq!(log.write(b"one\n"), 0);
        let old = std::fs::read_to_string(folder.path().join("old/access.log")).unwrap();
        assert_eq!(old, "one\n");
        std::fs::create_dir(&inner).unwrap();
        log.follow(log.looked + LOOK_INTERVAL);
        assert_eq!(log.write(b"two\n"), 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }
}
