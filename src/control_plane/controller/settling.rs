//! Changes that are published and not yet answered: they wait for the cores, and for the disk a
//! little.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::control_plane::command::{Applied, Refused};

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<Result<Applied, Refused>>;

/// How long an answer waits for the disk after the cores have changed. A healthy disk takes a few
/// milliseconds; a sick one must not hold the word "rolled back" back.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// All of them, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Settlings {
    open: HashMap<u64, Settling>,
}

#[derive(Debug)]
struct Settling {
    reply: Reply,
    published_at: Instant,
    applied: Applied,
    acked: bool,
    waits_for_disk: bool,
}

impl Settlings {
    /// A change was published.
    pub(super) fn open(
        &mut self,
        change: u64,
        reply: Reply,
        published_at: Instant,
        applied: Applied,
    ) {
        let waits_for_disk = !applied.durable;
        let settling = Settling { reply, published_at, applied, acked: false, waits_for_disk };
        self.open.insert(change, settling);
    }

    /// Every core has acked, or a second has passed. Tells how long that took, and whether the disk is
    /// still waited for.
    pub(super) fn acked(&mut self, change: u64, lagging: Vec<usize>) -> Option<(Duration, bool)> {
        let settling = self.open.get_mut(&change)?;
        settling.acked = true;
        settling.applied.lagging_cores = lagging;
        let took = settling.published_at.elapsed();
        settling.applied.applied_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let waits = settling.waits_for_disk;
        self.answer_if_settled(change);
        Some((took, waits))
    }

    /// The change is on the disk.
    pub(super) fn written(&mut self, change: u64) {
        if let Some(settling) = self.open.get_mut(&change) {
            settling.applied.durable = true;
            settling.waits_for_disk = false;
            self.answer_if_settled(change);
        }
    }

    /// The disk had its time.
    pub(super) fn patience_is_over(&mut self, change: u64) {
        if let Some(settling) = self.open.get_mut(&change) {
            settling.waits_for_disk = false;
            self.answer_if_settled(change);
        }
    }

    /// Whether every published change has its answer.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn answer_if_settled(&mut self, change: u64) {
        let settled = |settling: &Settling| settling.acked && !settling.waits_for_disk;
        if self.open.get(&change).is_some_and(settled)
            && let Some(settling) = self.open.remove(&change)
        {
            // An error says that the caller has stopped waiting; the change stands all the same.
            let _ = settling.reply.send(Ok(settling.applied));
        }
    }
}
