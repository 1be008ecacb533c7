//! How fast the story is told.
//!
//! No step is judged in less than 15 s, since answers are read at that age; a faster story has fewer
//! steps.

use std::time::Duration;

/// The steps of the ramp, and how long the parts of the story last.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Shares in percent, without the switch.
    shares: &'static [f64],
    /// How long blue serves alone before the rollout.
    pub(super) alone: Duration,
    /// How far into the first large step the fault begins.
    pub(super) fault_after: Duration,
    /// How long blue stays armed after the switch.
    pub(super) armed_for: Duration,
    rate: f64,
}

/// The least time of a step.
const BAKE: Duration = Duration::from_secs(15);
/// The share from which a step is large enough to show a fault in.
const LARGE_PERCENT: f64 = 25.0;

impl Pace {
    pub(super) fn new(speed: f64, rate: f64) -> Self {
        let shares: &[f64] = match speed {
            4.0.. => &[25.0],
            2.0.. => &[5.0, 50.0],
            _ => &[1.0, 5.0, 25.0, 50.0],
        };
        let seconds = |seconds: u64| Duration::from_secs(seconds).div_f64(speed);
        Self { shares, alone: seconds(6), fault_after: seconds(8), armed_for: seconds(12), rate }
    }

    /// The steps as a config has them. A step needs half of the requests that it can expect.
    pub(super) fn steps(&self) -> Vec<String> {
        let requests = |share: f64| (self.rate * share / 100.0 * BAKE.as_secs_f64() / 2.0).max(5.0);
        let step = |share: &f64| format!("{share}% {}s {:.0}", BAKE.as_secs(), requests(*share));
        self.shares.iter().map(step).chain(["100%".to_owned()]).collect()
    }

    /// Whether a fault is shown at this step.
    pub(super) fn shows_fault_at(&self, percent: f64) -> bool {
        self.shares.iter().find(|share| **share >= LARGE_PERCENT) == Some(&percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_story_has_fewer_steps_and_shows_the_fault_all_the_same() {
        let steps = |speed| Pace::new(speed, 200.0).steps();
        assert_eq!(steps(1.0), ["1% 15s 15", "5% 15s 75", "25% 15s 375", "50% 15s 750", "100%"]);
        assert_eq!(steps(2.0), ["5% 15s 75", "50% 15s 750", "100%"]);
        assert_eq!(steps(9.0), ["25% 15s 375", "100%"]);
        assert!(Pace::new(1.0, 200.0).shows_fault_at(25.0));
        assert!(!Pace::new(1.0, 200.0).shows_fault_at(50.0));
        assert!(Pace::new(2.0, 200.0).shows_fault_at(50.0));
    }
}
