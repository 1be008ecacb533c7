//! The way to the controller, for the admin API, signals and the file watcher.
//!
//! Changes go through one bounded queue to the single writer. Everything that is only read comes
//! from published values and does not disturb it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::command::{Applied, Command, Refused, ReleaseView, Request, ServiceView};
use super::config_problem::ConfigProblem;
pub use super::controller::handing_over::StateAway;
use super::event::{Event, Events, Since};
use super::hooks::Hooks;
use super::journal::{NewEntry, Page, Query};
use super::measurements::Measurements;
use super::predecessor::{InFlightByEnvironment, Predecessor};
use super::preview::WouldBe;
use super::published::Published;
use super::quality::Evaluating;
use super::readiness::Readiness;
use super::remarks::Remarks;
use super::scores::ScoreListeners;
use super::smoke::{Ended, Running};
use super::store::{StateReader, StoreError};
use super::totals::Totals;
use super::warm_up::Board;
use super::windows::{Measured, Span, Window};
use crate::config::Config;
use crate::config::resolved::AdminSpec;
use crate::link::CoreLinks;
use crate::metrics::cohort_log::CohortLog;
use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;
use crate::metrics::scores::{ScoreOrigin, ScoreWindow};
use crate::model::entrance::Entrance;
use crate::model::environment::{Environment, EnvironmentId};
use crate::model::name::Name;
use crate::model::plan::Plan;
use crate::model::reading::Reading;
use crate::model::score::quality;
use crate::model::snapshot::Snapshot;
use crate::rollout::event::Judged;
use crate::rollout::start::BaseMeasured;
use crate::tls::server::ServerTls;

/// Commands that may wait for the controller. It takes microseconds for each, so a full queue means
/// that it is stuck; callers then wait their turn.
pub(super) const REQUESTS_MAX: usize = 256;

/// What is put into the controller's queue.
#[derive(Debug)]
pub(super) enum Asked {
    /// A change.
    Change(Request, oneshot::Sender<Result<Applied, Refused>>),
    /// Nothing; only what a change would be.
    Preview(Request, oneshot::Sender<Result<WouldBe, Refused>>),
    /// Nothing; only that something was found out shall stand in the journal.
    Remember(Box<NewEntry>),
    /// Write what is unwritten, and leave the state to another process.
    HandOver(oneshot::Sender<Result<StateAway, StoreError>>),
    /// Write what is unwritten, give the state directory back, and end.
    ShutDown(oneshot::Sender<()>),
}

/// Whether the last changes are on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreState {
    /// Services whose published state is not on the disk yet.
    pub not_durable: Vec<String>,
    /// Why the last write failed; `None` while writes succeed.
    pub problem: Option<String>,
}

/// What the controller publishes and anybody may read.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) links: CoreLinks,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) published: ArcSwap<Published>,
    /// Counts publications, for those who follow them.
    pub(super) changed: watch::Sender<u64>,
    /// Every core has ended, and its last counts are in the totals.
    pub(super) is_counted: watch::Sender<bool>,
    /// A bug has ended the controller: nobody changes anything any more.
    pub(super) is_broken: watch::Sender<bool>,
    /// The controller has ended, and hooks have been told of everything before.
    pub(super) is_delivered: watch::Sender<bool>,
    /// What probes were answered.
    pub(super) probes: Remarks,
    /// Why upstreams are suspect.
    pub(super) suspicions: Remarks,
    pub(super) events: Events,
    /// Who is told what happens.
    pub(super) hooks: Hooks,
    /// Which environments are being tested now.
    pub(super) smokes: Running,
    pub(super) totals: ArcSwap<Totals>,
    pub(super) measurements: Measurements,
    pub(super) score_listeners: ScoreListeners,
    pub(super) evaluating: Evaluating,
    /// How warm-ups go.
    pub(super) warm_ups: Board,
    /// Where programs beside Cyan find its services; nothing until the listeners are up.
    pub(super) entrance: OnceLock<Entrance>,
    /// TLS of the listeners; nothing until they are up, or without TLS.
    pub(super) tls: OnceLock<Arc<ServerTls>>,
    pub(super) kept: StateReader,
    pub(super) readiness: watch::Sender<Readiness>,
    pub(super) store: ArcSwap<StoreState>,
    /// What judges say, by service.
    pub(super) judged: ArcSwap<BTreeMap<String, Judged>>,
    /// Where the admin API is, and who may call it: the tokens of the last reload.
    pub(super) admin: Arc<ArcSwap<AdminSpec>>,
    /// What was read at the start, and only then.
    pub(super) started_with: Config,
    /// Why the last reload was refused; nothing after one that was taken.
    pub(super) config_problem: ConfigProblem,
    /// Fields in which a variable was replaced, at the start or at a reload since.
    pub(super) from_variables: ArcSwap<BTreeSet<String>>,
    /// What the last reload left for a restart, in sentences.
    pub(super) needs_restart: ArcSwap<Vec<String>>,
    /// What the process that was taken over still serves.
    pub(super) predecessor: Predecessor,
}

