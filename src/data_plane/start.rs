//! Starts the cores, and waits for them to end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::accept::{Entrance, Socket};
use super::access_log::{self, AccessLog, LogWriter};
use super::admission::AddressCounts;
use super::budget::BufferBudget;
use super::client_rates::ClientRates;
use super::clients::Clients;
use super::conversations::Conversations;
use super::core::{Core, Handover};
use super::descriptors::Descriptors;
use super::engine::serve::Engine;
use super::flight::Flights;
use super::greeting::TurnedAway;
use super::handshake::Turns;
use super::lean::LeanEngine;
use super::recorder::{Listener, Recorder};
use crate::config::Config;
use crate::link::{CoreLinks, CoreMessage, CoreReport, MAILBOX_MESSAGES_MAX};
use crate::listen::{self, Bound, ListenError, Listening, SocketSet};
use crate::metrics::feed::Feed;
use crate::model::listener::ListenerSpec;
use crate::model::snapshot::Snapshot;
use crate::tls::server::{ServerTls, TlsServerError};

/// Connections on their way from one core to another.
const HANDOVERS_MAX: usize = 1024;
/// Set to `hyper`, this variable has hyper serve every request: for comparing the engines, and as a way
/// out should the lean one ever be at fault.
const ENGINE_VARIABLE: &str = "CYAN_ENGINE";
/// Event-loop rounds that a runtime does between two looks at its sockets. Lower than tokio's 61: with
/// few cores a burst of new streams must not keep the tokens of the others waiting.
const EVENT_INTERVAL: u32 = 31;
/// Tasks that a runtime runs between two looks for messages from other threads. Lower than tokio's 31,
/// because a change of weights is such a message, and its call answers when the last core has seen it.
const MESSAGE_INTERVAL: u32 = 8;

/// The running data plane.
pub struct DataPlane {
    /// The mailboxes of its cores.
    pub links: CoreLinks,
    /// The addresses it listens on, free ports resolved, in the order of the config.
    pub addresses: Vec<SocketAddr>,
    /// TLS of its listeners, to be renewed; `None` where none speaks it.
    pub tls: Option<Arc<ServerTls>>,
    threads: Vec<JoinHandle<()>>,
    log: Option<LogWriter>,
    gate: watch::Sender<bool>,
}

/// Everything that a config asks of the system, taken and checked, before a core runs.
pub struct Prepared {
    entrances: Vec<Vec<EntranceSeed>>,
    addresses: Vec<SocketAddr>,
    tls: Option<Arc<ServerTls>>,
    log: Option<(AccessLog, LogWriter)>,
}

/// Has the access log opened anew.
pub type ReopenLog = Box<dyn Fn() + Send + Sync>;

/// Why the data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsServerError),
    /// The access log.
    #[error("cannot open the access log `{path}`: {problem}; see `access_log.path`")]
    AccessLog {
        /// Its path.
        path: String,
        /// What the system said.
        problem: String,
    },
    /// A thread, its event loop, or a descriptor.
    #[error("cannot start a core: {0}")]
    Thread(#[from] std::io::Error),
}

/// What a core's thread needs to begin.
struct Seed {
    number: usize,
    snapshot: Arc<ArcSwap<Snapshot>>,
    budget: Arc<BufferBudget>,
    rates: Arc<ClientRates>,
    conversations: Arc<Conversations>,
    open: Arc<[Arc<AtomicU32>]>,
    handovers: Arc<[mpsc::Sender<Handover>]>,
    links: CoreLinks,
    reports: mpsc::Sender<CoreReport>,
    log: Option<AccessLog>,
    feed: Feed,
    trace_share: Option<f64>,
    is_lean: bool,
    entrances: Vec<EntranceSeed>,
    gate: watch::Receiver<bool>,
    mailbox: mpsc::Receiver<CoreMessage>,
    handed: mpsc::Receiver<Handover>,
}

struct EntranceSeed {
    spec: ListenerSpec,
    sockets: Vec<Bound>,
    tls: Option<Arc<ServerTls>>,
    permits: Arc<Semaphore>,
    addresses: Option<Arc<AddressCounts>>,
}

