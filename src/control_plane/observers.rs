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
use super::watchers::StartGuard;
use super::{collector, health, resolve};
use crate::link::CoreLinks;

/// Longest time that names and probes may delay readiness.
const FIRST_CHANCE_MAX: Duration = Duration::from_secs(2);

/// Before a task begins again that a bug has ended.
const AFTER_A_BUG: Duration = Duration::from_secs(1);

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
        let of = Arc::clone(shared);
        tasks.spawn(kept_alive(move || collector::run(links.clone(), Arc::clone(&of))));
        let (of, mut first) = (Arc::clone(shared), Some(guard.clone()));
        tasks.spawn(kept_alive(move || resolve::run(Arc::clone(&of), taken(&mut first))));
        let (of, mut first) = (Arc::clone(shared), Some(guard));
        tasks.spawn(kept_alive(move || health::run(Arc::clone(&of), taken(&mut first))));
        let of = Arc::clone(shared);
        tasks.spawn(kept_alive(move || health::watch_progress(Arc::clone(&of))));
        let shared = Arc::clone(shared);
        tasks.spawn(async move {
            // Either way it is time to begin.
            let _ = tokio::time::timeout(FIRST_CHANCE_MAX, guards.recv()).await;
            begin(&shared);
        });
        Self { _tasks: tasks }
    }
}

/// Runs a task, and again a second after a bug has ended it: nobody may be left without counts or probes
/// and not know it. The log has the bug.
async fn kept_alive<F>(mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut task = JoinSet::new(); // ends its task when it is dropped
    task.spawn(start());
    while let Some(Err(_)) = task.join_next().await {
        tokio::time::sleep(AFTER_A_BUG).await;
        task.spawn(start());
    }
}

/// The guard, for who starts first; a second start delays nobody.
fn taken(first: &mut Option<StartGuard>) -> StartGuard {
    first.take().unwrap_or_else(|| mpsc::channel(1).0)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_a_bug_has_ended_begins_again() {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        let task = kept_alive(move || {
            let start = counted.fetch_add(1, Ordering::SeqCst);
            async move { assert!(start > 0, "a bug on purpose at the first start") }
        });
        tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends well then");
        assert_eq!(starts.load(Ordering::SeqCst), 2);
    }
}
