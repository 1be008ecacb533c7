//! The post between the planes: short messages to the cores, and what the cores report.
//!
//! The control plane never calls into a core and never waits for one; it posts into the core's mailbox
//! and hears back. A mailbox is bounded: a core that cannot keep up is shown as lagging, it does not
//! make anybody wait.

pub mod mirror;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::metrics::notes::NoteReport;
use crate::metrics::shard::ShardReport;
use crate::model::environment::EnvironmentId;
use crate::model::upstream::UpstreamId;

/// Messages a core may have unread. The controller posts a handful per change, the collector one a
/// second; a core that has a thousand unread is stuck, and more would not help it.
pub const MAILBOX_MESSAGES_MAX: usize = 1024;
/// Before a core whose mailbox was full is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// What the control plane may ask of a core.
#[derive(Debug)]
pub enum CoreMessage {
    /// Answer when every task that ran on an older table has handed its first byte over.
    Quiesce(oneshot::Sender<()>),
    /// Close pooled connections to these upstreams that nobody uses.
    CloseIdle(Vec<UpstreamId>),
    /// End every exchange and tunnel of an environment now, never as a clean end.
    EndExchanges(EnvironmentId),
    /// Tell since when the oldest exchange of an environment has been under way.
    OldestInFlight(EnvironmentId, oneshot::Sender<Option<Instant>>),
    /// Hand over the counts since the last collection.
    Collect(oneshot::Sender<ShardReport>),
    /// Hand over the notes of an active environment and its candidate, and go on noting for some seconds.
    HandOverNotes([EnvironmentId; 2], oneshot::Sender<NoteReport>),
    /// Accept nothing new; close connections after their next answer, or when they were idle for this long.
    StopAccepting(Duration),
    /// End everything that is still open.
    EndAll,
}

/// What a core reports without being asked. Lost when the control plane is too slow, and counted then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreReport {
    /// Failures took an upstream out.
    UpstreamEjected {
        /// Which.
        upstream: UpstreamId,
        /// What failed.
        reason: String,
    },
    /// The active environment had no usable upstream, and another one served.
    FellBack {
        /// The environment that could not serve.
        from: EnvironmentId,
        /// The one that did.
        to: EnvironmentId,
    },
}

/// The mailboxes of all cores.
#[derive(Debug, Clone)]
pub struct CoreLinks {
    epoch: Instant,
    cores: Vec<mpsc::Sender<CoreMessage>>,
    /// What cores that have ended had still to report. A lock for a push per core and process.
    last_reports: Arc<Mutex<Vec<(usize, ShardReport)>>>,
}

impl CoreLinks {
    /// Links to cores with these mailboxes, in the order of their numbers.
    pub fn new(cores: Vec<mpsc::Sender<CoreMessage>>) -> Self {
        Self { epoch: Instant::now(), cores, last_reports: Arc::default() }
    }

    /// The instant from which both planes count seconds.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// How many cores there are.
    pub fn count(&self) -> usize {
        self.cores.len()
    }

    /// A core ends, and hands over what it has counted since it was last asked.
    pub fn leave(&self, core: usize, report: ShardReport) {
        let mut reports = self.last_reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push((core, report));
    }

    /// Waits until a core's mailbox is closed: it has ended. Cancel safe.
    pub async fn left(&self, core: usize) {
        if let Some(link) = self.cores.get(core) {
            link.closed().await;
        }
    }

