//! The start of the control plane, in two halves.
//!
//! The first tables must exist before the cores do, and the controller needs the cores' mailboxes.
//! So `open` takes the state directory and makes the tables, and `run` goes to work when the cores
//! are up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::change::{Next, reload};
use super::clock::unix_ms;
use super::command::Refused;
use super::config_problem::ConfigProblem;
use super::controller::Controller;
use super::event::Events;
use super::first_look::{self, Silence};
use super::handle::{ControllerHandle, REQUESTS_MAX, Shared, StoreState};
use super::hooks::Hooks;
use super::journal::NewEntry;
use super::measurements::Measurements;
use super::observers::Observers;
use super::published::Published;
use super::quality::Evaluating;
use super::readiness::Readiness;
use super::record::ServiceRecord;
use super::remarks::Remarks;
use super::scores::ScoreListeners;
use super::services::Services;
use super::smoke::Running;
use super::store::lock::StateLock;
use super::store::sqlite::SqliteStore;
use super::store::writer::Writer;
use super::store::{Evidence, ScoreSlot, StateReader, Store as _, StoreError, Write};
use super::totals::Totals;
use super::warm_up::Board;
use crate::config::Config;
use crate::link::{CoreLinks, CoreReport};
use crate::model::name::Name;
use crate::model::snapshot::Snapshot;

/// Why Cyan does not start. `Display` names the value, the rule and the remedy.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// File and state do not fit together.
    #[error("the config does not fit the state in `state_dir`: {0}")]
    Unfit(Box<Refused>),
    /// The system gives no thread for the store.
    #[error("no thread for the store: {0}; raise the limit on threads or processes")]
    Thread(String),
}

/// The state, taken and brought under the config; not yet at work.
pub struct Boot {
    config: Config,
    lock: StateLock,
    pub(super) writer: Writer,
    kept: StateReader,
    services: Services,
    snapshot: Arc<ArcSwap<Snapshot>>,
    owed: Option<(Vec<ServiceRecord>, Vec<NewEntry>)>,
    evidence: Vec<Evidence>,
    scores: Vec<ScoreSlot>,
    /// Services that were there before.
    restored: Vec<Name>,
    silences: Vec<Silence>,
}

impl Boot {
    /// Takes the state directory, restores what was there or begins with the file's weights, and
    /// makes the first tables.
    ///
    /// # Errors
    /// When another process has the state, it cannot be read, or it does not fit the config. It is
    /// not changed then.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        Self::open_within(config, Duration::ZERO)
    }

    /// The same, also after a process that gives the state back within `patience`. Blocks the thread.
    ///
    /// # Errors
    /// As above, at the end of the patience.
    pub fn open_within(config: &Config, patience: Duration) -> Result<Self, StartError> {
        let lock = StateLock::take_within(&config.state_dir, patience)?;
        let mut store = SqliteStore::open(&config.state_dir)?;
        let reader = StateReader::new(store.path());
        let kept = store.load()?;
        let evidence = store.load_evidence()?;
        let scores = store.load_scores()?;
        let restored = kept.iter().map(|record| record.service.clone()).collect();
        let mut services = Services::default();
        services.dormant.extend(kept.into_iter().map(|record| (record.service.clone(), record)));
        let (records, entries) = restore(config, &mut services)?;
        let write = Write { records, journal: entries, ..Write::default() };
        // A disk that cannot be written keeps nobody from being served with what is known; the
        // controller tries again and says so.
        let owed =
            store.commit(&write, &|| true).is_err().then_some((write.records, write.journal));
        let writer = Writer::start(store).map_err(|error| StartError::Thread(error.to_string()))?;
        let snapshot = Arc::new(ArcSwap::from_pointee(services.snapshot()));
        let config = config.clone();
        Ok(Self {
            config,
            lock,
            writer,
            kept: reader,
            services,
            snapshot,
            owed,
            evidence,
            scores,
            restored,
            silences: vec![],
        })
    }

    /// Asks the upstreams that restored weights send users to whether they answer, for a second at most.
    /// To be called before anybody is served. Who does not answer is out until it does.
    pub async fn look_first(&mut self) {
        self.silences = first_look::take(&self.services, &self.restored).await;
    }

    /// The tables, for the cores.
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// Goes to work on the runtime it is called in: the controller, probes, name look-ups, counts.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn run(self, links: CoreLinks, reports: mpsc::Receiver<CoreReport>) -> ControllerHandle {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let (hooks, lanes) = Hooks::new(&self.config.hooks, self.config.admin.public_url.clone());
        let shared = Arc::new(Shared {
            links: links.clone(),
            snapshot: self.snapshot,
            published: ArcSwap::from_pointee(Published::default()),
            changed: watch::Sender::new(0),
            is_counted: watch::Sender::new(false),
            is_broken: watch::Sender::new(false),
            is_delivered: watch::Sender::new(false),
            probes: Remarks::default(),
            suspicions: Remarks::default(),
            events: Events::default(),
            hooks,
            smokes: Running::default(),
            totals: ArcSwap::from_pointee(Totals::new(links.count())),
            measurements: Measurements::new(links.count(), links.epoch()),
            score_listeners: ScoreListeners::default(),
            evaluating: Evaluating::default(),
            warm_ups: Board::default(),
            entrance: OnceLock::new(),
            tls: OnceLock::new(),
            kept: self.kept,
            readiness: watch::Sender::new(Readiness::Starting),
            store: ArcSwap::from_pointee(StoreState::default()),
            judged: ArcSwap::default(),
            admin: Arc::new(ArcSwap::from_pointee(self.config.admin.clone())),
            started_with: self.config.clone(),
            config_problem: ConfigProblem::default(),
            from_variables: ArcSwap::from_pointee(self.config.from_variables.clone()),
            needs_restart: ArcSwap::default(),
            predecessor: self.services.predecessor.clone(),
        });
        let mut controller = Controller::new(
            self.services,
            self.config,
            links.clone(),
            Arc::clone(&shared),
            self.writer,
            self.lock,
        );
        if let Some((records, entries)) = self.owed {
            controller.owe_first_records(records, entries);
        }
        controller.publish_view();
        tell_silences(&shared, &self.silences);
        let now = std::time::Instant::now();
        shared.measurements.know(shared.published.load().tables(), now);
        shared.restore_scores(&self.scores, now);
        let observers = Observers::start(links, &shared);
        let deliveries = lanes.start(&shared);
        let evidence = self.evidence;
        // The one task that changes anything. It ends by `shutdown` or with a takeover, and the observers
        // with it. What hooks are to be told by then they are told, for as long as this process is there.
        let told = Arc::clone(&shared);
        tokio::spawn(async move {
            let running = tokio::spawn(controller.run(inbox, reports, evidence));
            if running.await.is_err() {
                told.is_broken.send_replace(true);
            }
            drop(observers);
            deliveries.finish().await;
            told.is_delivered.send_replace(true);
        });
        ControllerHandle { requests, shared }
    }
}

