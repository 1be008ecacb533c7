//! What rollouts under way need beside their values: the judge that watches, the gate at work, the
//! questions to environments. All of it ends when the rollout does.

use std::collections::HashMap;
use std::time::Instant;

use tokio::task::AbortHandle;

use super::observing::Watch;
use crate::model::name::Name;

/// What belongs to the rollouts under way, by service.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub(super) list: HashMap<Name, Run>,
}

/// What belongs to one.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) rollout: u64,
    pub(super) looked_at: Option<Instant>,
    pub(super) refused_at: Option<Instant>,
    /// Why, where somebody was told of it.
    pub(super) refused: Option<String>,
    /// The question to an environment that is under way.
    pub(super) asking: Option<AbortHandle>,
    pub(super) gate: Option<AbortHandle>,
    pub(super) watch: Option<Watch>,
    /// When what the way back is for was seen.
    pub(super) breached: Option<Instant>,
    /// What the candidate said when it was last asked whether it is ready.
    pub(super) ready: Option<Result<(), String>>,
}

impl Runs {
    /// The judge at work for a service.
    pub(super) fn watch(&mut self, service: &Name) -> Option<&mut Watch> {
        self.list.get_mut(service)?.watch.as_mut()
    }

    /// The same, with the number of its rollout.
    pub(super) fn numbered_watch(&mut self, service: &Name) -> Option<(u64, &mut Watch)> {
        let run = self.list.get_mut(service)?;
        Some((run.rollout, run.watch.as_mut()?))
    }

    /// When what a rollout goes back for was seen.
    pub(super) fn breached(&self, service: &Name) -> Option<Instant> {
        self.list.get(service)?.breached
    }

    /// What belongs to this rollout.
    pub(super) fn of(&mut self, service: &Name, rollout: u64) -> &mut Run {
        let run = self.list.entry(service.clone()).or_default();
        run.rollout = rollout;
        run
    }

    /// All judges at work.
    pub(super) fn watches(&mut self) -> impl Iterator<Item = &mut Watch> {
        self.list.values_mut().filter_map(|run| run.watch.as_mut())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for task in [&self.asking, &self.gate].into_iter().flatten() {
            task.abort();
        }
    }
}
