//! What the disk still owes: the write under way, and what was published before it was written.
//!
//! One write at a time. What has been published already goes before what wants to be raised, so the
//! disk never ends up with an older state than the one it was given later.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::decided::Decided;
use crate::control_plane::handle::StoreState;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::store::writer::{CommitResult, Recall, Writer};
use crate::control_plane::store::{Evidence, Line, ScoreSlot, StoreError, Write};
use crate::model::name::Name;

/// Journal entries kept while the disk is away; beyond it the oldest are lost.
const ENTRIES_MAX: usize = 1000;

/// Records of judges kept while the disk is away; beyond it the oldest are lost.
const LINES_MAX: usize = 20_000;

/// Sums of scores kept while the disk is away; beyond it the oldest are lost.
const SCORES_MAX: usize = 10_000;

/// The store's thread as the controller sees it.
#[derive(Debug)]
pub(super) struct Disk {
    /// `None` while another process has the state.
    writer: Option<Writer>,
    under_way: Option<UnderWay>,
    /// Since when the disk has had it.
    since: Instant,
    unwritten: Unwritten,
    problem: Option<StoreError>,
}

/// Published, and not on the disk.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    records: BTreeMap<Name, ServiceRecord>,
    journal: VecDeque<NewEntry>,
    evidence: BTreeMap<Name, Evidence>,
    lines: VecDeque<Line>,
    scores: VecDeque<ScoreSlot>,
    /// The changes that wait for it, by number.
    changes: Vec<u64>,
}

/// The write that the disk has now.
#[derive(Debug)]
pub(super) enum UnderWay {
    /// What was published already.
    Flush(Unwritten),
    /// What shall be published when it is written.
    Raise(Box<Raise>),
}

/// A change that waits for the disk before it is published.
#[derive(Debug)]
pub(super) struct Raise {
    /// The change; `None` when its caller has been refused, because it took too long.
    pub(super) decided: Option<Decided>,
    /// The services it would change.
    pub(super) services: Vec<Name>,
    recall: Recall,
}

impl Disk {
    pub(super) fn new(writer: Writer) -> Self {
        let unwritten = Unwritten::default();
        Self {
            writer: Some(writer),
            under_way: None,
            since: Instant::now(),
            unwritten,
            problem: None,
        }
    }

    /// Whether a raise may be handed in: nothing is under way or owed.
    pub(super) fn is_free(&self) -> bool {
        self.under_way.is_none() && self.unwritten.is_empty()
    }

    /// The raise that waits for its write.
    pub(super) fn raise(&mut self) -> Option<&mut Raise> {
        match &mut self.under_way {
            Some(UnderWay::Raise(raise)) if raise.decided.is_some() => Some(raise),
            _ => None,
        }
    }

    /// Hands a raise in.
    ///
    /// # Errors
    /// When the store takes no writes; the change is given back.
    pub(super) fn begin_raise(
        &mut self,
        decided: Decided,
    ) -> Result<oneshot::Receiver<CommitResult>, (Box<Decided>, StoreError)> {
        let (records, journal) = (decided.records(), decided.entries.clone());
        let write = Write { records, journal, ..Write::default() };
        let recall = Recall::default();
        match self.commit(write, recall.clone()) {
            Ok(answer) => {
                let services = decided.change.next.iter().map(|n| n.file.name.clone()).collect();
                let raise = Raise { decided: Some(decided), services, recall };
                self.hand_in(UnderWay::Raise(Box::new(raise)));
                Ok(answer)
            }
            Err(error) => Err((Box::new(decided), error)),
        }
    }

    /// Takes note of something published that the disk must get.
    pub(super) fn owe(
        &mut self,
        records: Vec<ServiceRecord>,
        entries: Vec<NewEntry>,
        change: Option<u64>,
    ) {
        for record in records {
            self.unwritten.records.insert(record.service.clone(), record);
        }
        self.unwritten.journal.extend(entries);
        keep_newest(&mut self.unwritten.journal, ENTRIES_MAX);
        self.unwritten.changes.extend(change);
    }

    /// Something was published that the disk has already: what is still owed of it must not go over it.
    pub(super) fn renew(&mut self, records: Vec<ServiceRecord>) {
        for record in records {
            if let Some(owed) = self.unwritten.records.get_mut(&record.service) {
                *owed = record;
            }
        }
    }

    /// Takes note of what a judge knows and was told. Old records are lost while the disk is away.
    pub(super) fn owe_evidence(&mut self, evidence: Evidence, lines: Vec<Line>) {
        self.unwritten.evidence.insert(evidence.service.clone(), evidence);
        self.unwritten.lines.extend(lines);
        keep_newest(&mut self.unwritten.lines, LINES_MAX);
    }

    /// Takes note of scores.
    pub(super) fn owe_scores(&mut self, scores: Vec<ScoreSlot>) {
        self.unwritten.scores.extend(scores);
        keep_newest(&mut self.unwritten.scores, SCORES_MAX);
    }

    /// Hands in what is owed, unless the disk is at work or nothing is owed.
    pub(super) fn flush(&mut self) -> Option<oneshot::Receiver<CommitResult>> {
        if self.under_way.is_some() || self.unwritten.is_empty() {
            return None;
        }
        let flushed = std::mem::take(&mut self.unwritten);
        let write = Write {
            records: flushed.records.values().cloned().collect(),
            journal: flushed.journal.iter().cloned().collect(),
            evidence: flushed.evidence.values().cloned().collect(),
            lines: flushed.lines.iter().cloned().collect(),
            scores: flushed.scores.iter().cloned().collect(),
        };
        match self.commit(write, Recall::default()) {
            Ok(answer) => {
                self.hand_in(UnderWay::Flush(flushed));
                Some(answer)
            }
            Err(error) => {
                self.give_back(flushed);
                self.problem = Some(error);
                None
            }
        }
    }

