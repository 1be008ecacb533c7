//! A hold and how it ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decision::HoldReason;
use super::tick::Tick;

/// The active environment must have kept the limit for this long.
const SHARED_CALM: Duration = Duration::from_secs(60);
/// Evidence must have been calm for a bake time, and no longer than this.
const EVIDENCE_CALM_MAX: Duration = Duration::from_secs(3_600);

/// A hold that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// Since when.
    pub since: Tick,
    /// Since when its cause has been gone.
    calm_since: Option<Tick>,
}

impl Hold {
    /// From now on.
    pub fn new(reason: HoldReason, since: Tick) -> Self {
        Self { reason, since, calm_since: None }
    }

    /// Whether it is over, after another look: `is_calm` says that its cause is gone for now.
    pub fn ends(&mut self, now: Tick, is_calm: bool, bake: Duration) -> bool {
        let Some(calm_needed) = self.calm_needed(bake) else { return false };
        if !is_calm {
            self.calm_since = None;
            return false;
        }
        let since = *self.calm_since.get_or_insert(now);
        now.since(since) >= calm_needed
    }

    /// `None` for what only a human ends.
    fn calm_needed(&self, bake: Duration) -> Option<Duration> {
        match self.reason {
            HoldReason::Evidence(_) => Some(bake.min(EVIDENCE_CALM_MAX)),
            HoldReason::SharedIncident(_) => Some(SHARED_CALM),
            HoldReason::Split | HoldReason::Watched | HoldReason::TooLittleData => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metric::Metric;
    use super::*;

    #[test]
    fn ends_after_an_unbroken_calm_or_by_a_human() {
        let bake = Duration::from_secs(300);
        let at = Tick::of_second;
        for (reason, ends_at) in [
            (HoldReason::SharedIncident(Metric::ErrorLimit), Some(110)),
            (HoldReason::Evidence(Metric::Errors), Some(350)),
            (HoldReason::Split, None),
        ] {
            let mut hold = Hold::new(reason, at(0));
            let ended = (0..1_000).find(|second| hold.ends(at(*second), *second >= 50, bake));
            assert_eq!(ended, ends_at, "{reason:?}");
            let mut hold = Hold::new(reason, at(0));
            let ended = (0..1_000).any(|second| hold.ends(at(second), second % 50 > 0, bake));
            assert!(!ended, "{reason:?}");
        }
    }
}