/// The way to the controller. Clones lead to the same one.
#[derive(Debug, Clone)]
pub struct ControllerHandle {
    pub(super) requests: mpsc::Sender<Asked>,
    pub(super) shared: Arc<Shared>,
}

impl ControllerHandle {
    /// A handle for the controller's own helpers: it reads, and its changes are refused.
    pub(super) fn reading(shared: Arc<Shared>) -> Self {
        Self { requests: mpsc::channel(1).0, shared }
    }

    /// The config in force: services, certificates and tokens of the admin API as the last reload left them,
    /// everything else as at the start.
    pub fn config(&self) -> Config {
        let published = self.shared.published.load();
        let services = published.services.iter();
        let services = services.map(|service| (*service.table.service).clone()).collect();
        let started_with = self.shared.started_with.clone();
        let listeners = self.listeners_now(&started_with.listeners);
        let from_variables = (*self.shared.from_variables.load_full()).clone();
        let admin = AdminSpec::clone(&self.shared.admin.load());
        Config { listeners, admin, services, from_variables, ..started_with }
    }

    /// Asks for a change. Returns when every core has changed, or after a second with the cores
    /// that lag; a drain returns when it has finished. The change goes on if the caller stops
    /// waiting.
    ///
    /// # Errors
    /// When it was refused; nothing has changed then.
    pub async fn submit(&self, request: Request) -> Result<Applied, Refused> {
        match request.command {
            Command::Reload(..) => self.reload(request).await,
            _ => self.ask(request).await,
        }
    }

