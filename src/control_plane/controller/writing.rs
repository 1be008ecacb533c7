//! How the controller deals with the disk: what it hands in, what it makes of the answers, and what
//! it does while there are none.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::decided::{Decided, entry};
use super::disk::{Raise, UnderWay};
use super::{Controller, DISK_MAX, KEEP_SCORES_EVERY, Outcome, RETRY_EVERY, Waiting};
use crate::control_plane::change::Change;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::command::Refused;
use crate::control_plane::journal::NewEntry;
use crate::control_plane::record::ServiceRecord;
use crate::control_plane::store::writer::CommitResult;
use crate::control_plane::store::{Committed, StoreError};
use crate::model::name::Name;

impl Controller {
    /// Hands a raise to the disk, or gives it back while the disk has something else.
    pub(super) fn raise(&mut self, change: Change, asked: Waiting) -> Option<Waiting> {
        if !self.disk.is_free() {
            let waited = asked.since.elapsed();
            if waited < DISK_MAX {
                return Some(asked);
            }
            let error = self.disk.reason(waited);
            self.refuse_raise(asked, change.kind, &error);
            return None;
        }
        let decided = Decided::new(&mut self.services, change, asked);
        match self.disk.begin_raise(decided) {
            Ok(answer) => self.await_disk(answer),
            Err((decided, error)) => self.refuse_raise(decided.asked, decided.change.kind, &error),
        }
        None
    }

    /// The disk has answered.
    pub(super) fn written(&mut self, result: CommitResult) {
        let failure = result.as_ref().err().cloned();
        self.note_disk(failure.clone());
        match self.disk.take_under_way() {
            Some(UnderWay::Flush(flushed)) => {
                for change in self.disk.flushed(flushed, failure.is_none()) {
                    self.settlings.written(change);
                }
            }
            Some(UnderWay::Raise(raise)) => self.raise_written(*raise, result),
            None => {}
        }
        if failure.is_none() {
            self.flush();
        } else {
            self.retry_at = Some(Instant::now() + RETRY_EVERY);
        }
        self.shared.store.store(Arc::new(self.disk.state()));
        self.serve_waiting();
    }

    /// A raise has its answer from the disk: publish it, unless it was overtaken or given up.
    fn raise_written(&mut self, raise: Raise, result: CommitResult) {
        let written = matches!(result, Ok(Committed::Written));
        let recalled = raise.is_recalled();
        let Some(decided) = raise.decided else {
            if written {
                self.write_again(&raise.services, "was refused because the disk was too slow");
            }
            return;
        };
        let is_current = |(name, generation): &(Name, u64)| {
            self.services.find(name).map_or(0, |live| live.record.generation) == *generation
        };
        let is_latest = decided.expects.iter().all(is_current);
        let overtaken = self.is_overtaken_reading(&decided.asked) || !is_latest;
        match result {
            Err(error) => {
                // A commit that failed at its very end may be on the disk all the same.
                let records = self.at_work(&raise.services).cloned().collect();
                self.disk.owe(records, vec![], None);
                self.refuse_raise(decided.asked, decided.change.kind, &error);
            }
            Ok(Committed::Written) if !overtaken && !recalled => {
                self.publish(decided, true);
            }
            Ok(_) => {
                if written {
                    self.write_again(&raise.services, "was overtaken before it was published");
                }
                self.refuse_or_repeat(decided.asked);
            }
        }
    }

