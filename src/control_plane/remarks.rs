//! What was last said of each upstream, in words, for whoever asks why one is not used: the answer of a
//! probe, the reason of a suspicion.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::upstream::UpstreamId;

/// One remark per upstream. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Remarks {
    /// A plain mutex: held for one look-up, never over an await.
    last: Arc<Mutex<HashMap<UpstreamId, String>>>,
}

impl Remarks {
    /// Takes note of a remark, in place of the one before.
    pub(super) fn note(&self, upstream: UpstreamId, remark: String) {
        self.lock().insert(upstream, remark);
    }

    /// The last one; `None` while there is none.
    pub(super) fn last(&self, upstream: UpstreamId) -> Option<String> {
        self.lock().get(&upstream).cloned()
    }

    /// Forgets what was said of an upstream.
    pub(super) fn forget(&self, upstream: UpstreamId) {
        self.lock().remove(&upstream);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UpstreamId, String>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
