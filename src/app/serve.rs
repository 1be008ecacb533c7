//! Runs Cyan as a program: until a signal ends it, or another process has taken over.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::service_manager::ServiceManager;
use super::successor::Successor;
use super::{App, StartError};
use crate::admin::{ReadConfig, read_in_background};
use crate::config::Config;
use crate::control_plane::command::{Command, Request};
use crate::control_plane::handle::ControllerHandle;
use crate::model::reading::Reading;

/// How `serve` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything in flight was finished, or ended at its deadline.
    Drained,
    /// A second signal was in a hurry.
    Interrupted,
    /// A bug has ended the control plane; what was in flight was finished, as far as that could be.
    Broken,
}

/// What is served, and from where.
pub struct Order<'a> {
    /// The config.
    pub config: &'a Config,
    /// Reads it anew; `None` for a Cyan without a file.
    pub read_config: Option<ReadConfig>,
    /// Rings when the file has changed.
    pub changes: mpsc::Receiver<()>,
    /// Where a running process waits to be taken over; `None` for a start of its own.
    pub takeover: Option<&'a Path>,
}

/// Runs Cyan until a signal ends it: SIGTERM and SIGINT drain, a second one ends at once. SIGHUP and
/// whatever comes by `changes` read the config anew; SIGHUP opens the access log anew as well.
/// SIGUSR2 starts the program anew, to take over. A process that was taken over drains, and a first signal
/// ends it at once.
///
/// # Errors
/// When it cannot start.
pub fn serve(order: Order<'_>, started: impl FnOnce(&App)) -> Result<Ended, StartError> {
    let Order { config, read_config, mut changes, takeover } = order;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let app = match takeover {
        Some(path) => App::take_over(config, read_config.clone(), path)?,
        None => App::start(config, read_config.clone())?,
    };
    started(&app);
    let ended = runtime.block_on(async move {
        let manager = ServiceManager::from_environment();
        let accompanied = manager.accompany(app.controller().clone());
        tokio::pin!(accompanied);
        let Signals { mut ends, mut hang_up, mut renew } = signals;
        let mut successor = Successor::like_this_process();
        let mut reloads = Reloads::new(app.controller(), read_config);
        loop {
            tokio::select! {
                () = ends.recv() => {
                    manager.say_stopping();
                    tracing::info!("draining; a second signal ends at once");
                    break;
                }
                left = app.left() => {
                    let Some(heir) = left else { return Ok(Ended::Broken) };
                    manager.say_main_process(heir.pid);
                    tracing::info!(pid = heir.pid, "taken over; draining, a signal ends at once");
                    break;
                }
                () = &mut accompanied => {} // it never ends
                _ = renew.recv() => successor.start(),
                () = successor.failed() => {}
                _ = hang_up.recv() => {
                    app.reopen_log();
                    reloads.ask("signal");
                }
                Some(()) = changes.recv() => reloads.ask("file"),
                () = reloads.proceed() => {}
            }
        }
        let draining = tokio::task::spawn_blocking(move || app.shutdown());
        tokio::select! {
            _ = draining => Ok(Ended::Drained),
            () = ends.recv() => Ok(Ended::Interrupted),
        }
    });
    runtime.shutdown_background(); // after a second signal the drain is not waited for
    ended
}

/// The signals that mean something. They are listened to before anything is served: until then each of them
/// kills the process, and whoever it serves already.
struct Signals {
    ends: Ends,
    hang_up: Signal,
    renew: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            ends: Ends::listen()?,
            hang_up: signal(SignalKind::hangup())?,
            renew: signal(SignalKind::user_defined2())?,
        })
    }
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

/// Reloads, one after the other and beside everything else: a file may be on a disk that does not answer,
/// and signals and the watchdog must not wait for it.
struct Reloads {
    controller: ControllerHandle,
    /// `None` for a Cyan without a file.
    read: Option<ReadConfig>,
    under_way: JoinSet<()>,
    /// Who asked meanwhile: what is being read may be older.
    next: Option<&'static str>,
}

impl Reloads {
    fn new(controller: &ControllerHandle, read: Option<ReadConfig>) -> Self {
        let controller = controller.clone();
        Self { controller, read, under_way: JoinSet::new(), next: None }
    }

    /// Begins one for this actor, or has it follow the one under way.
    fn ask(&mut self, actor: &'static str) {
        let Some(read) = &self.read else { return };
        if self.under_way.is_empty() {
            self.under_way.spawn(reload(self.controller.clone(), read.clone(), actor));
        } else {
            self.next = Some(actor);
        }
    }

    /// Goes on with the next one when one has ended; waits for ever when none is under way. Cancel safe.
    async fn proceed(&mut self) {
        if self.under_way.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
        if let Some(actor) = self.next.take() {
            self.ask(actor);
        }
    }
}

/// Reads the config anew and hands it to the controller. A config that cannot be read changes nothing
/// and is shown until one can.
async fn reload(controller: ControllerHandle, read: ReadConfig, actor: &str) {
    let reading = Reading::begin();
    let config = match read_in_background(read).await {
        Ok(config) => config,
        Err(problem) => {
            tracing::error!("the config was not taken over: {problem}");
            controller.config_refused(reading, actor, &problem);
            return;
        }
    };
    let command = Command::Reload(reading, Box::new(config));
    let request = Request { actor: actor.to_owned(), reason: None, command };
    match controller.submit(request).await {
        Ok(applied) => {
            if applied.changed {
                tracing::info!("the config was taken over");
            }
            // Nobody waits for the answer to a signal.
            for warning in &applied.warnings {
                tracing::warn!("{warning}");
            }
        }
        Err(refused) => tracing::error!("the config was not taken over: {refused}"),
    }
}
