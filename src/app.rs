//! Puts the parts together: both planes, the admin API, and what it takes to start and to end them.
//!
//! The control plane has a thread of its own, so that nothing it does can hold a request up. Starting
//! is: state, then a first look at who has users by it, then public listeners, then everything else; in
//! a takeover the listeners come first, for as long as the running process has the state. How it ends
//! stands in `life`.

pub mod kept;
mod life;
pub mod serve;
mod service_manager;
mod successor;
pub mod takeover;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

use self::life::Life;
use self::takeover::claim::{Claim, ClaimError};
use self::takeover::message::Line;
use self::takeover::offer::{Heir, Offer};
use self::takeover::{Sockets, farewell};
use crate::admin::{self, AdminListener, ReadConfig};
use crate::config::Config;
use crate::control_plane::boot::{Boot, StartError as BootError};
use crate::control_plane::handle::ControllerHandle;
use crate::control_plane::store::StoreError;
use crate::data_plane::{DataPlane, Prepared, ReopenLog, StartError as DataPlaneError};
use crate::link::CoreMessage;
use crate::metrics::feed::Feed;
use crate::model::entrance::Entrance;
use crate::model::listener::ListenAddress;
#[cfg(feature = "otlp")]
use crate::otlp::Export;

/// A process that was killed gives its lock back a moment after its connections.
const DEATH_LIMIT: Duration = Duration::from_secs(1);

/// Reports of cores that the controller has not read yet.
const REPORTS_MAX: usize = 4096;
/// What still waits in the background when everything else has ended has this long.
const LAST_WORK: Duration = Duration::from_secs(1);

/// A running Cyan.
pub struct App {
    controller: ControllerHandle,
    addresses: Vec<SocketAddr>,
    admin_address: ListenAddress,
    reopen_log: ReopenLog,
    heir: watch::Receiver<Option<Heir>>,
    stop: Option<oneshot::Sender<()>>,
    control_thread: Option<JoinHandle<()>>,
}

