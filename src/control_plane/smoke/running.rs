//! Which environments are being tested now, and how far that is: one run each, since two would measure
//! each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Ended;
use crate::model::environment::EnvironmentId;

/// The runs under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::control_plane) struct Running {
    /// A plain mutex: held for a look-up, never over an await.
    environments: Arc<Mutex<HashMap<EnvironmentId, Ended>>>,
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
        if environments.contains_key(&environment) {
            return None;
        }
        environments.insert(environment, Ended { checks: 0, of: 0 });
        Some(Run { running: self.clone(), environment })
    }

    /// How far the run of an environment is; `None` when there is none.
    pub(in crate::control_plane) fn ended(&self, environment: EnvironmentId) -> Option<Ended> {
        let environments = self.environments.lock().unwrap_or_else(PoisonError::into_inner);
        environments.get(&environment).copied()
    }
}

impl Run {
    /// So many checks have ended.
    pub(super) fn tell(&self, ended: Ended) {
        let environments = self.running.environments.lock();
        environments.unwrap_or_else(PoisonError::into_inner).insert(self.environment, ended);
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
        first.tell(Ended { checks: 3, of: 5 });
        assert_eq!(running.ended(EnvironmentId(1)), Some(Ended { checks: 3, of: 5 }));
        drop(first);
        assert_eq!(running.ended(EnvironmentId(1)), None);
        assert!(running.begin(EnvironmentId(1)).is_some());
    }
}