    /// Whether the disk says nothing for this long, and nobody knows of a problem yet.
    pub(super) fn is_silent(&self, limit: Duration) -> bool {
        self.under_way.is_some() && self.problem.is_none() && self.since.elapsed() >= limit
    }

    fn hand_in(&mut self, under_way: UnderWay) {
        (self.under_way, self.since) = (Some(under_way), Instant::now());
    }

    /// The write under way has ended.
    pub(super) fn take_under_way(&mut self) -> Option<UnderWay> {
        self.under_way.take()
    }

    /// A flush has ended. Tells which changes are on the disk now.
    pub(super) fn flushed(&mut self, flushed: Unwritten, succeeded: bool) -> Vec<u64> {
        if succeeded {
            return flushed.changes;
        }
        self.give_back(flushed);
        vec![]
    }

    /// Takes note of how the last write went. Tells whether that is news.
    pub(super) fn set_problem(&mut self, problem: Option<StoreError>) -> bool {
        let news = self.problem.is_some() != problem.is_some();
        self.problem = problem;
        news
    }

    /// Why raising is refused while the disk is not free.
    pub(super) fn reason(&self, waited: Duration) -> StoreError {
        self.problem.clone().unwrap_or(StoreError::Silent(waited))
    }

    /// What status shows.
    pub(super) fn state(&self) -> StoreState {
        let mut names: Vec<&Name> = self.unwritten.records.keys().collect();
        if let Some(UnderWay::Flush(flushed)) = &self.under_way {
            names.extend(flushed.records.keys());
        }
        names.sort();
        names.dedup();
        StoreState {
            not_durable: names.into_iter().map(ToString::to_string).collect(),
            problem: self.problem.as_ref().map(ToString::to_string),
        }
    }

    /// Takes no more writes; the thread ends when the one under way has. `None` when it was closed before.
    pub(super) fn close(&mut self) -> Option<std::thread::JoinHandle<()>> {
        self.writer.take().map(Writer::close)
    }

    /// Takes writes again.
    pub(super) fn open(&mut self, writer: Writer) {
        self.writer = Some(writer);
    }

    fn commit(
        &self,
        write: Write,
        recall: Recall,
    ) -> Result<oneshot::Receiver<CommitResult>, StoreError> {
        self.writer.as_ref().ok_or(StoreError::Closed)?.commit(write, recall)
    }

    /// Puts back what could not be written, behind what was published since.
    fn give_back(&mut self, flushed: Unwritten) {
        for (name, record) in flushed.records {
            self.unwritten.records.entry(name).or_insert(record);
        }
        for (name, evidence) in flushed.evidence {
            self.unwritten.evidence.entry(name).or_insert(evidence);
        }
        put_before(&mut self.unwritten.lines, flushed.lines, LINES_MAX);
        put_before(&mut self.unwritten.scores, flushed.scores, SCORES_MAX);
        put_before(&mut self.unwritten.journal, flushed.journal, ENTRIES_MAX);
        self.unwritten.changes.extend(flushed.changes);
    }
}

impl Unwritten {
    fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.journal.is_empty()
            && self.evidence.is_empty()
            && self.scores.is_empty()
    }
}

/// Puts what is older before what came since.
fn put_before<T>(since: &mut VecDeque<T>, older: VecDeque<T>, max: usize) {
    let newer = std::mem::replace(since, older);
    since.extend(newer);
    keep_newest(since, max);
}

fn keep_newest<T>(list: &mut VecDeque<T>, max: usize) {
    list.drain(..list.len().saturating_sub(max));
}

impl Raise {
    /// Takes the write back, if the disk has not committed it yet.
    pub(super) fn recall(&self) {
        self.recall.recall();
    }

    /// Whether it was taken back.
    pub(super) fn is_recalled(&self) -> bool {
        self.recall.is_recalled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::change::reload::first_record;
    use crate::control_plane::store::sqlite::SqliteStore;
    use crate::control_plane::store::{Committed, Store as _};
    use crate::control_plane::test_rig::chat;

    fn record(generation: u64) -> ServiceRecord {
        ServiceRecord { generation, ..first_record(&chat(), &mut || 1) }
    }

    /// While a step waits for the disk, the judge's evidence may be owed with the state before the step.
    #[tokio::test]
    async fn what_was_owed_before_a_step_does_not_go_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        let written = Write { records: vec![record(2)], ..Write::default() };
        assert_eq!(store.commit(&written, &|| true), Ok(Committed::Written));
        let mut disk = Disk::new(Writer::start(store).unwrap());
        disk.renew(vec![record(2)]);
        assert!(disk.is_free(), "what is not owed need not be written again");
        disk.owe(vec![record(1)], vec![], None);
        disk.renew(vec![record(2)]);
        assert_eq!(disk.flush().unwrap().await.unwrap(), Ok(Committed::Written));
        let kept = SqliteStore::open(dir.path()).unwrap().load().unwrap();
        assert_eq!(kept[0].generation, 2);
    }
}
