//! What was measured and said of answers, for whoever reads it: the admin API, the judges.
//!
//! The collector writes once a second; readers look now and then, for about a millisecond at most. Both
//! live on the control plane's thread, and no lock is held over an await, so nobody waits for one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::windows::Windows;
use crate::metrics::cohort_log::CohortLog;
use crate::metrics::distribution::Distribution;
use crate::metrics::scores::{Scene, ScoreLog};
use crate::metrics::shard::ShardReport;
use crate::model::routing_table::RoutingTable;

/// Windows, cohorts and what Cyan measures of itself.
#[derive(Debug)]
pub(super) struct Measurements {
    epoch: Instant,
    windows: Mutex<Windows>,
    cohorts: Mutex<CohortLog>,
    scores: Mutex<ScoreLog>,
    /// Microseconds from a decision to its ack by the last core.
    swaps: Mutex<Distribution<u64>>,
    /// Microseconds from what decided a rollback to its ack by the last core.
    rollbacks: Mutex<Distribution<u64>>,
}

impl Measurements {
    /// Nothing measured yet on this many cores. Seconds count from `epoch`.
    pub(super) fn new(cores: usize, epoch: Instant) -> Self {
        Self {
            epoch,
            windows: Mutex::default(),
            cohorts: Mutex::new(CohortLog::new(cores)),
            scores: Mutex::default(),
            swaps: Mutex::default(),
            rollbacks: Mutex::default(),
        }
    }

    /// How long after the epoch something was.
    pub(super) fn since_epoch(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }

    /// The moment so long after the epoch.
    pub(super) fn moment(&self, since_epoch: Duration) -> Instant {
        self.epoch + since_epoch
    }

    /// Takes over which environments there are.
    pub(super) fn know<'a>(
        &self,
        tables: impl Iterator<Item = &'a RoutingTable> + Clone,
        now: Instant,
    ) {
        let knows = |id| tables.clone().any(|table| table.environments.iter().any(|e| e.id == id));
        self.cohorts().know(knows);
        let mut windows = self.windows();
        // What the process starts with was there before anybody looked: requests of the first moments,
        // and scores of them, belong to its first step. (Zero would stand for a time before the epoch.)
        let start = Duration::from_nanos(1);
        let since = if windows.is_empty() { start } else { self.since_epoch(now) };
        windows.know(tables.clone(), since);
        let scenes = tables.flat_map(|table| &table.environments).filter_map(|environment| {
            let (id, version) = (environment.id, environment.spec.version.clone());
            Some(Scene { id, step_since: windows.step_since(id)?, version })
        });
        self.scores().know(scenes, self.since_epoch(now));
    }

    /// Adds what a core handed over.
    pub(super) fn add(&self, core: usize, report: &ShardReport, now: Instant) {
        let collected_at = report.collected_at.map(|at| self.since_epoch(at));
        self.cohorts().add(core, &report.marks, &report.failed_keys, collected_at);
        self.windows().add(report, self.since_epoch(now));
    }

    /// A change has reached the last core so long after it was decided.
    pub(super) fn swapped(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        unpoisoned(&self.swaps).record(us);
    }

    /// A rollback has reached the last core so long after what decided it.
    pub(super) fn went_back(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        unpoisoned(&self.rollbacks).record(us);
    }

    pub(super) fn windows(&self) -> MutexGuard<'_, Windows> {
        unpoisoned(&self.windows)
    }

    pub(super) fn cohorts(&self) -> MutexGuard<'_, CohortLog> {
        unpoisoned(&self.cohorts)
    }

    pub(super) fn scores(&self) -> MutexGuard<'_, ScoreLog> {
        unpoisoned(&self.scores)
    }

    pub(super) fn swaps(&self) -> MutexGuard<'_, Distribution<u64>> {
        unpoisoned(&self.swaps)
    }

    pub(super) fn rollbacks(&self) -> MutexGuard<'_, Distribution<u64>> {
        unpoisoned(&self.rollbacks)
    }
}

/// Counts stay usable after a panic elsewhere: at worst a second of them is missing.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
