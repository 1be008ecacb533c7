//! The state changes hands: another process takes over, and works on the state that this one has left.
//!
//! Nothing is judged and nothing is written while the state is away, until it is known who goes on. If
//! the other one goes, this process takes its state back and goes on where it stood: what it has in
//! memory is the truth, and goes over whatever was written meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use super::{Controller, DISK_MAX, Outcome, RETRY_EVERY};
use crate::control_plane::change::rollout::CONTROLLER;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::store::lock::StateLock;
use crate::control_plane::store::sqlite::SqliteStore;
use crate::control_plane::store::writer::Writer;
use crate::control_plane::store::{Store as _, StoreError};

/// A process that was killed gives its lock back a moment after its connections.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// For the state to come back before it is left to the next one: the patience, and the disk.
const BACK_MAX: Duration = Duration::from_secs(2);

/// The state is on the disk, and nobody has it. Dropped, it goes back to the controller that has left it.
#[derive(Debug)]
pub struct StateAway {
    taken: oneshot::Sender<()>,
}

/// The state, taken back.
pub(super) type TakenBack = Result<(StateLock, Writer), StoreError>;

impl StateAway {
    /// Another process has it for good; the controller ends.
    pub fn is_taken(self) {
        // An error says that the controller has ended by itself.
        let _ = self.taken.send(());
    }
}

impl Controller {
    /// Leaves the state to whoever asks, and waits until that one has taken it or is gone. Tells whether
    /// it was taken. A state that is still away after the last one who asked is waited for, or refused.
    pub(super) async fn hand_over(
        &mut self,
        reply: oneshot::Sender<Result<StateAway, StoreError>>,
    ) -> bool {
        self.await_state().await;
        if self.lock.is_none() {
            let _ = reply.send(Err(self.disk.reason(BACK_MAX)));
            return false;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let written = self.write_everything().await;
        self.waiting.extend(waiting);
        if !written {
            // An error says that nobody wants it any more.
            let _ = reply.send(Err(self.disk.reason(DISK_MAX)));
            return false;
        }
        self.let_go_of_state().await;
        let (taken, is_taken) = oneshot::channel();
        // Who asked may be gone; `taken` is dropped with the answer then.
        let _ = reply.send(Ok(StateAway { taken }));
        let was_taken = is_taken.await.is_ok();
        if !was_taken {
            self.take_state_back();
        }
        was_taken
    }

    /// Waits while the state is being taken back.
    async fn await_state(&mut self) {
        let back = async {
            while self.is_retaking {
                match self.work.join_next().await {
                    Some(Ok(outcome)) => self.conclude(outcome),
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        };
        let _ = tokio::time::timeout(BACK_MAX, back).await;
    }

    /// Writes what is unwritten and answers what is published, in two seconds at most. Tells whether the
    /// disk has everything.
    pub(super) async fn write_everything(&mut self) -> bool {
        self.retry_at = None;
        let watched = self.services.list.iter().map(|live| live.file.name.clone());
        for service in watched.collect::<Vec<_>>() {
            self.owe_evidence(&service, Instant::now());
        }
        self.owe_scores();
        self.flush();
        let settle = async {
            while !self.disk.is_free() || !self.settlings.is_empty() {
                match self.work.join_next().await {
                    Some(Ok(outcome)) => self.conclude(outcome),
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        };
        let in_time = tokio::time::timeout(DISK_MAX, settle).await.is_ok();
        in_time && self.disk.is_free()
    }

    /// Ends the store's thread and gives the state directory back.
    pub(super) async fn let_go_of_state(&mut self) {
        if let Some(thread) = self.disk.close() {
            let joined = tokio::task::spawn_blocking(move || thread.join());
            // A hung disk keeps its thread; the process may end all the same.
            let _ = tokio::time::timeout(DISK_MAX, joined).await;
        }
        self.lock = None;
    }

    /// Goes on; the state comes back beside the loop.
    fn take_state_back(&mut self) {
        self.retake_at = None;
        self.is_retaking = true;
        let state_dir = self.started_with.state_dir.clone();
        self.work.spawn_blocking(move || Outcome::TakenBack(Box::new(take_back(&state_dir))));
    }

    /// The state could not be taken back a while ago: once more.
    pub(super) fn look_for_state(&mut self) {
        if !self.is_retaking && self.retake_at.is_some_and(|at| Instant::now() >= at) {
            self.take_state_back();
        }
    }

    /// The state is back, or somebody else has it still.
    pub(super) fn taken_back(&mut self, back: TakenBack) {
        self.is_retaking = false;
        match back {
            Ok((lock, writer)) => {
                self.lock = Some(lock);
                self.disk.open(writer);
                let records: Vec<ServiceRecord> =
                    self.services.list.iter().map(|live| live.record.clone()).collect();
                self.disk.owe(records, vec![not_taken_over()], None);
                self.note_disk(None);
                self.retry_at = None;
                self.flush();
            }
            Err(error) => {
                self.note_disk(Some(error));
                self.retake_at = Some(Instant::now() + RETRY_EVERY);
            }
        }
    }
}

fn take_back(state_dir: &Path) -> TakenBack {
    let lock = StateLock::take_within(state_dir, LOCK_PATIENCE)?;
    let mut store = SqliteStore::open(state_dir)?;
    store.load()?; // whoever reads it to the end knows that it is whole
    let writer = Writer::start(store).map_err(|error| StoreError::Read(error.to_string()))?;
    Ok((lock, writer))
}

fn not_taken_over() -> NewEntry {
    NewEntry {
        at: unix_ms(),
        service: None,
        generation: 0,
        actor: CONTROLLER.to_owned(),
        kind: "takeover_failed".to_owned(),
        reason: None,
        text: "a process that began to take over is gone; this one goes on".to_owned(),
        before: Value::Null,
        after: Value::Null,
        details: serde_json::json!({ "pid": std::process::id() }),
    }
}
