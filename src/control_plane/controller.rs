//! The single writer: every change of who gets what goes through this one task.
//!
//! Its loop awaits nothing but its own inbox: acks of cores, answers of the disk and ends of drains
//! come back as outcomes, and a newer change may overtake. Three orders follow from whom a change
//! exposes. What protects is published at once and written right after, overtaking what waits. What
//! raises is written first and published when the disk has it, unless it was overtaken meanwhile.
//! What moves nobody is published in its turn.

mod admin_tokens;
mod answering;
#[cfg(test)]
mod by_hand_tests;
mod decided;
mod disk;
#[cfg(test)]
mod disk_tests;
#[cfg(test)]
mod drain_tests;
mod draining;
mod effects;
#[cfg(test)]
mod evaluation_tests;
mod fallbacks;
#[cfg(debug_assertions)]
mod fault;
pub mod handing_over;
#[cfg(test)]
mod judged_tests;
mod limits;
mod observing;
#[cfg(test)]
mod reload_tests;
mod reporting;
#[cfg(test)]
mod rollout_tests;
mod rollouts;
mod runs;
mod settling;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod ways_back;
mod writing;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::change::exposure::Exposure;
use super::change::{self, Change, Planned};
use super::command::{Applied, Command, Refused, Request};
use super::handle::{Asked, Shared};
use super::journal::NewEntry;
use super::published::{Published, PublishedService};
use super::record::ServiceRecord;
use super::services::Services;
use super::store::Evidence;
use super::store::lock::StateLock;
use super::store::writer::{CommitResult, Writer};
use crate::config::Config;
use crate::link::{CoreLinks, CoreMessage, CoreReport, Quiesce};
use crate::model::name::Name;
use crate::model::reading::Reading;
use crate::model::upstream::UpstreamId;
use decided::Decided;
use disk::Disk;
use draining::Drains;
use fallbacks::Fallbacks;
use handing_over::TakenBack;
use limits::LimitsWatch;
use rollouts::Happened;
use runs::Runs;
use settling::{Reply, Settlings};
use ways_back::WaysBack;

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

/// How often scores that came in are written down.
const KEEP_SCORES_EVERY: Duration = Duration::from_secs(5);

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
    runs: Runs,
    ways_back: WaysBack,
    /// Futures of changes under way. Each is bounded in time, and so is their number by the queues.
    work: JoinSet<Outcome>,
    changes_numbered: u64,
    /// The latest config that was handed in, taken or refused.
    latest_reading: Reading,
    retry_at: Option<Instant>,
    scores_kept_at: Instant,
    catching_up: bool,
    fallbacks: Fallbacks,
    limits: LimitsWatch,
    /// `None` while another process has the state.
    lock: Option<StateLock>,
    /// When the state is to be taken back, after that has failed.
    retake_at: Option<Instant>,
    /// One at a time: a second one would find the lock in use by the first.
    is_retaking: bool,
}