    /// Time limits: a raise that the disk does not answer, commands that wait for it, writes to
    /// retry.
    pub(super) fn look_at_the_clock(&mut self) {
        if let Some(raise) = self.disk.raise()
            && raise.decided.as_ref().is_some_and(|d| d.asked.since.elapsed() >= DISK_MAX)
            && let Some(decided) = raise.decided.take()
        {
            raise.recall();
            let error = StoreError::Silent(DISK_MAX);
            self.note_disk(Some(error.clone()));
            self.refuse_raise(decided.asked, decided.change.kind, &error);
        }
        if self.disk.is_silent(DISK_MAX) {
            self.note_disk(Some(StoreError::Silent(DISK_MAX)));
        }
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.retry_at = None;
            self.flush();
        }
        self.look_for_state();
        self.serve_waiting();
        self.look_at_rollouts(Instant::now());
        self.look_at_fallbacks(Instant::now());
        self.look_at_limits(Instant::now());
        self.keep_evidence(Instant::now());
        if self.scores_kept_at.elapsed() >= KEEP_SCORES_EVERY {
            self.owe_scores();
            self.flush();
        }
    }

    /// The disk is to have what somebody has found out, at the generation of now.
    pub(super) fn remember(&mut self, mut entry: NewEntry) {
        let live = entry.service.as_ref().and_then(|service| self.services.find(service));
        entry.generation = live.map_or(0, |live| live.record.generation);
        self.disk.owe(vec![], vec![entry], None);
        self.flush();
    }

    /// The disk is to have the scores that came in.
    pub(super) fn owe_scores(&mut self) {
        self.scores_kept_at = Instant::now();
        let scores = self.shared.new_scores(self.scores_kept_at);
        self.disk.owe_scores(scores);
    }

    /// Hands in what the disk is owed.
    pub(super) fn flush(&mut self) {
        if self.retry_at.is_none()
            && let Some(answer) = self.disk.flush()
        {
            self.await_disk(answer);
        }
        self.shared.store.store(Arc::new(self.disk.state()));
    }

    /// Takes note of how a write went, and tells when that is news.
    pub(super) fn note_disk(&mut self, failure: Option<StoreError>) {
        let text = failure
            .as_ref()
            .map(|error| format!("{error}; raising is refused, lowering and rollback still work"));
        let details = json!({ "problem": failure.as_ref().map(ToString::to_string) });
        if self.disk.set_problem(failure) {
            let (kind, text) = match text {
                Some(text) => ("store_failed", text),
                None => ("store_recovered", "changes reach the disk again".to_owned()),
            };
            self.shared.events.tell(None, kind, text, details);
        }
        self.shared.store.store(Arc::new(self.disk.state()));
    }

    /// Refuses a raise for want of a disk, and writes that down as soon as there is one.
    fn refuse_raise(&mut self, asked: Waiting, kind: &str, error: &StoreError) {
        let text = format!("refused: {error}");
        let details = json!({ "problem": error.to_string() });
        let kind = format!("{kind}_refused");
        let entry =
            entry(&asked.request, &kind, asked.request.command.service().cloned(), &text, &details);
        self.disk.owe(vec![], vec![entry], None);
        self.refuse(asked, Refused::Store(error.to_string()));
    }

    /// The disk has a state that was never published: what is at work goes over it.
    fn write_again(&mut self, services: &[Name], why: &str) {
        let records: Vec<_> = self.at_work(services).cloned().collect();
        for record in records {
            let text = format!(
                "the change before this entry {why}; generation {} stays at work",
                record.generation
            );
            let entry = NewEntry {
                at: unix_ms(),
                service: Some(record.service.clone()),
                generation: record.generation,
                actor: "controller".to_owned(),
                kind: "change_withdrawn".to_owned(),
                reason: None,
                text,
                before: Value::Null,
                after: json!(record),
                details: Value::Null,
            };
            self.disk.owe(vec![record], vec![entry], None);
        }
    }

    /// The published records of these services.
    fn at_work<'a>(&'a self, services: &'a [Name]) -> impl Iterator<Item = &'a ServiceRecord> {
        let records = self.services.list.iter().map(|live| &live.record);
        records.filter(|record| services.contains(&record.service))
    }

    /// Waits for the disk beside the loop. Bounded by the clock that the loop looks at.
    pub(super) fn await_disk(&mut self, answer: oneshot::Receiver<CommitResult>) {
        self.work.spawn(async move {
            Outcome::Written(answer.await.unwrap_or(Err(StoreError::Closed)))
        });
    }

    /// Writes what is owed, answers what is published, ends the store's thread and gives the state directory back.
    pub(super) async fn end(mut self) {
        for asked in std::mem::take(&mut self.waiting) {
            self.refuse(asked, Refused::ShuttingDown);
        }
        if !self.write_everything().await {
            tracing::warn!("the disk has not taken the last changes within {DISK_MAX:?}");
        }
        self.let_go_of_state().await;
    }
}
