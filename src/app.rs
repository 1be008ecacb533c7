//! Puts the parts together: both planes, the admin API, signals, and the order in which they end.
//!
//! The control plane has a thread of its own, so that nothing it does can hold a request up. Starting
//! is: state, then a first look at who has users by it, then public listeners, then everything else. Ending is: say so on `/readyz`, stop
//! accepting, let exchanges finish, end what remains at the deadline, and give the state back last.

pub mod kept;
mod service_manager;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use self::service_manager::ServiceManager;
use crate::admin::{self, Admin, AdminListener, ReadConfig};
use crate::config::Config;
use crate::config::resolved::{AdminSpec, ShutdownSpec};
use crate::control_plane::boot::{Boot, StartError as BootError};
use crate::control_plane::command::{Command, Request};
use crate::control_plane::handle::ControllerHandle;
use crate::data_plane::{DataPlane, ReopenLog, StartError as DataPlaneError};
use crate::link::CoreMessage;
use crate::metrics::feed::Feed;
use crate::model::entrance::Entrance;
use crate::model::listener::ListenAddress;
#[cfg(feature = "otlp")]
use crate::otlp::Export;

/// Reports of cores that the controller has not read yet.
const REPORTS_MAX: usize = 4096;
/// How long broken-off exchanges have to get their last bytes out.
const LAST_BYTES: Duration = Duration::from_secs(2);
/// How long the access log has to write its last lines. Whoever reads standard output may have stopped.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long the last counts of the cores may take to be summed up.
const LAST_COUNTS: Duration = Duration::from_millis(500);

/// A running Cyan.
pub struct App {
    controller: ControllerHandle,
    addresses: Vec<SocketAddr>,
    admin_address: ListenAddress,
    reopen_log: ReopenLog,
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
    /// A thread or an event loop.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the control plane's thread works with.
struct ControlPlane {
    controller: ControllerHandle,
    data_plane: DataPlane,
    shutdown: ShutdownSpec,
    admin: AdminSpec,
    read_config: Option<ReadConfig>,
    feed: Feed,
}

impl App {
    /// Starts everything; requests are served when it returns. `read_config` reads the file anew for a
    /// reload; `None` for a Cyan without a file.
    ///
    /// # Errors
    /// When the state, an address or a certificate cannot be had.
    pub fn start(config: &Config, read_config: Option<ReadConfig>) -> Result<Self, StartError> {
        raise_descriptor_limit();
        let mut boot = Boot::open(config)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // A thread of its own: whoever calls may be in an event loop already.
        thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(boot.look_first()));
        });
        let listener = {
            let _in_runtime = runtime.enter(); // the socket registers with the event loop it will live in
            AdminListener::bind(&config.admin.address)?
        };
        let admin_address = listener.address().clone();
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        let feed = Feed::default();
        let data_plane = DataPlane::start(config, &boot.snapshot(), &reports, &feed)?;
        let (addresses, reopen_log) = (data_plane.addresses.clone(), data_plane.reopen_log());
        let entrance = Entrance::among(&config.listeners, &addresses);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (shutdown, admin) = (config.shutdown.clone(), config.admin.clone());
        #[cfg(feature = "otlp")]
        let otlp = config.otlp.clone();
        let run = move || {
            runtime.block_on(async move {
                let controller = boot.run(data_plane.links.clone(), inbox);
                entrance.into_iter().for_each(|entrance| controller.announce_entrance(entrance));
                data_plane.tls.iter().for_each(|tls| controller.announce_tls(Arc::clone(tls)));
                #[cfg(feature = "otlp")]
                let export = otlp.map(|spec| Export::start(&spec, &feed, &controller));
                let _ = ready.send(controller.clone());
                let plane =
                    ControlPlane { controller, data_plane, shutdown, admin, read_config, feed };
                plane.run(listener, stopped).await;
                #[cfg(feature = "otlp")]
                if let Some(export) = export {
                    export.finish().await;
                }
            });
        };
        let control_thread = thread::Builder::new().name("cyan-control".into()).spawn(run)?;
        let controller = is_ready.recv().map_err(std::io::Error::other)?;
        let (stop, control_thread) = (Some(stop), Some(control_thread));
        Ok(Self { controller, addresses, admin_address, reopen_log, stop, control_thread })
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

