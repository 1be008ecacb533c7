//! Which environments are being tested now: one run each, since two would measure each other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::environment::EnvironmentId;

/// The runs under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::control_plane) struct Running {
    /// A plain mutex: held for a look-up, never over an await.
    environments: Arc<Mutex<HashSet<EnvironmentId>>>,
}

/// A run; its place is free again when this is dropped, however it ends.
#[derive(Debug)]
pub(in crate::control_plane) struct Run {
    running: Running,
    environment: EnvironmentId,
}

impl Running {
    /// Takes the place of an environment; `None` while somebody has it.
    pub(in crate::control_plane) fn begin(&self, environment: EnvironmentId) -> Option<Run> {
        let mut environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.insert(environment).then(|| Run { running: self.clone(), environment })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let environments = self.running.environments.lock();
        environments.unwrap_or_else(PoisonError::into_inner).remove(&self.environment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_tested_by_one_at_a_time() {
        let running = Running::default();
        let first = running.begin(EnvironmentId(1)).unwrap();
        assert!(running.begin(EnvironmentId(1)).is_none());
        assert!(running.begin(EnvironmentId(2)).is_some());
        drop(first);
        assert!(running.begin(EnvironmentId(1)).is_some());
    }
}
