//! Ages of exchanges, in classes.
//!
//! The bounds lie about 5 % apart from 1 ms to 1 h, fine enough for a latency threshold that is read
//! from data. The ages at which errors are always read, and the usual limits, are bounds themselves
//! (`EXACT`), so that they are exact.

use std::sync::LazyLock;
use std::time::Duration;

/// Bounds that are met exactly, in microseconds, and into how many classes the way to the next is cut.
const EXACT: [(u64, usize); 6] = [
    (1_000, 114),      // to 250 ms
    (250_000, 29),     // to 1 s
    (1_000_000, 33),   // to 5 s, the usual limit of a p99
    (5_000_000, 23),   // to 15 s
    (15_000_000, 113), // to 1 h
    (3_600_000_000, 0),
];

/// How many classes there are: one up to 1 ms, one beyond an hour, and those between.
pub const CLASSES: usize = 314;

/// Upper bounds of all classes but the last, in microseconds.
static BOUNDS_US: LazyLock<[u64; CLASSES - 1]> = LazyLock::new(bounds);

/// A class of ages: above the bound of the one before, up to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeClass(pub(super) u16);

impl AgeClass {
    /// The class of an age. As a question, "by this age" is answered for the bound of the class: the
    /// age itself where it is exact, else up to 5 % more, and the same for all that are compared.
    pub fn of(age: Duration) -> Self {
        let us = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "there are 314 classes")]
        let class = BOUNDS_US.partition_point(|bound| *bound < us) as u16;
        Self(class)
    }

    /// Its number, from 0.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Its upper bound; `None` for what is beyond an hour.
    pub fn bound(self) -> Option<Duration> {
        BOUNDS_US.get(usize::from(self.0)).map(|us| Duration::from_micros(*us))
    }
}

/// Geometric steps between exact bounds.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are positive and below 2^32"
)]
fn bounds() -> [u64; CLASSES - 1] {
    let mut bounds = [0; CLASSES - 1];
    let mut at = 0;
    for (from, (exact, steps)) in EXACT.iter().enumerate() {
        bounds[at] = *exact;
        at += 1;
        let Some((next, _)) = EXACT.get(from + 1) else { break };
        let ratio = *next as f64 / *exact as f64;
        for step in 1..*steps {
            let factor = ratio.powf(step as f64 / *steps as f64);
            bounds[at] = (*exact as f64 * factor).round() as u64;
            at += 1;
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_by_five_percent_at_most() {
        assert_eq!(EXACT.iter().map(|(_, steps)| steps.max(&1)).sum::<usize>(), CLASSES - 1);
        for pair in BOUNDS_US.windows(2) {
            assert!(pair[0] < pair[1] && pair[1] * 1000 <= pair[0] * 1051, "{pair:?}");
        }
    }

    #[test]
    fn fixed_ages_are_exact_and_others_read_up_to_their_bound() {
        for ms in [1, 250, 1_000, 5_000, 15_000, 3_600_000] {
            let age = Duration::from_millis(ms);
            assert_eq!(AgeClass::of(age).bound(), Some(age));
            assert!(AgeClass::of(age + Duration::from_micros(1)) > AgeClass::of(age));
        }
        let read = AgeClass::of(Duration::from_millis(700)).bound().unwrap().as_millis();
        assert!((700..=735).contains(&read), "{read}");
        assert_eq!(AgeClass::of(Duration::ZERO).number(), 0);
        assert_eq!(AgeClass::of(Duration::from_secs(3_601)).bound(), None);
        assert_eq!(usize::from(AgeClass::of(Duration::MAX).number()), CLASSES - 1);
    }
}
