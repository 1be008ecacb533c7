//! Versions that were rolled back: when they may try again, and how often.
//!
//! Remembered with the service, so that neither a restart nor a new name of the environment makes a
//! version forget that it failed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::duration;
use crate::model::plan::Plan;

/// Versions whose attempts are remembered.
const VERSIONS_MAX: usize = 64;

/// Rollouts of versions that were rolled back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempts(Vec<Attempt>);

/// Of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Attempt {
    version: String,
    rolled_back: u32,
    last_ms: u64,
}

/// Why a version does not try again. `Display` is safe to show to an API client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttemptRefused {
    /// Rolled back a moment ago.
    #[error(
        "{version} was rolled back a moment ago; wait {} (its cool-down), or start with --again",
        duration::spoken(*.left)
    )]
    CoolingDown {
        /// The version.
        version: String,
        /// How much longer.
        left: Duration,
    },
    /// Rolled back too often.
    #[error(
        "{version} was rolled back {times} times, at most {max} attempts; release another version, or start with --again"
    )]
    TooMany {
        /// The version.
        version: String,
        /// How often.
        times: u32,
        /// The limit.
        max: u32,
    },
}

impl Attempts {
    /// Remembers that a version was rolled back.
    pub fn rolled_back(&mut self, version: &str, unix_ms: u64) {
        if let Some(known) = self.0.iter_mut().find(|attempt| attempt.version == version) {
            known.rolled_back = known.rolled_back.saturating_add(1);
            known.last_ms = unix_ms;
            return;
        }
        if self.0.len() == VERSIONS_MAX {
            self.0.remove(0);
        }
        self.0.push(Attempt { version: version.to_owned(), rolled_back: 1, last_ms: unix_ms });
    }

    /// Whether a version may try again by this plan.
    pub(super) fn allow(
        &self,
        version: &str,
        plan: &Plan,
        unix_ms: u64,
    ) -> Result<(), AttemptRefused> {
        let Some(known) = self.0.iter().find(|attempt| attempt.version == version) else {
            return Ok(());
        };
        let version = version.to_owned();
        if known.rolled_back >= plan.attempts_max {
            let (times, max) = (known.rolled_back, plan.attempts_max);
            return Err(AttemptRefused::TooMany { version, times, max });
        }
        // Rolled back in the future: the clock was wrong then or is now, and nobody knows how long it is
        // ago. To wait for that moment could lock the version out for years.
        let passed = unix_ms.checked_sub(known.last_ms).map(Duration::from_millis);
        let left = passed.and_then(|passed| plan.cool_down.checked_sub(passed));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(AttemptRefused::CoolingDown { version, left }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_was_rolled_back_waits_and_is_not_tried_for_ever() {
        let minute = 60_000;
        let mut attempts = Attempts::default();
        let said = |attempts: &Attempts, version, unix_ms| {
            let allowed = attempts.allow(version, &Plan::default(), unix_ms);
            allowed.map_or_else(|refused| refused.to_string(), |()| String::new())
        };
        attempts.rolled_back("v42", 0);
        let cooling =
            "v42 was rolled back a moment ago; wait 20 min (its cool-down), or start with --again";
        assert_eq!(said(&attempts, "v42", 10 * minute), cooling);
        assert_eq!(said(&attempts, "v43", 10 * minute), "");
        assert_eq!(said(&attempts, "v42", 30 * minute), "");
        attempts.rolled_back("v42", 30 * minute);
        let too_many = said(&attempts, "v42", 90 * minute);
        assert!(too_many.starts_with("v42 was rolled back 2 times, at most 2"), "{too_many}");
    }

    #[test]
    fn a_clock_that_was_set_back_locks_no_version_out() {
        let mut attempts = Attempts::default();
        attempts.rolled_back("v42", 1_000_000);
        assert_eq!(attempts.allow("v42", &Plan::default(), 999_999), Ok(()));
        assert!(attempts.allow("v42", &Plan::default(), 1_000_000).is_err());
    }

    #[test]
    fn the_oldest_of_many_versions_is_forgotten() {
        let mut attempts = Attempts::default();
        for version in 0..=VERSIONS_MAX {
            attempts.rolled_back(&version.to_string(), 0);
        }
        assert_eq!(attempts.allow("0", &Plan::default(), 0), Ok(()));
        assert!(attempts.allow("1", &Plan::default(), 0).is_err());
    }
}
