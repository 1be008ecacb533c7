//! One task per upstream, started and ended as upstreams come and go.
//!
//! Name look-ups and probes both need this. A task lives as long as its upstream is at work under
//! the same instructions; a change of instructions starts it anew, and dropping the whole ends them
//! all.

use std::collections::HashMap;
use std::convert::Infallible;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::model::upstream::UpstreamId;

/// Held by everybody who has not had their first chance yet; readiness waits until nobody holds
/// one.
pub(super) type StartGuard = mpsc::Sender<Infallible>;

/// The tasks, with the instructions each was started with.
pub(super) struct Watchers<I> {
    known: HashMap<UpstreamId, (I, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl<I: PartialEq + Clone> Watchers<I> {
    pub(super) fn new() -> Self {
        Self { known: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Starts what is missing or has new instructions, ends what is not wanted any more. Returns
    /// the instructions of those that ended for good.
    pub(super) fn reconcile<F>(
        &mut self,
        wanted: HashMap<UpstreamId, I>,
        mut start: impl FnMut(I) -> F,
    ) -> Vec<I>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Ended tasks are taken out, so that the set does not grow with every change.
        while self.tasks.try_join_next().is_some() {}
        let gone: Vec<UpstreamId> =
            self.known.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
        let mut ended = Vec::new();
        for id in gone {
            if let Some((instructions, task)) = self.known.remove(&id) {
                task.abort();
                ended.push(instructions);
            }
        }
        for (id, instructions) in wanted {
            if let Some((before, task)) = self.known.get(&id) {
                if *before == instructions {
                    continue;
                }
                task.abort();
            }
            // A task per upstream, bounded by the number of upstreams that a config may have.
            let task = self.tasks.spawn(start(instructions.clone()));
            self.known.insert(id, (instructions, task));
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_follow_what_is_wanted() {
        let mut watchers = Watchers::new();
        let mut started = Vec::new();
        let mut reconcile = |wanted: &[(u32, &'static str)]| {
            let wanted = wanted.iter().map(|(id, what)| (UpstreamId(*id), *what)).collect();
            let ended = watchers.reconcile(wanted, |what| {
                started.push(what);
                std::future::pending()
            });
            let mut started = std::mem::take(&mut started);
            started.sort_unstable();
            (started, ended)
        };
        assert_eq!(reconcile(&[(1, "a"), (2, "b")]), (vec!["a", "b"], vec![]));
        assert_eq!(reconcile(&[(1, "a"), (2, "c")]), (vec!["c"], vec![]));
        assert_eq!(reconcile(&[(2, "c")]), (vec![], vec!["a"]));
    }
}