impl ControlPlane {
    async fn run(self, listener: AdminListener, stopped: oneshot::Receiver<()>) {
        let admin =
            Admin::new(self.controller.clone(), self.read_config.clone(), self.feed.clone());
        let serving = admin::serve(listener, &self.admin, admin);
        let ending = async {
            let _ = stopped.await;
            self.end().await;
        };
        // The admin API answers to the last: somebody may want to see how far the drain is.
        tokio::select! {
            () = serving => {}
            () = ending => {}
        }
    }

    async fn end(&self) {
        self.controller.announce_shutdown();
        tokio::time::sleep(self.shutdown.pre_stop).await;
        let links = &self.data_plane.links;
        links.post(|| CoreMessage::StopAccepting);
        if !self.within(self.shutdown.drain, DataPlane::is_over).await {
            tracing::warn!("the time to drain is over; what is still in flight is ended");
            links.post(|| CoreMessage::EndAll);
            self.within(LAST_BYTES, DataPlane::is_over).await;
        }
        // A core that could not be ended has not told its counts: it is not waited for.
        let _ = tokio::time::timeout(LAST_COUNTS, self.controller.counted()).await;
        self.within(LAST_LINES, DataPlane::is_logged).await;
        self.controller.shutdown().await;
    }

    /// Whether the data plane reaches a state in time.
    async fn within(&self, limit: Duration, is_reached: fn(&DataPlane) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while !is_reached(&self.data_plane) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

/// How `serve` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything in flight was finished, or ended at its deadline.
    Drained,
    /// A second signal was in a hurry.
    Interrupted,
}

/// Runs Cyan until a signal ends it: SIGTERM and SIGINT drain, a second one ends at once. SIGHUP and
/// whatever comes by `changes` read the config anew; SIGHUP opens the access log anew as well.
///
/// # Errors
/// When it cannot start.
pub fn serve(
    config: &Config,
    read_config: Option<ReadConfig>,
    mut changes: mpsc::Receiver<()>,
    started: impl FnOnce(&App),
) -> Result<Ended, StartError> {
    let app = App::start(config, read_config.clone())?;
    started(&app);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async move {
        let manager = ServiceManager::from_environment();
        let accompanied = manager.accompany(app.controller().clone());
        tokio::pin!(accompanied);
        let mut ends = Ends::listen()?;
        let mut hang_up = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                () = ends.recv() => break,
                () = &mut accompanied => {} // it never ends
                _ = hang_up.recv() => {
                    app.reopen_log();
                    reload(&app, read_config.as_ref(), "signal").await;
                }
                Some(()) = changes.recv() => reload(&app, read_config.as_ref(), "file").await,
            }
        }
        manager.say_stopping();
        tracing::info!("draining; a second signal ends at once");
        let draining = tokio::task::spawn_blocking(move || app.shutdown());
        tokio::select! {
            _ = draining => Ok(Ended::Drained),
            () = ends.recv() => Ok(Ended::Interrupted),
        }
    });
    runtime.shutdown_background(); // after a second signal the drain is not waited for
    ended
}

/// The signals that end Cyan.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for either. Cancel safe.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reads the config anew and hands it to the controller. A config that cannot be read changes nothing
/// and is shown until one can.
async fn reload(app: &App, read: Option<&ReadConfig>, actor: &str) {
    let Some(read) = read else { return };
    let controller = app.controller();
    let config = match read() {
        Ok(config) => config,
        Err(problem) => {
            tracing::error!("the config was not taken over: {problem}");
            controller.config_refused(actor, &problem);
            return;
        }
    };
    let command = Command::Reload(Box::new(config));
    let request = Request { actor: actor.to_owned(), reason: None, command };
    match controller.submit(request).await {
        Ok(applied) if applied.changed => tracing::info!("the config was taken over"),
        Ok(_) => {}
        Err(refused) => tracing::error!("the config was not taken over: {refused}"),
    }
}

/// Lets the process have as many descriptors as the system allows: each stream needs two.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is that of a live value of the type this call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above, and a soft limit up to the hard one is always allowed.
        let _ = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
