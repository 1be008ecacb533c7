//! A control plane for tests: the real controller on a real state file, and cores that only answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::boot::{Boot, StartError};
use super::command::{Applied, Command, EnvironmentView, Refused, Request};
use super::event::Event;
use super::handle::ControllerHandle;
use super::record::ServiceRecord;
use super::store::sqlite::{FILE_NAME, SqliteStore};
use super::store::{Committed, Evidence, ScoreSlot, Store, StoreError, Write};
use crate::config::Config;
use crate::config::resolved::{ADMIN_ADDRESS, AdminSpec, ShutdownSpec};
use crate::link::{CoreLinks, CoreMessage, CoreReport};
use crate::metrics::shard::ShardReport;
use crate::model::environment::{Environment, EnvironmentSpec};
use crate::model::listener::ListenAddress;
use crate::model::name::Name;
use crate::model::plan::Plans;
use crate::model::routing_table::Weighted;
use crate::model::service::{HeaderNames, InitialSplit, ServiceSpec, StreamErrors};
use crate::model::sticky::StickyRule;
use crate::model::weight::Weight;

/// The real store, with something between it and who commits.
pub(super) struct Tampered<F> {
    pub(super) store: SqliteStore,
    pub(super) commit: F,
}

impl<F> Store for Tampered<F>
where
    F: FnMut(&mut SqliteStore, &Write, &dyn Fn() -> bool) -> Result<Committed, StoreError>,
    F: Send + 'static,
{
    fn load(&mut self) -> Result<Vec<ServiceRecord>, StoreError> {
        self.store.load()
    }

    fn load_evidence(&mut self) -> Result<Vec<Evidence>, StoreError> {
        self.store.load_evidence()
    }

    fn load_scores(&mut self) -> Result<Vec<ScoreSlot>, StoreError> {
        self.store.load_scores()
    }

    fn commit(
        &mut self,
        write: &Write,
        still_wanted: &dyn Fn() -> bool,
    ) -> Result<Committed, StoreError> {
        (self.commit)(&mut self.store, write, still_wanted)
    }
}

/// How long a test waits for a state before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// `blue=95 green=5`
pub(super) fn weights(text: &str) -> Vec<Weighted> {
    let pair = |pair: &str| {
        let (environment, percent) = pair.split_once('=').unwrap();
        let weight = Weight::from_percent(percent.parse().unwrap()).unwrap();
        Weighted { environment: name(environment), weight }
    };
    text.split(' ').map(pair).collect()
}

/// A service `chat` with blue (active) and green (candidate).
pub(super) fn chat() -> ServiceSpec {
    let environment = |text: &str, port: u16| {
        let upstream = format!("http://127.0.0.1:{port}").parse().unwrap();
        EnvironmentSpec::new(name(text), vec![upstream])
    };
    ServiceSpec {
        name: name("chat"),
        hosts: vec![],
        path_prefixes: vec![],
        sticky: StickyRule::default(),
        headers: HeaderNames::default(),
        force: None,
        body_bytes_max: 1 << 20,
        body_bytes_by_path: Vec::new(),
        stream_errors: StreamErrors::Cut,
        requests_per_client: None,
        quality: None,
        smoke: Arc::default(),
        warm_up: None,
        environments: vec![environment("blue", 1), environment("green", 2)],
        initial: InitialSplit {
            active: name("blue"),
            candidate: Some(name("green")),
            fallback: None,
            weights: weights("blue=100 green=0"),
        },
        plans: Plans::default(),
    }
}

/// A config with these services and its state in `dir`.
pub(super) fn config(dir: &TempDir, services: Vec<ServiceSpec>) -> Config {
    Config {
        listeners: vec![],
        admin: AdminSpec {
            address: ListenAddress::Tcp(ADMIN_ADDRESS),
            public_url: None,
            token: None,
            tokens: vec![],
        },
        state_dir: dir.path().join("state"),
        workers: None,
        services,
        shutdown: ShutdownSpec { pre_stop: Duration::ZERO, drain: Duration::from_secs(1) },
        access_log: None,
        otlp: None,
        hooks: vec![],
        body_buffer_bytes_max: 1 << 20,
        from_variables: std::collections::BTreeSet::new(),
        files: std::collections::BTreeSet::new(),
    }
}

/// A controller at work, with two cores.
pub(super) struct Rig {
    pub(super) handle: ControllerHandle,
    pub(super) events: broadcast::Receiver<Arc<Event>>,
    /// Messages to core 0 beside quiesce and collect.
    pub(super) messages: mpsc::UnboundedReceiver<CoreMessage>,
    pub(super) reports: mpsc::Sender<CoreReport>,
    /// While set, core 1 answers nothing.
    pub(super) stuck: Arc<AtomicBool>,
    pub(super) state_file: std::path::PathBuf,
}

impl Rig {
    pub(super) fn start(config: &Config) -> Self {
        Self::try_start(config).unwrap()
    }

