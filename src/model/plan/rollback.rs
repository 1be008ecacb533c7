//! How fast users return when a rollout goes back.

use serde::{Deserialize, Serialize};

use crate::model::weight::Weight;

/// Whether all users return at once, or the environment that they return to gets them bit by bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "profile", rename_all = "snake_case")]
pub enum RollbackProfile {
    /// With one table.
    #[default]
    Instant,
    /// In steps, a second apart.
    Staged {
        /// What the environment before takes back per second at most: hundredths of a percent of what both
        /// get together.
        takes_back_per_second: Weight,
    },
}

impl RollbackProfile {
    /// Least share per second: a rollback is over within 100 seconds.
    pub const PERCENT_LEAST: f64 = 1.0;
    /// Share per second where the config does not say: all of it within 10 seconds.
    pub const PERCENT_USUAL: f64 = 10.0;

    /// What is left to a candidate with this share after the next step; `None` where that is nothing.
    pub fn left_after_step(self, share: Weight) -> Option<Weight> {
        let Self::Staged { takes_back_per_second } = self else { return None };
        let left = share.hundredths().checked_sub(takes_back_per_second.hundredths())?;
        Weight::from_hundredths(left).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_no_more_than_the_cap_and_the_last_one_the_rest() {
        let percent = |percent| Weight::from_percent(percent).unwrap();
        let staged = RollbackProfile::Staged { takes_back_per_second: percent(10.0) };
        for (share, left) in
            [(100.0, Some(90.0)), (25.0, Some(15.0)), (10.0, None), (9.0, None), (0.0, None)]
        {
            assert_eq!(staged.left_after_step(percent(share)), left.map(percent), "{share}");
        }
        assert_eq!(RollbackProfile::Instant.left_after_step(percent(100.0)), None);
    }
}
