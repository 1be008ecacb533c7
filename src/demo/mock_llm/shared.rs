//! What all threads of one emulated server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::faults::{Connections, Faults};
use super::options::MockOptions;
use super::stats::Counters;
use super::words::Speaker;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: MockOptions,
    pub(super) speaker: Speaker,
    pub(super) counters: Arc<Counters>,
    /// The faults in force. A watch, because the listener and frozen requests wait for changes.
    pub(super) faults: watch::Sender<Arc<Faults>>,
    /// Whether the listener is open; follows `faults` when the accepting thread has acted.
    pub(super) is_listening: watch::Sender<bool>,
    answered: AtomicU64,
}

impl Shared {
    pub(super) fn new(options: MockOptions) -> Self {
        Self {
            speaker: Speaker::new(&options.name, &options.version),
            counters: Arc::default(),
            faults: watch::Sender::new(Arc::new(options.faults.clone())),
            is_listening: watch::Sender::new(true),
            answered: AtomicU64::new(0),
            options,
        }
    }

    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.borrow())
    }

    /// Puts faults in force; returns when the listener has followed.
    pub(super) async fn set_faults(&self, faults: Faults) {
        let opens = faults.connections != Connections::Refuse;
        self.faults.send_replace(Arc::new(faults));
        // The sender lives as long as `self`, so waiting ends by the state and in no other way.
        let _ = self.is_listening.subscribe().wait_for(|is_open| *is_open == opens).await;
    }

    /// Returns when running answers may go on.
    pub(super) async fn thawed(&self) {
        // As above.
        let _ = self.faults.subscribe().wait_for(|faults| !faults.freeze).await;
    }

    /// What all randomness of one request follows from.
    pub(super) fn seed_of(&self, request_id: Option<&[u8]>) -> u64 {
        // Relaxed: numbers must differ, their order between threads means nothing.
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        match request_id.filter(|_| self.options.seed_by_request_id) {
            Some(id) => xxh3_64_with_seed(id, self.options.seed),
            None => xxh3_64_with_seed(&number.to_le_bytes(), self.options.seed),
        }
    }
}