    pub(super) fn try_start(config: &Config) -> Result<Self, StartError> {
        Ok(Self::run(Boot::open(config)?, config))
    }

    pub(super) fn run(boot: Boot, config: &Config) -> Self {
        let stuck = Arc::new(AtomicBool::new(false));
        let (seen, messages) = mpsc::unbounded_channel();
        let (first, second) = (mpsc::channel(1024), mpsc::channel(1024));
        tokio::spawn(core(first.1, Some(seen), Arc::default()));
        tokio::spawn(core(second.1, None, Arc::clone(&stuck)));
        let (reports, inbox) = mpsc::channel(16);
        let handle = boot.run(CoreLinks::new(vec![first.0, second.0]), inbox);
        let events = handle.events();
        let state_file = config.state_dir.join(FILE_NAME);
        Self { handle, events, messages, reports, stuck, state_file }
    }

    pub(super) async fn ask(&self, command: Command) -> Result<Applied, Refused> {
        let request = Request { actor: "test".into(), reason: None, command };
        tokio::time::timeout(PATIENCE, self.handle.submit(request)).await.expect("an answer")
    }

    pub(super) async fn set(&self, text: &str) -> Result<Applied, Refused> {
        self.ask(set(text)).await
    }

    pub(super) async fn switch(&self, to: &str) -> Result<Applied, Refused> {
        let to = Some(name(to));
        self.ask(Command::Switch { service: name("chat"), to, if_generation: None }).await
    }

    pub(super) async fn roll_back(&self) -> Result<Applied, Refused> {
        self.ask(Command::RollBack { service: name("chat"), instant: false }).await
    }

    pub(super) async fn put(&self, environment: &str, upstream: &str) -> Result<Applied, Refused> {
        let upstreams = Some(vec![upstream.to_owned()]);
        let environment = name(environment);
        let service = name("chat");
        let put = Command::PutEnvironment {
            service,
            environment,
            upstreams,
            version: None,
            model: None,
            only_idle: false,
            if_generation: None,
        };
        self.ask(put).await
    }

    /// `blue=75 green=25`, as the data plane has it.
    pub(super) fn weights(&self) -> String {
        let snapshot = self.handle.snapshot();
        let table = snapshot.table("chat").unwrap();
        let weights = table.assignment.weights();
        let texts: Vec<_> =
            weights.iter().map(|w| format!("{}={}", w.environment, w.weight)).collect();
        texts.join(" ")
    }

    pub(super) fn generation(&self) -> u64 {
        self.handle.service("chat").unwrap().generation
    }

    pub(super) fn view(&self, environment: &str) -> EnvironmentView {
        let service = self.handle.service("chat").unwrap();
        service.environments.into_iter().find(|e| e.name == *environment).unwrap()
    }

    pub(super) fn environment(&self, environment: &str) -> Arc<Environment> {
        let snapshot = self.handle.snapshot();
        Arc::clone(snapshot.table("chat").unwrap().environment(environment).unwrap())
    }

    /// Waits for the next event of a kind.
    pub(super) async fn event(&mut self, kind: &str) -> Arc<Event> {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("events go on");
                if event.kind == kind {
                    return event;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no `{kind}`"))
    }

    /// Holds the state file as a tool would that has begun to write.
    pub(super) fn hold_the_file(&self) -> rusqlite::Connection {
        let tool = rusqlite::Connection::open(&self.state_file).unwrap();
        tool.busy_timeout(Duration::from_secs(5)).unwrap();
        tool.execute_batch("BEGIN IMMEDIATE").unwrap();
        tool
    }
}

pub(super) fn set(text: &str) -> Command {
    let (service, weights) = (name("chat"), weights(text));
    Command::SetWeights { service, weights, candidate: None, if_generation: None }
}

/// A core that acks and hands over counts, unless it is stuck; then it does so when it is no
/// longer.
async fn core(
    mut mailbox: mpsc::Receiver<CoreMessage>,
    seen: Option<mpsc::UnboundedSender<CoreMessage>>,
    stuck: Arc<AtomicBool>,
) {
    let mut unanswered: Vec<oneshot::Sender<()>> = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_millis(10), mailbox.recv()).await;
        match message {
            Ok(Some(CoreMessage::Quiesce(ack))) => unanswered.push(ack),
            Ok(Some(CoreMessage::Collect(answer))) if !stuck.load(Ordering::Relaxed) => {
                let _ = answer.send(ShardReport { requests: 1, ..ShardReport::default() });
            }
            Ok(Some(CoreMessage::OldestInFlight(_, answer))) => {
                let _ = answer.send(None);
            }
            Ok(Some(other)) => {
                if let Some(seen) = &seen {
                    let _ = seen.send(other);
                }
            }
            Ok(None) => return,
            Err(_) => {}
        }
        if !stuck.load(Ordering::Relaxed) {
            for ack in unanswered.drain(..) {
                let _ = ack.send(());
            }
        }
    }
}