    /// What cores that have ended had still to report; each report once.
    pub fn last_reports(&self) -> Vec<(usize, ShardReport)> {
        std::mem::take(&mut *self.last_reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Since when the oldest exchange of an environment has been under way, on any core; cores that do not
    /// answer within `limit` are gone on without. Cancel safe.
    pub async fn oldest_in_flight(
        &self,
        environment: EnvironmentId,
        limit: Duration,
    ) -> Option<Instant> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut answers = Vec::with_capacity(self.cores.len());
        for link in &self.cores {
            let (reply, answer) = oneshot::channel();
            // A full mailbox drops the sender, which is an answer as well.
            let _ = link.try_send(CoreMessage::OldestInFlight(environment, reply));
            answers.push(answer);
        }
        let mut oldest = None;
        for answer in answers {
            if let Ok(Ok(Some(since))) = tokio::time::timeout_at(deadline, answer).await {
                oldest = Some(oldest.map_or(since, |earlier: Instant| earlier.min(since)));
            }
        }
        oldest
    }

    /// Posts the same message to every core; tells which cores could not take it.
    pub fn post(&self, mut message: impl FnMut() -> CoreMessage) -> Vec<usize> {
        let refused = |(core, link): (usize, &mpsc::Sender<CoreMessage>)| {
            link.try_send(message()).is_err().then_some(core)
        };
        self.cores.iter().enumerate().filter_map(refused).collect()
    }

    /// Posts a message to one core; tells whether it took it.
    pub fn post_to(&self, core: usize, message: CoreMessage) -> bool {
        self.cores.get(core).is_some_and(|link| link.try_send(message).is_ok())
    }

    /// Asks every core to go round once. To be called after a new table was stored, without waiting in
    /// between.
    pub fn quiesce(&self) -> Quiesce {
        let rounds = self.cores.iter().map(|link| Round::begin(link.clone()));
        Quiesce { rounds: rounds.collect() }
    }
}

/// Acks under way.
#[derive(Debug)]
pub struct Quiesce {
    rounds: Vec<Round>,
}

/// One core's.
#[derive(Debug)]
struct Round {
    link: mpsc::Sender<CoreMessage>,
    /// `None` once it has come.
    ack: Option<oneshot::Receiver<()>>,
}

impl Quiesce {
    /// Waits until every core has acked or ended, or `limit` has passed. Returns the cores that lag. May be
    /// called again for those. Cancel safe.
    pub async fn wait(&mut self, limit: Duration) -> Vec<usize> {
        let deadline = tokio::time::Instant::now() + limit;
        for round in &mut self.rounds {
            // An error is the deadline; the round is not done then.
            let _ = tokio::time::timeout_at(deadline, round.done()).await;
        }
        (0..self.rounds.len()).filter(|core| self.rounds[*core].ack.is_some()).collect()
    }
}

impl Round {
    fn begin(link: mpsc::Sender<CoreMessage>) -> Self {
        let ack = Some(ask(&link));
        Self { link, ack }
    }

    /// Waits for the ack of a core that runs. Cancel safe.
    async fn done(&mut self) {
        while let Some(ack) = &mut self.ack {
            match ack.await {
                Ok(()) => self.ack = None,
                // A core that has ended chooses by no table.
                Err(_) if self.link.is_closed() => self.ack = None,
                // Its mailbox was full. A later round is worth as much.
                Err(_) => {
                    self.ack = Some(ask(&self.link));
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }
}

/// Asks a core to go round. A full mailbox drops the sender.
fn ask(link: &mpsc::Sender<CoreMessage>) -> oneshot::Receiver<()> {
    let (ack, acked) = oneshot::channel();
    let _ = link.try_send(CoreMessage::Quiesce(ack));
    acked
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test(flavor = "current_thread")]
    async fn a_full_mailbox_lags_until_there_is_room() {
        let (link, mut mailbox) = mpsc::channel(1);
        let links = CoreLinks::new(vec![link]);
        links.post(|| CoreMessage::EndAll);
        let mut quiesce = links.quiesce();
        for _ in 0..3 {
            assert_eq!(quiesce.wait(LIMIT).await, [0]);
        }
        assert!(matches!(mailbox.recv().await, Some(CoreMessage::EndAll)));
        let core = async {
            let Some(CoreMessage::Quiesce(ack)) = mailbox.recv().await else { panic!("not asked") };
            ack.send(()).unwrap();
        };
        let (lagging, ()) = tokio::join!(quiesce.wait(LIMIT), core);
        assert_eq!(lagging, [0; 0]);
        assert_eq!(quiesce.wait(LIMIT).await, [0; 0]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_has_ended_does_not_lag() {
        let (link, mailbox) = mpsc::channel(1);
        let (silent, _unread) = mpsc::channel(1);
        let mut quiesce = CoreLinks::new(vec![silent, link]).quiesce();
        assert_eq!(quiesce.wait(LIMIT).await, [0, 1]);
        drop(mailbox); // with the question in it
        assert_eq!(quiesce.wait(LIMIT).await, [0]);
    }
}
