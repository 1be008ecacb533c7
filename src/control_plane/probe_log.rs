//! The last probe's answer of each upstream, in words, for whoever asks why one counts as down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::upstream::UpstreamId;

/// Last answers. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ProbeLog {
    /// A plain mutex: held for one look-up, never over an await.
    answers: Arc<Mutex<HashMap<UpstreamId, String>>>,
}

impl ProbeLog {
    /// Takes note of an answer.
    pub(super) fn note(&self, upstream: UpstreamId, answer: String) {
        self.lock().insert(upstream, answer);
    }

    /// The last answer; `None` while there was no probe.
    pub(super) fn last(&self, upstream: UpstreamId) -> Option<String> {
        self.lock().get(&upstream).cloned()
    }

    /// Forgets an upstream that is not probed any more.
    pub(super) fn forget(&self, upstream: UpstreamId) {
        self.lock().remove(&upstream);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UpstreamId, String>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
