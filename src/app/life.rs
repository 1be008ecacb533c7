//! The life of the control plane's thread, and the order in which everything ends.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::takeover::message::Line;
use super::takeover::offer::{Heir, Offer};
use super::takeover::{Sockets, farewell};
use crate::admin::{self, Admin, AdminListener, ReadConfig};
use crate::config::resolved::ShutdownSpec;
use crate::control_plane::handle::ControllerHandle;
use crate::data_plane::DataPlane;
use crate::link::CoreMessage;
use crate::listen::SocketSet;
use crate::metrics::feed::Feed;

/// How long an idle connection of HTTP/1.1 is left open for one more request: longer than a busy client
/// pauses. Whoever asks within it is answered, and told to connect anew.
const REST: Duration = Duration::from_secs(1);
/// How long broken-off exchanges have to get their last bytes out.
const LAST_BYTES: Duration = Duration::from_secs(2);
/// How long the access log has to write its last lines. Whoever reads standard output may have stopped.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long the last counts of the cores may take to be summed up.
const LAST_COUNTS: Duration = Duration::from_millis(500);
/// How long a takeover under way may take after a signal to end: to restore the state, and for two words.
const LAST_HEIR: Duration = Duration::from_secs(15);
/// Between two looks at whether everything in flight has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What the control plane's thread works with.
pub(super) struct Life {
    pub(super) controller: ControllerHandle,
    pub(super) data_plane: DataPlane,
    pub(super) shutdown: ShutdownSpec,
    pub(super) read_config: Option<ReadConfig>,
    pub(super) feed: Feed,
    /// Copies of every listening socket, to be lent.
    pub(super) sockets: Sockets,
    /// Where a next process may ask for them; `None` where there can be no such place.
    pub(super) offer: Option<Offer>,
    /// Tells who has taken over.
    pub(super) heir: watch::Sender<Option<Heir>>,
}

impl Life {
    /// Serves until `stopped` rings or another process has taken over, and ends everything in order.
    pub(super) async fn run(self, listener: AdminListener, stopped: oneshot::Receiver<()>) {
        let (leave, leaving) = watch::channel(false);
        let admin =
            Admin::new(self.controller.clone(), self.read_config.clone(), self.feed.clone());
        let serving = admin::serve(listener, admin, leaving);
        let living = async {
            let heir = self.over(stopped).await;
            match heir {
                None => self.end().await,
                Some((heir, line)) => {
                    leave.send_replace(true);
                    self.leave(heir, line).await;
                }
            }
        };
        // The admin API answers to the last, unless another process answers there: somebody may want to
        // see how far the drain is.
        let serving = async {
            serving.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            () = living => {}
        }
    }

    /// Waits for what ends this life: the heir, if it is one.
    async fn over(&self, stopped: oneshot::Receiver<()>) -> Option<(Heir, Line)> {
        let mut heir = pin!(self.heir_comes());
        tokio::select! {
            _ = stopped => self.last_heir(heir).await,
            heir = &mut heir => Some(heir),
            // Users are served by the last table, and nobody could roll back: better to end, and be
            // started again from the state.
            () = self.controller.broken() => {
                tracing::error!("a bug has ended the controller; draining, to be started again");
                None
            }
        }
    }

    /// A takeover under way is not called off by a signal: the new process would go on alone, beside one
    /// that has the state and unlinks its sockets.
    async fn last_heir(
        &self,
        heir: Pin<&mut impl Future<Output = (Heir, Line)>>,
    ) -> Option<(Heir, Line)> {
        let is_over = async {
            while self.offer.as_ref().is_some_and(Offer::is_lending) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            heir = heir => Some(heir),
            () = is_over => None,
            () = tokio::time::sleep(LAST_HEIR) => None,
        }
    }

    async fn heir_comes(&self) -> (Heir, Line) {
        match &self.offer {
            Some(offer) => offer.stand(&self.controller, &self.sockets).await,
            None => std::future::pending().await,
        }
    }

    /// Nobody serves here any more.
    async fn end(self) {
        let Self { controller, data_plane, shutdown, sockets, offer, .. } = self;
        let is_lending = offer.as_ref().is_some_and(Offer::is_lending);
        let has_lent = offer.as_ref().is_some_and(Offer::has_lent);
        offer.into_iter().for_each(Offer::withdraw);
        controller.announce_shutdown();
        tokio::time::sleep(shutdown.pre_stop).await;
        if is_lending {
            // Who holds the sockets goes on without us, and serves nobody before it has the state.
            controller.shutdown().await;
        }
        let Sockets { public, admin } = sockets;
        // A file that stays is replaced by the next process. One that was lent may be served.
        let close = |set: SocketSet| if has_lent { drop(set) } else { set.close() };
        // Before the cores let go of theirs, or clients would be let into sockets that nobody serves.
        close(public);
        finish(&data_plane, &controller, &shutdown).await;
        controller.shutdown().await;
        close(admin);
    }

    /// Another process serves on the same sockets, and has the state; the controller has ended.
    async fn leave(self, heir: Heir, line: Line) {
        let Self { controller, data_plane, shutdown, sockets, offer, heir: told, .. } = self;
        controller.announce_heir(heir.pid);
        told.send_replace(Some(heir));
        drop((sockets, offer)); // the files are the heir's
        let finished = async {
            // The heir does not know what hooks were not told yet.
            let told = tokio::time::timeout(shutdown.drain, controller.delivered());
            let _ = tokio::join!(finish(&data_plane, &controller, &shutdown), told);
            // The heir knows of the one before through this process. That one has begun to drain earlier.
            let before = controller.predecessor().ended();
            let _ = tokio::time::timeout(shutdown.drain, before).await;
        };
        tokio::select! {
            () = finished => {}
            () = farewell::tell(line, &controller, rest(&shutdown)) => {}
        }
    }
}

/// For how long idle connections may bring one more request.
fn rest(shutdown: &ShutdownSpec) -> Duration {
    REST.min(shutdown.drain / 4)
}

/// Stops accepting, lets what is in flight finish, and ends at the deadline what has not.
async fn finish(data_plane: &DataPlane, controller: &ControllerHandle, shutdown: &ShutdownSpec) {
    let links = &data_plane.links;
    let rest = rest(shutdown);
    links.post(|| CoreMessage::StopAccepting(rest));
    if !within(data_plane, shutdown.drain, DataPlane::is_over).await {
        tracing::warn!("the time to drain is over; what is still in flight is ended");
        links.post(|| CoreMessage::EndAll);
        within(data_plane, LAST_BYTES, DataPlane::is_over).await;
    }
    // A core that could not be ended has not told its counts: it is not waited for.
    let _ = tokio::time::timeout(LAST_COUNTS, controller.counted()).await;
    within(data_plane, LAST_LINES, DataPlane::is_logged).await;
}

/// Whether the data plane reaches a state in time.
async fn within(
    data_plane: &DataPlane,
    limit: Duration,
    is_reached: fn(&DataPlane) -> bool,
) -> bool {
    let deadline = Instant::now() + limit;
    while !is_reached(data_plane) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}