/// Brings every kept record under the config, or makes a first one, and puts it to work. Returns
/// what the store does not have yet.
fn restore(
    config: &Config,
    services: &mut Services,
) -> Result<(Vec<ServiceRecord>, Vec<NewEntry>), StartError> {
    let unfit = |refused| StartError::Unfit(Box::new(refused));
    let mut random = || fastrand::u64(..);
    let (mut records, mut entries) = (Vec::new(), vec![started(config)]);
    for file in &config.services {
        let kept = services.dormant.get(&file.name).cloned();
        let mut record = match &kept {
            Some(kept) => reload::reconcile(file, kept, &|_| 0, &mut random).map_err(unfit)?,
            None => reload::first_record(file, &mut random),
        };
        if kept.as_ref() != Some(&record) {
            record.generation += 1;
            entries.push(began(&record, kept.as_ref()));
            records.push(record.clone());
        }
        services.install(Next::new(Arc::new(file.clone()), record).map_err(unfit)?);
    }
    Ok((records, entries))
}

fn tell_silences(shared: &Shared, silences: &[Silence]) {
    for Silence { service, environment, text } in silences {
        let details = json!({ "environment": environment, "answers": text });
        let text = format!("{environment} has users and does not answer all of them: {text}");
        shared.events.tell(Some(service), "restored_silent", text, details);
    }
}

fn started(config: &Config) -> NewEntry {
    let services: Vec<_> = config.services.iter().map(|file| file.name.to_string()).collect();
    NewEntry {
        at: unix_ms(),
        service: None,
        generation: 0,
        actor: "controller".to_owned(),
        kind: "started".to_owned(),
        reason: None,
        text: format!("cyan {} started for {}", env!("CARGO_PKG_VERSION"), services.join(", ")),
        before: Value::Null,
        after: Value::Null,
        details: json!({ "services": services, "pid": std::process::id() }),
    }
}

fn began(record: &ServiceRecord, before: Option<&ServiceRecord>) -> NewEntry {
    let (kind, text) = match before {
        None => ("service_began", "began with the file's weights"),
        Some(_) => ("service_adapted", "took over the file's environments; weights stay"),
    };
    NewEntry {
        at: unix_ms(),
        service: Some(record.service.clone()),
        generation: record.generation,
        actor: "file".to_owned(),
        kind: kind.to_owned(),
        reason: None,
        text: format!("{} {text}", record.service),
        before: json!(before),
        after: json!(record),
        details: Value::Null,
    }
}
