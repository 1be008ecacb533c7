//! What watches beside the controller: counts, names and probes.
//!
//! Ready means that nobody who starts has still to have their first chance. Each keeps a guard
//! until then; a name server or an upstream that hangs delays the start by two seconds and no more.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::handle::Shared;
use super::readiness::Readiness;
use super::{collector, health, resolve};
use crate::link::CoreLinks;

/// Longest time that names and probes may delay readiness.
const FIRST_CHANCE_MAX: Duration = Duration::from_secs(2);

/// The tasks of all observers; dropping it ends them.
pub(super) struct Observers {
    _tasks: JoinSet<()>,
}

impl Observers {
    pub(super) fn start(links: CoreLinks, shared: &Arc<Shared>) -> Self {
        // Nothing is ever sent: the channel closes when the last guard is gone.
        let (guard, mut guards) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        // Tasks of their own, because none of them may wait for another, nor the controller for
        // any.
        tasks.spawn(collector::run(links, Arc::clone(shared)));
        tasks.spawn(resolve::run(Arc::clone(shared), guard.clone()));
        tasks.spawn(health::run(Arc::clone(shared), guard));
        tasks.spawn(health::watch_progress(Arc::clone(shared)));
        let shared = Arc::clone(shared);
        tasks.spawn(async move {
            // Either way it is time to begin.
            let _ = tokio::time::timeout(FIRST_CHANCE_MAX, guards.recv()).await;
            begin(&shared);
        });
        Self { _tasks: tasks }
    }
}

/// Ready, unless the process is going already.
fn begin(shared: &Shared) {
    let ready = shared.readiness.send_if_modified(|readiness| {
        let starting = *readiness == Readiness::Starting;
        if starting {
            *readiness = Readiness::Ready;
        }
        starting
    });
    if ready {
        shared.events.tell(None, "ready", "cyan is ready".to_owned(), Value::Null);
    }
}