/// Why Cyan cannot start. Nothing is left running; the state may hold a journal entry of the attempt.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A public listener.
    #[error(transparent)]
    DataPlane(#[from] DataPlaneError),
    /// The admin listener.
    #[error(transparent)]
    Admin(#[from] admin::ListenError),
    /// The process that was to be taken over.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A thread or an event loop.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Everything that a start takes from the system, before anything runs.
struct Taken {
    boot: Boot,
    prepared: Prepared,
    listener: AdminListener,
    sockets: Sockets,
    claim: Option<Claim>,
}

impl App {
    /// Starts everything; requests are served when it returns. `read_config` reads the file anew for a
    /// reload; `None` for a Cyan without a file.
    ///
    /// # Errors
    /// When the state, an address or a certificate cannot be had.
    pub fn start(config: &Config, read_config: Option<ReadConfig>) -> Result<Self, StartError> {
        let runtime = control_runtime()?;
        let mut boot = Boot::open(config)?;
        wait_for(&runtime, boot.look_first());
        let (mut inherited, mut sockets) = (Sockets::default(), Sockets::default());
        let (prepared, listener) = listen(config, &mut inherited, &mut sockets)?;
        let taken = Taken { boot, prepared, listener, sockets, claim: None };
        Self::run(config, read_config, runtime, taken)
    }

    /// The same in place of the process that waits at `path`, without a moment in which nobody serves.
    ///
    /// # Errors
    /// As above, and when that process does not let go. It goes on serving then.
    pub fn take_over(
        config: &Config,
        read_config: Option<ReadConfig>,
        path: &Path,
    ) -> Result<Self, StartError> {
        let runtime = control_runtime()?;
        let (mut claim, mut inherited) = wait_for(&runtime, Claim::begin(path))?;
        let mut sockets = Sockets::default();
        let (prepared, listener) = listen(config, &mut inherited, &mut sockets)?;
        wait_for(&runtime, claim.ask_for_state())?;
        let mut boot = open_state(config, &runtime, &claim)?;
        wait_for(&runtime, boot.look_first());
        let taken = Taken { boot, prepared, listener, sockets, claim: Some(claim) };
        let app = Self::run(config, read_config, runtime, taken)?;
        // What is left is listened on no more; the process before lets in who waits there.
        inherited.public.close();
        inherited.admin.close();
        Ok(app)
    }

    fn run(
        config: &Config,
        read_config: Option<ReadConfig>,
        runtime: Runtime,
        taken: Taken,
    ) -> Result<Self, StartError> {
        let Taken { boot, prepared, listener, sockets, claim } = taken;
        let admin_address = listener.address().clone();
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        let feed = Feed::default();
        let data_plane = DataPlane::start(config, prepared, &boot.snapshot(), &reports, &feed)?;
        let (addresses, reopen_log) = (data_plane.addresses.clone(), data_plane.reopen_log());
        let entrance = Entrance::among(&config.listeners, &addresses);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (told, heir) = watch::channel(None);
        let config = config.clone();
        let run = move || {
            runtime.block_on(async move {
                let before = match open_gate(&data_plane, claim).await {
                    Ok(before) => before,
                    Err(error) => {
                        data_plane.links.post(|| CoreMessage::StopAccepting(Duration::ZERO));
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let controller = boot.run(data_plane.links.clone(), inbox);
                if let Some(line) = before {
                    // Before anything is awaited, and so before the controller's first step.
                    controller.predecessor().lives();
                    tokio::spawn(farewell::follow(line, controller.clone())); // until that one ends
                }
                entrance.into_iter().for_each(|entrance| controller.announce_entrance(entrance));
                data_plane.tls.iter().for_each(|tls| controller.announce_tls(Arc::clone(tls)));
                #[cfg(feature = "otlp")]
                let export = config.otlp.map(|spec| Export::start(&spec, &feed, &controller));
                let offer = Offer::open(&config.state_dir).inspect_err(|error| {
                    tracing::warn!(%error, "no takeover will be possible: no socket in the state directory");
                });
                let _ = ready.send(Ok(controller.clone()));
                let life = Life {
                    controller,
                    data_plane,
                    shutdown: config.shutdown,
                    read_config,
                    feed,
                    sockets,
                    offer: offer.ok(),
                    heir: told,
                };
                life.run(listener, stopped).await;
                #[cfg(feature = "otlp")]
                if let Some(export) = export {
                    export.finish().await;
                }
            });
            // Who waits for a disk or a name server that does not answer is not waited for.
            runtime.shutdown_timeout(LAST_WORK);
        };
        let control_thread = thread::Builder::new().name("cyan-control".into()).spawn(run)?;
        let controller = is_ready.recv().map_err(std::io::Error::other)??;
        let (stop, control_thread) = (Some(stop), Some(control_thread));
        Ok(Self { controller, addresses, admin_address, reopen_log, heir, stop, control_thread })
    }

    /// The addresses that clients connect to, free ports resolved.
    pub fn public_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the admin API.
    pub fn admin_address(&self) -> &ListenAddress {
        &self.admin_address
    }

    /// The way to the controller.
    pub fn controller(&self) -> &ControllerHandle {
        &self.controller
    }

    /// Opens the access log anew, for those who move it and say so.
    pub fn reopen_log(&self) {
        (self.reopen_log)();
    }

    /// Waits until another process has taken over, from when on this one drains; `None` when this one has
    /// ended without being asked to, by a bug. Cancel safe.
    pub async fn left(&self) -> Option<Heir> {
        let mut heir = self.heir.clone();
        heir.wait_for(Option::is_some).await.ok().and_then(|heir| *heir)
    }

    /// Ends everything in order. Returns when nothing runs any more.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that it has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.control_thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

fn control_runtime() -> std::io::Result<Runtime> {
    raise_descriptor_limit();
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Waits on a thread of its own: whoever calls may be in an event loop already.
fn wait_for<T: Send>(runtime: &Runtime, work: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| runtime.block_on(work));
        waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Takes every listener of the config, those of the process before where it has them.
fn listen(
    config: &Config,
    inherited: &mut Sockets,
    kept: &mut Sockets,
) -> Result<(Prepared, AdminListener), StartError> {
    let prepared = Prepared::new(config, &mut inherited.public, &mut kept.public)?;
    let address = &config.admin.address;
    let listener = AdminListener::bind(address, &mut inherited.admin, &mut kept.admin)?;
    crate::listen::close_rest();
    Ok((prepared, listener))
}

/// Takes the state that was left, or that a process which has gone leaves in a while.
fn open_state(config: &Config, runtime: &Runtime, claim: &Claim) -> Result<Boot, BootError> {
    if !claim.is_alone() {
        return Boot::open(config);
    }
    // By its config, which should be like ours.
    let limit = config.shutdown.pre_stop + config.shutdown.drain + DEATH_LIMIT;
    let deadline = Instant::now() + limit;
    let mut is_told = false;
    loop {
        match Boot::open_within(config, DEATH_LIMIT) {
            // Whoever waits to be taken over has the state and serves: it is a third process.
            Err(BootError::Store(error @ StoreError::InUse { .. }))
                if Instant::now() < deadline && !wait_for(runtime, claim.is_somebody_there()) =>
            {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, ?limit, "waiting until the process before has ended");
                }
            }
            opened => return opened,
        }
    }
}

/// Lets the cores accept: at once, or when the process before has let go. The connection to that one.
async fn open_gate(
    data_plane: &DataPlane,
    claim: Option<Claim>,
) -> Result<Option<Line>, ClaimError> {
    let Some(mut claim) = claim else {
        data_plane.open_gate();
        return Ok(None);
    };
    claim.ask_to_serve().await?;
    data_plane.open_gate();
    Ok(Some(claim.tell_serving().await))
}

/// Lets the process have as many descriptors as the system allows: each stream needs two.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A soft limit up to the hard one is always allowed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
