//! Tells the operator's programs and web addresses what happens.
//!
//! Telling never waits: each receiver has a queue of its own, and what does not fit is dropped, counted
//! and told as an event. So a receiver that is dead or hangs delays neither a rollback nor the others.
//! How each delivery went is an event; notices are made of events, but never of those.

mod delivery;
mod lane;
mod letter;
mod news;
mod signature;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::handle::Shared;
use crate::model::hook::HookSpec;
use crate::rollout::notice::Notice;
use lane::{Lane, Worker};
use letter::Letter;

/// Where notices are handed in. Clones lead to the same receivers.
#[derive(Debug, Clone)]
pub(super) struct Hooks {
    lanes: Arc<[Lane]>,
    /// Where people reach the dashboard.
    dashboard: Option<Arc<str>>,
}

/// The other ends of the queues, to be set to work.
pub(super) struct Workers(Vec<Worker>);

/// The tasks that deliver; dropping it ends them, and with them programs and connections.
pub(super) struct Deliveries {
    news: JoinSet<()>,
    workers: JoinSet<()>,
    /// Nothing happens any more.
    no_news: watch::Sender<bool>,
    /// Nothing is handed in any more.
    closing: watch::Sender<bool>,
}

impl Deliveries {
    /// Takes no more notices, and returns when those that were handed in are delivered or given up. Each
    /// has the limits of its hook, so that this ends.
    pub(super) async fn finish(mut self) {
        self.no_news.send_replace(true);
        while self.news.join_next().await.is_some() {}
        self.closing.send_replace(true);
        while self.workers.join_next().await.is_some() {}
    }
}

impl Hooks {
    /// A queue for each receiver of each hook; `dashboard` is where people reach it.
    pub(super) fn new(hooks: &[HookSpec], dashboard: Option<Arc<str>>) -> (Self, Workers) {
        let receivers = hooks.iter().map(|hook| Arc::new(hook.clone())).flat_map(|hook| {
            let receivers = hook.receivers.clone().into_iter();
            receivers.map(move |receiver| lane::open(&hook, receiver))
        });
        let (lanes, workers): (Vec<_>, Vec<_>) = receivers.unzip();
        (Self { lanes: lanes.into(), dashboard }, Workers(workers))
    }

    /// Tells every hook that wants to know. Returns at once, whatever the receivers do.
    pub(super) fn tell(&self, notice: Notice) {
        let service = notice.service.clone();
        let is_told = |lane: &&Lane| lane.hook.is_told(notice.occasion, service.as_ref());
        let told: Vec<&Lane> = self.lanes.iter().filter(is_told).collect();
        if told.is_empty() {
            return;
        }
        let letter = Arc::new(Letter::new(notice, self.dashboard.as_deref()));
        told.iter().for_each(|lane| lane.hand_in(&letter));
    }
}

impl Workers {
    /// Starts to deliver, and to make notices of what already happens without a rollout.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(super) fn start(self, shared: &Arc<Shared>) -> Deliveries {
        let (mut news, mut workers) = (JoinSet::new(), JoinSet::new());
        let (no_news, closing) = (watch::Sender::new(false), watch::Sender::new(false));
        if !self.0.is_empty() {
            news.spawn(news::follow(Arc::clone(shared), no_news.subscribe()));
        }
        // One task for each receiver in the config, since none may wait for another.
        for worker in self.0 {
            workers.spawn(worker.run(shared.events.clone(), closing.subscribe()));
        }
        Deliveries { news, workers, no_news, closing }
    }
}
