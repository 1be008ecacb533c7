//! The single writer: every change of who gets what goes through this one task.
//!
//! Its loop awaits nothing but its own inbox: acks of cores, answers of the disk and ends of drains
//! come back as outcomes, and a newer change may overtake. Three orders follow from whom a change
//! exposes. What protects is published at once and written right after, overtaking what waits. What
//! raises is written first and published when the disk has it, unless it was overtaken meanwhile. What
//! moves nobody is published in its turn.

mod answering;
mod disk;
#[cfg(test)]
mod drain_tests;
mod draining;
mod reporting;
mod settling;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::change::exposure::Exposure;
use super::change::{self, Change, Planned};
use super::clock::unix_ms;
use super::command::{Applied, Command, Refused, Request};
use super::handle::{Asked, Shared};
use super::journal::NewEntry;
use super::published::{Published, PublishedService};
use super::record::ServiceRecord;
use super::services::Services;
use super::store::StoreError;
use super::store::lock::StateLock;
use super::store::writer::{CommitResult, Writer};
use crate::config::Config;
use crate::link::{CoreLinks, CoreMessage, CoreReport, Quiesce};
use crate::model::name::Name;
use crate::model::upstream::UpstreamId;
use disk::{Disk, UnderWay};
use draining::Drains;
use settling::{Reply, Settlings};

/// How long the disk may take before a raise is refused.
const DISK_MAX: Duration = Duration::from_secs(2);

/// How long the cores may take before the answer names those that lag.
const ACKS_MAX: Duration = Duration::from_secs(1);

/// Commands that may wait for the disk.
const WAITING_MAX: usize = 64;

/// How often time limits are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often a failed write is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What the controller is made of.
pub(super) struct Controller {
    pub(super) services: Services,
    pub(super) started_with: Config,
    links: CoreLinks,
    shared: Arc<Shared>,
    disk: Disk,
    waiting: VecDeque<Waiting>,
    settlings: Settlings,
    drains: Drains,
    /// Futures of changes under way. Each is bounded in time, and so is their number by the queues.
    work: JoinSet<Outcome>,
    changes_numbered: u64,
    retry_at: Option<Instant>,
    catching_up: bool,
    fallbacks_told: reporting::Throttle,
    lock: StateLock,
}

/// A command with its caller.
#[derive(Debug)]
struct Waiting {
    request: Request,
    reply: Reply,
    since: Instant,
}

/// A change with its numbers and its caller.
#[derive(Debug)]
struct Decided {
    change: Change,
    asked: Waiting,
    /// The generations that the change was worked out from.
    expects: Vec<(Name, u64)>,
    entries: Vec<NewEntry>,
}

/// Something that was under way has come to its end.
enum Outcome {
    /// The disk has answered the write under way.
    Written(CommitResult),
    /// Every core has acked a change, or a second has passed.
    Acked { change: u64, generation: u64, lagging: Vec<usize>, quiesce: Quiesce },
    /// Cores that lagged have acked.
    CaughtUp,
    /// The answer of a change has waited long enough for the disk.
    PatienceOver { change: u64 },
    /// A drain has finished.
    Drained(Box<draining::Finished>),
}

impl Controller {
    pub(super) fn new(
        services: Services,
        started_with: Config,
        links: CoreLinks,
        shared: Arc<Shared>,
        writer: Writer,
        lock: StateLock,
    ) -> Self {
        Self {
            services,
            started_with,
            links,
            shared,
            disk: Disk::new(writer),
            waiting: VecDeque::new(),
            settlings: Settlings::default(),
            drains: Drains::default(),
            work: JoinSet::new(),
            changes_numbered: 0,
            retry_at: None,
            catching_up: false,
            fallbacks_told: reporting::Throttle::default(),
            lock,
        }
    }

    /// Writes down on the next occasion what the start has found or made.
    pub(super) fn owe_first_records(
        &mut self,
        records: Vec<ServiceRecord>,
        entries: Vec<NewEntry>,
    ) {
        self.disk.owe(records, entries, None);
    }