    /// Asks the controller, and nobody else.
    pub(super) async fn ask(&self, request: Request) -> Result<Applied, Refused> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked::Change(request, reply);
        self.requests.send(asked).await.map_err(|_| Refused::ShuttingDown)?;
        answer.await.unwrap_or(Err(Refused::ShuttingDown))
    }

    /// Has the journal remember what somebody has found out. It is written within a moment; where Cyan ends
    /// first, it is lost.
    pub async fn remember(&self, entry: NewEntry) {
        // An error says that the controller has ended.
        let _ = self.requests.send(Asked::Remember(Box::new(entry))).await;
    }

    /// The present state of every service, with counts as they are at this moment.
    pub fn view(&self) -> Vec<ServiceView> {
        self.shared.published.load().view(&self.shared.probes, &self.shared.suspicions)
    }

    /// The present state of one service.
    pub fn service(&self, name: &str) -> Option<ServiceView> {
        self.view().into_iter().find(|service| service.name == *name)
    }

    /// The rollout of a service and what was before it, and how long it has been observed.
    pub fn release(&self, name: &str) -> Option<ReleaseView> {
        self.shared.published.load().release(name)
    }

    /// What the judge of a service's rollout says; `None` while there is nothing to judge.
    pub fn judged(&self, name: &str) -> Option<Judged> {
        self.shared.judged.load().get(name).cloned()
    }

    /// How the warm-up of a service's rollout goes; `None` while there is none at work.
    pub fn warm_up(&self, service: &str) -> Option<String> {
        self.shared.warm_ups.read(service)
    }

    /// How far the smoke tests of an environment are; `None` while nobody has them run.
    pub fn smoke_ended(&self, service: &Name, environment: &Name) -> Option<Ended> {
        let (_, environment) = self.shared.published.load().routed(service, environment).ok()?;
        self.shared.smokes.ended(environment.id)
    }

    /// What an environment did in the last 15 minutes, as limits see it.
    pub fn base_measured(&self, environment: &Environment, plan: &Plan) -> BaseMeasured {
        let running = environment.in_flight.count();
        let measured = self.measured(environment.id, Window::Minutes15);
        let measured = measured.map_or_else(BaseMeasured::default, |m| m.against(plan, running));
        let now = self.shared.measurements.since_epoch(Instant::now());
        let users = (&quality(), ScoreOrigin::Users);
        let scores = self.shared.measurements.scores();
        // Those of the last hour outlast a restart, all others begin anew.
        let has_scores = [ScoreWindow::Hour, ScoreWindow::Start]
            .into_iter()
            .any(|window| scores.read_of(environment.id, users, window, now).count() > 0);
        BaseMeasured { has_scores, ..measured }
    }

    /// What the data plane works with.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Events from now on. `RecvError::Lagged(n)` says how many were lost.
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.events.listen()
    }

    /// Events after number `seq`, as far back as they are kept, and those to come.
    pub fn events_since(&self, seq: u64) -> Since {
        self.shared.events.since(seq)
    }

    /// Everything counted since the start, at most a second old.
    pub fn totals(&self) -> Arc<Totals> {
        self.shared.totals.load_full()
    }

    /// What was counted of an environment in a window; `None` when there is no such environment, or it was
    /// made within the last second.
    pub fn measured(&self, environment: EnvironmentId, window: Window) -> Option<Measured> {
        let measurements = &self.shared.measurements;
        let now = measurements.since_epoch(Instant::now());
        let mut measured = measurements.windows().read(environment, window, now)?;
        if window == Window::Start {
            measured.counts = self.totals().environments.get(&environment)?.counts.clone();
        }
        Some(measured)
    }

    /// What was counted of an environment in a time of any length, with these measures only; `None` as above.
    pub fn measured_over(
        &self,
        environment: EnvironmentId,
        span: Span,
        measures: &[Measure],
    ) -> Option<Measured> {
        let measurements = &self.shared.measurements;
        let now = measurements.since_epoch(Instant::now());
        measurements.windows().read_some(environment, span, measures, now)
    }

    /// Reads the cohorts of arrivals; `Duration` is the time since the epoch from which their seconds count.
    /// Whoever reads delays the collector, so it should not take long.
    pub fn cohorts<R>(&self, read: impl FnOnce(&CohortLog, Duration) -> R) -> R {
        let now = self.shared.measurements.since_epoch(Instant::now());
        read(&self.shared.measurements.cohorts(), now)
    }

    /// Forgets which keys of an environment failed: a new epoch of counting users begins.
    pub fn begin_failed_keys(&self, environment: EnvironmentId) {
        self.shared.measurements.cohorts().begin_keys(environment);
    }

    /// How long changes took from the decision to the last core, in microseconds.
    pub fn swap_times(&self) -> Distribution<u64> {
        self.shared.measurements.swaps().clone()
    }

    /// How long rollbacks took from what decided them to the last core, in microseconds.
    pub fn rollback_times(&self) -> Distribution<u64> {
        self.shared.measurements.rollbacks().clone()
    }

    /// A page of the journal, newest first.
    ///
    /// # Errors
    /// When the state file cannot be read.
    pub async fn journal(&self, query: Query) -> Result<Page, StoreError> {
        self.shared.kept.page(query).await
    }

    /// What the state file keeps, for reading: past rollouts and their records.
    pub fn kept(&self) -> &StateReader {
        &self.shared.kept
    }

    /// Whether the last changes are on the disk.
    pub fn store_state(&self) -> Arc<StoreState> {
        self.shared.store.load_full()
    }

    /// Whether traffic should come.
    pub fn readiness(&self) -> Readiness {
        *self.shared.readiness.borrow()
    }

    /// Waits until names and probes have had their first chance: 2 s at most.
    pub async fn started(&self) {
        let mut readiness = self.shared.readiness.subscribe();
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = readiness.wait_for(|readiness| *readiness != Readiness::Starting).await;
    }

    /// From now on `/readyz` says that no more traffic should come. Everything else goes on.
    pub fn announce_shutdown(&self) {
        if self.shared.readiness.send_replace(Readiness::ShuttingDown) != Readiness::ShuttingDown {
            let text = "cyan is shutting down; what is in flight is being finished".to_owned();
            self.shared.events.tell(None, "shutting_down", text, serde_json::Value::Null);
        }
    }

    /// Where the admin API is, and who may call it from one moment to the next.
    pub fn admin(&self) -> Arc<ArcSwap<AdminSpec>> {
        Arc::clone(&self.shared.admin)
    }

    /// Why the last reload was refused; `None` after one that was taken.
    pub fn config_problem(&self) -> Option<Arc<String>> {
        self.shared.config_problem.reason()
    }

    /// What the config in force says and only a restart takes over, in sentences.
    pub fn needs_restart(&self) -> Arc<Vec<String>> {
        self.shared.needs_restart.load_full()
    }

    /// Takes note of a config that could not even be read, so that status, events and journal show it.
    pub fn config_refused(&self, reading: Reading, actor: &str, problem: &str) {
        self.shared.config_refused(reading, problem);
        let text = format!("the new config was refused, the old one stays: {problem}");
        let details = serde_json::json!({ "problem": problem });
        let entry = NewEntry::of_process(actor.to_owned(), None, "reload_refused", text, details);
        // With a full queue it is lost to the journal; the log has it.
        let _ = self.requests.try_send(Asked::Remember(Box::new(entry)));
    }

    /// Waits until every core has ended and its last counts are in `totals`. Cancel safe.
    pub async fn counted(&self) {
        // The sender is in `shared`, so that it cannot be gone.
        let _ = self.shared.is_counted.subscribe().wait_for(|is_counted| *is_counted).await;
    }

    /// Has the controller write what is unwritten (2 s at most), and leave its state to another process:
    /// until that one has taken it or is gone, nothing is judged, and changes wait.
    ///
    /// # Errors
    /// When the disk does not take what is unwritten; the controller goes on then.
    pub async fn hand_over(&self) -> Result<StateAway, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Asked::HandOver(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What the process that was taken over still serves.
    pub fn predecessor(&self) -> &Predecessor {
        &self.shared.predecessor
    }

    /// Exchanges in flight here and in the process before; `None` while that one has not told.
    pub fn in_flight(&self) -> Option<InFlightByEnvironment> {
        let mut counts = self.shared.predecessor.told()?;
        for (service, environment) in self.shared.published.load().environments() {
            let here = environment.in_flight.count();
            if here > 0 {
                let service = counts.entry(service.to_string()).or_default();
                *service.entry(environment.name().to_string()).or_default() += here;
            }
        }
        Some(counts)
    }

    /// Drains that have not finished: service, environment, and the time that is left.
    pub fn drains_under_way(&self) -> Vec<(Name, Name, Duration)> {
        let published = self.shared.published.load();
        let under_way = |(service, environment): (&Name, &Arc<Environment>)| {
            let view = published.drains.get(&environment.id)?.borrow();
            let left = Duration::from_millis(view.left_ms);
            (view.state == "draining").then(|| (service.clone(), environment.name().clone(), left))
        };
        published.environments().filter_map(under_way).collect()
    }

    /// Another process serves from now on, and users' requests here are the last ones.
    pub fn announce_heir(&self, pid: Option<u32>) {
        self.shared.readiness.send_replace(Readiness::ShuttingDown);
        let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        let text = format!("{who} has taken over; what is in flight here is being finished");
        self.shared.events.tell(None, "handed_over", text, serde_json::json!({ "pid": pid }));
    }

    /// Waits until a bug has ended the controller. Cancel safe.
    pub async fn broken(&self) {
        // The sender is in `shared`, so that it cannot be gone.
        let _ = self.shared.is_broken.subscribe().wait_for(|is_broken| *is_broken).await;
    }

    /// Waits until the controller has ended and hooks have been told of everything before. Cancel safe.
    pub async fn delivered(&self) {
        // The sender is in `shared`, so that it cannot be gone.
        let _ = self.shared.is_delivered.subscribe().wait_for(|is_delivered| *is_delivered).await;
    }

    /// Writes what is unwritten (2 s at most), gives the state directory back and ends the
    /// controller.
    pub async fn shutdown(&self) {
        self.announce_shutdown();
        let (done, finished) = oneshot::channel();
        // An error says that it has ended already.
        if self.requests.send(Asked::ShutDown(done)).await.is_ok() {
            let _ = finished.await;
        }
    }
}

impl Shared {
    /// Shows why a config was refused until one is taken.
    pub(super) fn config_refused(&self, reading: Reading, problem: &str) {
        self.config_problem.refused(reading, problem);
        let text = format!("the new config was refused, the old one stays: {problem}");
        self.events.tell(None, "reload_refused", text, serde_json::json!({ "problem": problem }));
    }
}
