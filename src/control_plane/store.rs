//! Where state survives a restart, behind a small trait: a fleet will share it through something
//! else.
//!
//! What must stay true: a change and its journal entry are written together or not at all; nothing
//! that cannot be read is ever overwritten; and nobody waits for a disk but the store's own thread.

mod file;
pub mod history;
mod journal_rows;
mod last_good;
pub mod lock;
mod reader;
pub mod recovery;
mod rollouts;
mod schema;
mod scores;
mod service_row;
pub mod sqlite;
mod thinning;
pub mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use reader::StateReader;

use super::journal::NewEntry;
use super::record::ServiceRecord;
use crate::metrics::scores::{ScoreOrigin, ScoreSum};
use crate::model::name::Name;

/// A place that keeps records and journal.
pub trait Store: Send + 'static {
    /// Every service's record.
    fn load(&mut self) -> Result<Vec<ServiceRecord>, StoreError>;

    /// What the judges of rollouts knew.
    fn load_evidence(&mut self) -> Result<Vec<Evidence>, StoreError>;

    /// The scores of the last hour, the oldest first.
    fn load_scores(&mut self) -> Result<Vec<ScoreSlot>, StoreError>;

    /// Writes all of it, durably, in one transaction. Asks `still_wanted` at the last moment before
    /// the commit, since what was to be raised may have been rolled back while the disk was slow.
    fn commit(
        &mut self,
        write: &Write,
        still_wanted: &dyn Fn() -> bool,
    ) -> Result<Committed, StoreError>;

    /// Makes room, a little at a time. Called when a write has its answer; a failure is the next write's
    /// to tell.
    fn tidy(&mut self) {}
}

/// One transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Write {
    /// Records to keep, each in place of the service's older one.
    pub records: Vec<ServiceRecord>,
    /// What is to be said about it.
    pub journal: Vec<NewEntry>,
    /// What judges know, each in place of the service's older one.
    pub evidence: Vec<Evidence>,
    /// What judges were told.
    pub lines: Vec<Line>,
    /// Scores that came in.
    pub scores: Vec<ScoreSlot>,
}

/// The scores of one kind that came in within ten seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSlot {
    /// The service.
    pub service: Name,
    /// The environment.
    pub environment: Name,
    /// The environment's version label; empty for none.
    pub version: String,
    /// What was judged.
    pub name: Name,
    /// Where the scores come from.
    pub origin: ScoreOrigin,
    /// When the ten seconds began, in seconds of Unix time.
    pub at_s: u64,
    /// The scores.
    pub sum: ScoreSum,
}

/// What the judge of a service's rollout knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The service.
    pub service: Name,
    /// The number of the rollout.
    pub rollout: u64,
    /// As JSON.
    pub snapshot: String,
}

/// One record that a judge was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The service.
    pub service: Name,
    /// The number of the rollout.
    pub rollout: u64,
    /// When it was written down, in milliseconds of Unix time.
    pub at: u64,
    /// As JSON: docs/reference/replay.md.
    pub text: String,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// On the disk.
    Written,
    /// Nothing was written, because it was no longer wanted.
    Unwanted,
}

/// Why state could not be read or written. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The directory or file cannot be used at all.
    #[error("cannot open `{}`: {problem}; make `state_dir` a directory that Cyan may write to", path.display())]
    Open {
        /// What could not be opened.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// Another process works on this state.
    #[error("`{}` is in use by {by}; stop it first, or give this one its own `state_dir`", state_dir.display())]
    InUse {
        /// The directory.
        state_dir: PathBuf,
        /// `process 4711`, or that it is unknown.
        by: String,
    },
    /// Written by a later version of Cyan.
    #[error(
        "`{}` has schema {found}, this version knows up to {known}; run the newer version again, or move the file aside to begin with the file's weights",
        path.display()
    )]
    Newer {
        /// The state file.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The latest schema this version knows.
        known: i64,
    },
    /// A database, but none of ours.
    #[error("`{}` is not Cyan's: it holds other tables; choose another `state_dir`", .0.display())]
    Foreign(PathBuf),
    /// Not readable as what it should be.
    #[error(
        "`{}` is damaged: {problem}; nothing was changed in it. Put the last good copy in its place with `cyan state recover`, or move it aside to begin with the file's weights",
        path.display()
    )]
    Damaged {
        /// The state file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Nothing has to be recovered.
    #[error("`{}` can be read, so there is nothing to recover", .0.display())]
    Whole(PathBuf),
    /// There is no copy, or it is damaged as well.
    #[error(
        "`{}` cannot be put in place: {problem}; nothing was changed. Put a backup of `state.db` there, or move `state.db` aside to begin with the file's weights",
        path.display()
    )]
    NoCopy {
        /// The copy.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A write failed.
    #[error("the state file cannot be written: {0}")]
    Write(String),
    /// Something could not be read.
    #[error("the state file cannot be read: {0}")]
    Read(String),
    /// The disk is silent.
    #[error("the disk has not answered within {0:?}")]
    Silent(Duration),
    /// Something waits for the disk already.
    #[error("an earlier write still waits for the disk")]
    Busy,
    /// The store's thread has ended.
    #[error("the store is closed")]
    Closed,
}
