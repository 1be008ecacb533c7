//! The store's own thread: the only place of Cyan that waits for the disk to keep a change.
//!
//! Writes are done one after the other. That order is what makes a rollback safe that overtakes a
//! raise: its record is written after the raise's, whatever the disk does meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::{Committed, Store, StoreError, Write};

/// Writes that may wait. The controller hands in the next one when it has heard of the last.
const WAITING_WRITES_MAX: usize = 1;

/// What a commit answers.
pub type CommitResult = Result<Committed, StoreError>;

/// Takes back a write that has not been committed yet. Clones take back the same one.
#[derive(Debug, Clone, Default)]
pub struct Recall(Arc<AtomicBool>);

impl Recall {
    /// The write is not wanted any more. Too late when the disk has it already; the answer tells.
    pub fn recall(&self) {
        // Relaxed: a single flag; what follows from it comes back through the answer's channel.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was taken back.
    pub fn is_recalled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Job {
    write: Write,
    recall: Recall,
    answer: oneshot::Sender<CommitResult>,
}

/// The way to the store's thread. Dropping it lets the thread finish what was handed in, and end.
#[derive(Debug)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("records", &self.write.records.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread that owns `store`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(store: impl Store) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_WRITES_MAX);
        let thread = std::thread::Builder::new()
            .name("cyan-store".to_owned())
            .spawn(move || serve(store, waiting))?;
        Ok(Self { jobs, thread })
    }

    /// Hands a write in and returns at once. The answer comes by channel; a closed channel means
    /// that the thread has ended.
    ///
    /// # Errors
    /// When a write waits already.
    pub fn commit(
        &self,
        write: Write,
        recall: Recall,
    ) -> Result<oneshot::Receiver<CommitResult>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { write, recall, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        Ok(answered)
    }

    /// Takes no more writes; the handle ends when those handed in are done.
    pub fn close(self) -> JoinHandle<()> {
        self.thread
    }
}

fn serve(mut store: impl Store, mut jobs: mpsc::Receiver<Job>) {
    while let Some(Job { write, recall, answer }) = jobs.blocking_recv() {
        let result = store.commit(&write, &|| !recall.is_recalled());
        // Nobody waits any more when the controller has given up on this write.
        let _ = answer.send(result);
        store.tidy();
    }
}