    /// Serves until it is shut down, or every handle is gone.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Asked>,
        mut reports: mpsc::Receiver<CoreReport>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        self.flush();
        let done = loop {
            tokio::select! {
                asked = requests.recv() => match asked {
                    Some(Asked::Change(request, reply)) => {
                        self.take(Waiting { request, reply, since: Instant::now() });
                    }
                    Some(Asked::ShutDown(done)) => break Some(done),
                    None => break None,
                },
                Some(outcome) = self.work.join_next() => {
                    // A panic in a future would be a bug; its change stays unanswered, the rest goes on.
                    if let Ok(outcome) = outcome {
                        self.conclude(outcome);
                    }
                }
                Some(report) = reports.recv() => self.report(report),
                _ = tick.tick() => self.look_at_the_clock(),
            }
        };
        requests.close();
        self.end().await;
        if let Some(done) = done {
            // An error says that nobody waits for the end.
            let _ = done.send(());
        }
    }

    /// A command has come in.
    fn take(&mut self, mut asked: Waiting) {
        if matches!(asked.request.command, Command::Drain { .. }) {
            return self.start_drain(asked);
        }
        let mut overtaken = 0;
        if let Command::RollBack { service } = &asked.request.command {
            overtaken = self.overtake(&service.clone());
        }
        let its_turn = self.waiting.is_empty();
        if let Some(must_wait) = self.attempt(asked, its_turn, overtaken) {
            asked = must_wait;
            if self.waiting.len() >= WAITING_MAX {
                let refused = Refused::Store(self.disk.reason(DISK_MAX).to_string());
                return self.refuse(asked, refused);
            }
            self.waiting.push_back(asked);
        }
    }

    /// Does what can be done of a command now. Gives it back when it must wait.
    fn attempt(&mut self, asked: Waiting, its_turn: bool, overtaken: usize) -> Option<Waiting> {
        let mut random = || fastrand::u64(..);
        let command = &asked.request.command;
        let planned = change::plan(&self.services, &self.started_with, command, &mut random);
        match planned {
            Ok(Planned::Change(change)) if change.exposure == Exposure::Protects => {
                for next in &change.next {
                    self.overtake(&next.file.name.clone());
                }
                let decided = self.decide(change, asked);
                self.publish(decided, false);
            }
            // A rollback that stops a change before it was published has done its work.
            Err(Refused::Assignment(_)) if overtaken > 0 => self.answer_overtaking(asked),
            _ if !its_turn => return Some(asked),
            Err(refused) => self.refuse(asked, refused),
            Ok(Planned::Nothing { generation, warnings }) => {
                self.answer_unchanged(asked, generation, warnings);
            }
            Ok(Planned::Change(change)) if change.exposure == Exposure::Neutral => {
                if self.disk.raise().is_some() {
                    return Some(asked);
                }
                let decided = self.decide(change, asked);
                self.publish(decided, false);
            }
            Ok(Planned::Change(change)) => return self.raise(change, asked),
        }
        None
    }

    /// Hands a raise to the disk, or gives it back while the disk has something else.
    fn raise(&mut self, change: Change, asked: Waiting) -> Option<Waiting> {
        if !self.disk.is_free() {
            let waited = asked.since.elapsed();
            if waited < DISK_MAX {
                return Some(asked);
            }
            let error = self.disk.reason(waited);
            self.refuse_raise(asked, change.kind, &error);
            return None;
        }
        let decided = self.decide(change, asked);
        match self.disk.begin_raise(decided) {
            Ok(answer) => self.await_disk(answer),
            Err((decided, error)) => self.refuse_raise(decided.asked, decided.change.kind, &error),
        }
        None
    }

    /// Gives a change its numbers and writes its journal entries.
    fn decide(&mut self, mut change: Change, asked: Waiting) -> Decided {
        let mut expects = Vec::new();
        let mut entries = Vec::new();
        for next in &mut change.next {
            let name = next.file.name.clone();
            let before = self.services.find(&name).map(|live| live.record.clone());
            let generation = before.as_ref().map_or(0, |record| record.generation);
            next.record.generation = self.services.number(&name);
            expects.push((name.clone(), generation));
            let before = before.map_or(Value::Null, |record| json!(record));
            entries.push(
                entry(&asked.request, change.kind, Some(name), &change.text, &change.details)
                    .about(before, &next.record),
            );
        }
        if entries.is_empty() {
            entries.push(entry(&asked.request, change.kind, None, &change.text, &change.details));
        }
        Decided { change, asked, expects, entries }
    }

    /// Puts a change to work: the table first, then the post to every core, then the words.
    fn publish(&mut self, decided: Decided, durable: bool) {
        let records = decided.records();
        let Decided { change, asked, entries, .. } = decided;
        let before = self.upstreams();
        let services: Vec<Name> = change.next.iter().map(|n| n.file.name.clone()).collect();
        for next in change.next {
            self.services.install(next);
        }
        if let Some(order) = &change.order {
            self.services.arrange(order);
        }
        self.shared.snapshot.store(Arc::new(self.services.snapshot()));
        let quiesce = self.links.quiesce();
        self.publish_view();
        let number = self.number_change();
        let generation = records.iter().map(|record| record.generation).max();
        let generation = generation.or_else(|| self.highest_generation()).unwrap_or(0);
        if !durable {
            self.disk.owe(records, entries, Some(number));
            self.flush();
        }
        let service = if let [only] = services.as_slice() { Some(only) } else { None };
        self.shared.events.tell(service, change.kind, change.text, change.details);
        if change.kind == change::reload::RELOADED {
            self.shared.config_problem.store(None);
        }
        self.close_idle(before);
        self.call_off_drains();
        let applied = Applied {
            generation,
            changed: true,
            lagging_cores: vec![],
            applied_us: 0,
            durable,
            warnings: change.warnings,
        };
        self.settlings.open(number, asked.reply, asked.since, applied);
        self.await_acks(number, generation, quiesce);
    }

    /// Makes readable what has changed.
    pub(super) fn publish_view(&self) {
        let services = self.services.list.iter().map(|live| PublishedService {
            table: Arc::clone(&live.table),
            overridden: live
                .record
                .overrides
                .iter()
                .map(|(name, own)| (name.clone(), own.fields()))
                .collect(),
        });
        let published = Published { services: services.collect(), drains: self.drains.views() };
        self.shared.published.store(Arc::new(published));
        self.shared.changed.send_modify(|version| *version += 1);
    }

    /// Stops what waits for the disk to change the weights of `service`. Tells how many.
    fn overtake(&mut self, service: &Name) -> usize {
        let mut overtaken = 0;
        if let Some(raise) = self.disk.raise()
            && raise.services.contains(service)
        {
            raise.recall();
            overtaken += 1;
        }
        let moves = |asked: &Waiting| match &asked.request.command {
            Command::SetWeights { service: of, .. } | Command::Switch { service: of, .. } => {
                of == service
            }
            _ => false,
        };
        let (stopped, stay): (VecDeque<_>, _) = self.waiting.drain(..).partition(moves);
        self.waiting = stay;
        overtaken += stopped.len();
        for asked in stopped {
            self.refuse_overtaken(asked, service);
        }
        overtaken
    }

    /// The disk has answered.
    fn written(&mut self, result: CommitResult) {
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

    /// Goes on with what waited for its turn.
    fn serve_waiting(&mut self) {
        while let Some(asked) = self.waiting.pop_front() {
            if let Some(must_wait) = self.attempt(asked, true, 0) {
                self.waiting.push_front(must_wait);
                return;
            }
        }
    }

    /// Time limits: a raise that the disk does not answer, commands that wait for it, writes to retry.
    fn look_at_the_clock(&mut self) {
        if let Some(raise) = self.disk.raise()
            && raise.decided.as_ref().is_some_and(|d| d.asked.since.elapsed() >= DISK_MAX)
            && let Some(decided) = raise.decided.take()
        {
            raise.recall();
            let error = StoreError::Silent(DISK_MAX);
            self.note_disk(Some(error.clone()));
            self.refuse_raise(decided.asked, decided.change.kind, &error);
        }
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.retry_at = None;
            self.flush();
        }
        self.serve_waiting();
    }

    /// Hands in what the disk is owed.
    fn flush(&mut self) {
        if self.retry_at.is_none()
            && let Some(answer) = self.disk.flush()
        {
            self.await_disk(answer);
        }
        self.shared.store.store(Arc::new(self.disk.state()));
    }

    fn number_change(&mut self) -> u64 {
        self.changes_numbered += 1;
        self.changes_numbered
    }

    fn highest_generation(&self) -> Option<u64> {
        self.services.list.iter().map(|live| live.record.generation).max()
    }

    /// Every upstream at work.
    fn upstreams(&self) -> HashMap<UpstreamId, ()> {
        let tables = self.services.list.iter().map(|live| &live.table);
        let environments = tables.flat_map(|table| &table.environments);
        environments.flat_map(|e| e.upstreams.iter().map(|u| (u.id, ()))).collect()
    }

    /// Connections to upstreams that are gone rest for nobody.
    fn close_idle(&self, mut before: HashMap<UpstreamId, ()>) {
        for id in self.upstreams().keys() {
            before.remove(id);
        }
        if !before.is_empty() {
            let ids: Vec<UpstreamId> = before.into_keys().collect();
            // A core that misses this closes them when they have rested long enough.
            let _ = self.links.post(|| CoreMessage::CloseIdle(ids.clone()));
        }
    }

    /// Writes what is owed, ends the store's thread and gives the state directory back.
    async fn end(mut self) {
        for asked in std::mem::take(&mut self.waiting) {
            self.refuse(asked, Refused::ShuttingDown);
        }
        self.retry_at = None;
        self.flush();
        let settle = async {
            while !self.disk.is_free() {
                match self.work.join_next().await {
                    Some(Ok(outcome)) => self.conclude(outcome),
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        };
        if tokio::time::timeout(DISK_MAX, settle).await.is_err() {
            tracing::warn!("the disk has not taken the last changes within {DISK_MAX:?}");
        }
        let Self { disk, lock, .. } = self;
        let thread = disk.close();
        let joined = tokio::task::spawn_blocking(move || thread.join());
        // A hung disk keeps its thread; the process may end all the same.
        let _ = tokio::time::timeout(DISK_MAX, joined).await;
        drop(lock);
    }
}

impl Decided {
    fn records(&self) -> Vec<ServiceRecord> {
        self.change.next.iter().map(|next| next.record.clone()).collect()
    }
}

/// A journal entry for a request, without the states yet.
fn entry(
    request: &Request,
    kind: &str,
    service: Option<Name>,
    text: &str,
    details: &Value,
) -> NewEntry {
    NewEntry {
        at: unix_ms(),
        service,
        generation: 0,
        actor: request.actor.clone(),
        kind: kind.to_owned(),
        reason: request.reason.clone(),
        text: text.to_owned(),
        before: Value::Null,
        after: Value::Null,
        details: details.clone(),
    }
}

impl NewEntry {
    fn about(mut self, before: Value, after: &ServiceRecord) -> Self {
        self.before = before;
        self.generation = after.generation;
        self.after = json!(after);
        self
    }
}