impl Prepared {
    /// Takes every listener that `inherited` has, binds the others, and reads certificates. Copies of all
    /// sockets go to `kept`, to be lent to a process that takes over.
    ///
    /// # Errors
    /// When an address, a certificate or the log cannot be had.
    pub fn new(
        config: &Config,
        inherited: &mut SocketSet,
        kept: &mut SocketSet,
    ) -> Result<Self, StartError> {
        let cores = config.workers.unwrap_or_else(available_cores);
        // One for all listeners: the config has one part about TLS.
        let tls = config.listeners.iter().find_map(|listener| listener.tls.as_ref());
        let tls = tls.map(ServerTls::new).transpose()?.map(Arc::new);
        let (entrances, addresses) = open_entrances(config, cores, tls.as_ref(), inherited, kept)?;
        Ok(Self { entrances, addresses, tls, log: open_log(config)? })
    }
}

impl DataPlane {
    /// Starts one thread per core. They accept once the gate is open, and tell `feed` of every exchange
    /// while somebody watches it.
    ///
    /// # Errors
    /// When a thread or an event loop cannot be had.
    pub fn start(
        config: &Config,
        prepared: Prepared,
        snapshot: &Arc<ArcSwap<Snapshot>>,
        reports: &mpsc::Sender<CoreReport>,
        feed: &Feed,
    ) -> Result<Self, StartError> {
        let Prepared { mut entrances, addresses, tls, log } = prepared;
        let cores = entrances.len();
        let (log, writer) = log.unzip();
        let (gate, is_open) = watch::channel(false);
        let is_lean = std::env::var_os(ENGINE_VARIABLE).is_none_or(|engine| engine != "hyper");
        let (links, mailboxes): (Vec<_>, Vec<_>) =
            (0..cores).map(|_| mpsc::channel(MAILBOX_MESSAGES_MAX)).unzip();
        let links = CoreLinks::new(links);
        let (handovers, handed): (Vec<_>, Vec<_>) =
            (0..cores).map(|_| mpsc::channel(HANDOVERS_MAX)).unzip();
        let open: Arc<[_]> = (0..cores).map(|_| Arc::new(AtomicU32::new(0))).collect();
        let handovers: Arc<[_]> = handovers.into();
        let budget = BufferBudget::new(config.body_buffer_bytes_max);
        let rates = Arc::new(ClientRates::new(links.epoch(), fastrand::u64(..)));
        let conversations = Arc::<Conversations>::default();
        let mut threads = Vec::with_capacity(cores);
        for (number, (mailbox, handed)) in mailboxes.into_iter().zip(handed).enumerate() {
            let seed = Seed {
                number,
                snapshot: Arc::clone(snapshot),
                budget: Arc::clone(&budget),
                rates: Arc::clone(&rates),
                conversations: Arc::clone(&conversations),
                open: Arc::clone(&open),
                handovers: Arc::clone(&handovers),
                links: links.clone(),
                reports: reports.clone(),
                log: log.clone(),
                feed: feed.clone(),
                trace_share: config.otlp.as_ref().map(|otlp| otlp.sample),
                is_lean,
                entrances: entrances.remove(0),
                gate: is_open.clone(),
                mailbox,
                handed,
            };
            let runtime = move || -> std::io::Result<LocalRuntime> {
                Builder::new_current_thread()
                    .enable_all()
                    .event_interval(EVENT_INTERVAL)
                    .global_queue_interval(MESSAGE_INTERVAL)
                    .build_local(LocalOptions::default())
            };
            let name = format!("cyan-core-{number}");
            let (started, has_started) = std::sync::mpsc::channel();
            let thread = thread::Builder::new().name(name).spawn(move || match runtime() {
                Ok(runtime) => {
                    let _ = started.send(Ok(()));
                    runtime.block_on(seed.grow());
                }
                Err(error) => drop(started.send(Err(error))),
            })?;
            has_started.recv().unwrap_or(Ok(()))?;
            threads.push(thread);
        }
        Ok(Self { links, addresses, tls, threads, log: writer, gate })
    }

    /// From now on the cores accept. Clients that came before have waited in the sockets.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// Whether every core has ended.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Whether, after every core has ended, the last line of the access log is written.
    pub fn is_logged(&self) -> bool {
        self.log.as_ref().is_none_or(LogWriter::is_over)
    }

    /// Has the access log opened anew; to be called by whoever gets the signal.
    pub fn reopen_log(&self) -> ReopenLog {
        let reopen = self.log.as_ref().map(LogWriter::reopen);
        Box::new(move || reopen.iter().for_each(|reopen| reopen()))
    }
}

