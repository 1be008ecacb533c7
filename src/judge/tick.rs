//! The judge's clock: quarters of a second since the rollout began to be observed.
//!
//! The judge never asks what time it is. Every record says so, and time stands still while nobody
//! observes; so a restart, a replay and a simulation give the same decisions as the live run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment of observed time: the beginning of this quarter of a second.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tick(pub u32);

impl Tick {
    /// Ticks in a second: absolute limits are looked at this often.
    pub const PER_SECOND: u32 = 4;

    /// The beginning of this second.
    pub const fn of_second(second: u32) -> Self {
        Self(second.saturating_mul(Self::PER_SECOND))
    }

    /// The second that this tick lies in.
    pub const fn second(self) -> u32 {
        self.0 / Self::PER_SECOND
    }

    /// Whether a second begins here.
    pub const fn begins_second(self) -> bool {
        self.0.is_multiple_of(Self::PER_SECOND)
    }

    /// The tick this much later, rounded up.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let ticks = time.as_millis().div_ceil(u128::from(1_000 / Self::PER_SECOND));
        Self(self.0.saturating_add(u32::try_from(ticks).unwrap_or(u32::MAX)))
    }

    /// Time since an earlier tick; zero since a later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(250) * self.0.saturating_sub(earlier.0)
    }

    /// Time since the beginning.
    pub fn observed(self) -> Duration {
        self.since(Self(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_quarters_and_round_up() {
        assert_eq!(Tick::of_second(3), Tick(12));
        assert_eq!(Tick(11).second(), 2);
        assert!(Tick(8).begins_second() && !Tick(9).begins_second());
        assert_eq!(Tick(1).after(Duration::from_millis(251)), Tick(3));
        assert_eq!(Tick(9).since(Tick(1)), Duration::from_secs(2));
        assert_eq!(Tick(1).since(Tick(9)), Duration::ZERO);
    }
}