/// A command with its caller.
#[derive(Debug)]
struct Waiting {
    request: Request,
    reply: Reply,
    since: Instant,
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
    /// The state is back after another process has failed to take over.
    TakenBack(Box<TakenBack>),
    /// Something that a rollout waited for.
    Rollout { service: Name, rollout: u64, happened: Happened },
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
            runs: Runs::default(),
            ways_back: WaysBack::default(),
            work: JoinSet::new(),
            changes_numbered: 0,
            latest_reading: Reading::default(),
            retry_at: None,
            scores_kept_at: Instant::now(),
            catching_up: false,
            fallbacks: Fallbacks::default(),
            limits: LimitsWatch::default(),
            lock: Some(lock),
            retake_at: None,
            is_retaking: false,
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
        evidence: Vec<Evidence>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        self.flush();
        self.restore_rollouts(&evidence);
        let done = loop {
            tokio::select! {
                asked = requests.recv() => match asked {
                    Some(Asked::Change(request, reply)) => {
                        self.take(Waiting { request, reply, since: Instant::now() });
                    }
                    Some(Asked::Preview(request, reply)) => self.preview(&request, reply),
                    Some(Asked::Remember(entry)) => self.remember(*entry),
                    Some(Asked::HandOver(reply)) => {
                        if self.hand_over(reply).await {
                            return; // callers that wait are told by their closed channels
                        }
                    }
                    Some(Asked::ShutDown(done)) => break Some(done),
                    None => break None,
                },
                Some(outcome) = self.work.join_next() => {
                    // A panic in a future would be a bug; its change stays unanswered, the rest
                    // goes on.
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
    fn take(&mut self, asked: Waiting) {
        #[cfg(debug_assertions)]
        fault::strike(asked.request.reason.as_deref());
        if matches!(asked.request.command, Command::Drain { .. }) {
            return self.start_drain(asked);
        }
        let mut overtaken = 0;
        if let Command::RollBack { service, .. } = &asked.request.command {
            overtaken = self.overtake(&service.clone());
        }
        let its_turn = self.waiting.is_empty();
        let Some(must_wait) = self.attempt(asked, its_turn, overtaken) else { return };
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(must_wait);
        } else {
            let refused = Refused::Store(self.disk.reason(DISK_MAX).to_string());
            self.refuse(must_wait, refused);
        }
    }

    /// Does what can be done of a command now. Gives it back when it must wait.
    fn attempt(&mut self, asked: Waiting, its_turn: bool, overtaken: usize) -> Option<Waiting> {
        if self.is_overtaken_reading(&asked) {
            self.answer_left_out(asked);
            return None;
        }
        let mut random = || fastrand::u64(..);
        let request = &asked.request;
        let planned = change::plan(&self.services, &self.started_with, request, &mut random);
        match planned {
            Ok(Planned::Change(change)) if change.exposure == Exposure::Protects => {
                for next in &change.next {
                    self.overtake(&next.file.name.clone());
                }
                let decided = Decided::new(&mut self.services, change, asked);
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
                let decided = Decided::new(&mut self.services, change, asked);
                self.publish(decided, false);
            }
            Ok(Planned::Change(change)) => return self.raise(change, asked),
        }
        None
    }

    /// Puts a change to work: the table first, then the post to every core, then the words.
    fn publish(&mut self, decided: Decided, durable: bool) {
        let records = decided.records();
        let Decided { mut change, asked, entries, .. } = decided;
        let before = self.upstreams();
        let published_at = Instant::now();
        let services: Vec<Name> = records.iter().map(|record| record.service.clone()).collect();
        for next in std::mem::take(&mut change.next) {
            self.services.install(next);
        }
        if let Some(order) = &change.order {
            self.services.arrange(order);
        }
        let number = self.number_change();
        if let [service] = services.as_slice() {
            self.announce_share(service, number, published_at);
        }
        self.shared.snapshot.store(Arc::new(self.services.snapshot()));
        let quiesce = self.links.quiesce();
        self.publish_view();
        let generation = records.iter().map(|record| record.generation).max();
        let generation = generation.or_else(|| self.highest_generation()).unwrap_or(0);
        if durable {
            self.disk.renew(records);
        } else {
            self.disk.owe(records, entries, Some(number));
            self.flush();
        }
        // It owes the disk an entry, which is handed in at once: what was owed before has been renewed by now.
        self.config_taken(&asked.request);
        self.tell(&services, &change);
        let effects = std::mem::take(&mut change.effects);
        let said = (change.text.clone(), change.details.clone());
        if let [service] = services.as_slice() {
            let asked_by = (&change, asked.request.clone());
            self.measure_way_back(number, asked_by, service, (asked.since, published_at));
        }
        self.close_idle(before);
        self.call_off_drains();
        let applied = Applied {
            generation,
            changed: true,
            lagging_cores: vec![],
            applied_us: 0,
            durable,
            is_left_out: false,
            warnings: change.warnings,
        };
        self.settlings.open(number, asked.reply, published_at, applied);
        self.await_acks(number, generation, quiesce);
        if let [service] = services.as_slice() {
            self.carry_out(service, &effects, &said);
        }
    }

    fn tell(&self, services: &[Name], change: &Change) {
        let service = if let [only] = services { Some(only) } else { None };
        self.shared.events.tell(service, change.kind, change.text.clone(), change.details.clone());
    }

    /// Makes readable what has changed.
    pub(super) fn publish_view(&self) {
        let services = self.services.list.iter().map(|live| PublishedService {
            table: Arc::clone(&live.table),
            release: live.record.release.clone(),
            observed: live.clock(),
            overridden: live
                .record
                .overrides
                .iter()
                .map(|(name, own)| (name.clone(), own.fields()))
                .collect(),
        });
        let published = Published {
            services: services.collect(),
            drains: self.drains.views(),
            fallbacks: self.fallbacks.views(),
        };
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

    /// Goes on with what waited for its turn.
    fn serve_waiting(&mut self) {
        while let Some(asked) = self.waiting.pop_front() {
            if let Some(must_wait) = self.attempt(asked, true, 0) {
                self.waiting.push_front(must_wait);
                return;
            }
        }
    }

    fn number_change(&mut self) -> u64 {
        self.changes_numbered += 1;
        self.changes_numbered
    }

    fn highest_generation(&self) -> Option<u64> {
        self.services.list.iter().map(|live| live.record.generation).max()
    }

    /// Every upstream at work.
    fn upstreams(&self) -> HashSet<UpstreamId> {
        let tables = self.services.list.iter().map(|live| &live.table);
        let environments = tables.flat_map(|table| &table.environments);
        environments.flat_map(|e| e.upstreams.iter().map(|u| u.id)).collect()
    }

    /// Connections to upstreams that are gone rest for nobody.
    fn close_idle(&self, mut before: HashSet<UpstreamId>) {
        for id in &self.upstreams() {
            before.remove(id);
        }
        if !before.is_empty() {
            let ids: Vec<UpstreamId> = before.into_iter().collect();
            // A core that misses this closes them when they have rested long enough.
            let _ = self.links.post(|| CoreMessage::CloseIdle(ids.clone()));
        }
    }
}