impl Seed {
    async fn grow(self) {
        let recorder = Rc::new(self.recorder());
        let now = Instant::now();
        let core = Rc::new(Core {
            number: self.number,
            snapshot: self.snapshot,
            recorder,
            flights: Rc::new(Flights::default()),
            clients: Rc::new(Clients::new(Arc::clone(&self.open[self.number]), now)),
            arrivals: Rc::default(),
            turned_away: TurnedAway::default(),
            budget: self.budget,
            engine: Engine::default(),
            lean: LeanEngine::default(),
            is_lean: self.is_lean,
            descriptors: Descriptors::of_this_process(),
            open: self.open,
            handovers: self.handovers,
            handshakes: Turns::default(),
            stop: Notify::new(),
        });
        let entrances = self.entrances.into_iter().enumerate();
        let entrances = entrances.map(|(number, seed)| seed.grow(number)).collect();
        let mut mailbox = self.mailbox;
        Rc::clone(&core).run(entrances, self.gate, &mut mailbox, self.handed).await;
        // Before the mailbox closes: whoever sees that finds the report.
        self.links.leave(self.number, core.report());
    }

    fn recorder(&self) -> Recorder {
        let reports = self.reports.clone();
        let tell = Box::new(move |report| reports.try_send(report).is_ok());
        let mut listeners: Vec<Box<dyn Listener>> = vec![Box::new(self.feed.clone())];
        listeners.extend(self.log.clone().map(|log| Box::new(log) as Box<dyn Listener>));
        let recorder = Recorder::new(self.links.epoch(), fastrand::Rng::new(), tell, listeners)
            .sharing(Arc::clone(&self.rates), Arc::clone(&self.conversations));
        match self.trace_share {
            Some(share) => recorder.tracing(share),
            None => recorder,
        }
    }
}

impl EntranceSeed {
    /// Puts the sockets into this thread's event loop.
    fn grow(self, number: usize) -> (Rc<Entrance>, Vec<Socket>) {
        let register = |bound| match bound {
            Bound::Tcp(listener) => tokio::net::TcpListener::from_std(listener).map(Socket::Tcp),
            Bound::Unix(listener) => tokio::net::UnixListener::from_std(listener).map(Socket::Unix),
        };
        let sockets = self.sockets.into_iter().filter_map(|bound| register(bound).ok()).collect();
        let trusted = self.spec.trusted_proxies.clone().into();
        let Self { spec, tls, permits, addresses, .. } = self;
        (Rc::new(Entrance { number, spec, tls, permits, addresses, trusted }), sockets)
    }
}

/// The listeners of every core, and their addresses.
fn open_entrances(
    config: &Config,
    cores: usize,
    tls: Option<&Arc<ServerTls>>,
    inherited: &mut SocketSet,
    kept: &mut SocketSet,
) -> Result<(Vec<Vec<EntranceSeed>>, Vec<SocketAddr>), StartError> {
    let mut by_core: Vec<Vec<EntranceSeed>> = (0..cores).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for spec in &config.listeners {
        let permits = Arc::new(Semaphore::new(spec.connections_max as usize));
        let by_address =
            spec.connections_per_address_max.map(|max| AddressCounts::new(max, fastrand::u64(..)));
        let listening = match inherited.take(&spec.address) {
            Some(listening) => Listening { address: spec.address.clone(), ..listening },
            None => listen::bind(&spec.address, cores)?,
        };
        addresses.extend(listening.given());
        kept.keep(&listening)?;
        for (core, sockets) in listening.share(cores)?.into_iter().enumerate() {
            by_core[core].push(EntranceSeed {
                spec: spec.clone(),
                sockets,
                tls: tls.cloned(),
                permits: Arc::clone(&permits),
                addresses: by_address.clone(),
            });
        }
    }
    Ok((by_core, addresses))
}

fn open_log(config: &Config) -> Result<Option<(AccessLog, LogWriter)>, StartError> {
    let Some(spec) = &config.access_log else { return Ok(None) };
    let log = access_log::start(spec).map_err(|error| StartError::AccessLog {
        path: spec.path.display().to_string(),
        problem: error.to_string(),
    })?;
    Ok(Some(log))
}

/// Cores this process may use; a container's quota counts.
fn available_cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
