//! What watches beside the controller: counts now, names and probes.
//!
//! Ready means: nobody who starts has still to have their first chance. Each keeps a guard until then.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::collector;
use super::handle::Shared;
use crate::link::CoreLinks;

/// The tasks of all observers; dropping it ends them.
pub(super) struct Observers {
    _tasks: JoinSet<()>,
}

impl Observers {
    pub(super) fn start(links: &CoreLinks, shared: &Arc<Shared>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(collector::run(links.clone(), Arc::clone(shared)));
        Self { _tasks: tasks }
    }
}
