//! The three quantiles of a stratum taken together: is the candidate slower as a whole?
//!
//! A service that got slower by a fifth is slower everywhere, and each quantile alone sees a part of that.
//! So this bettor asks three questions of a stratum, one after the other: how many are above the p50; of
//! these, how many above the p90; of these, how many above the p99. Each is a fair bet given the answers
//! before it, so their product is one. It is known when the last of the three is, some seconds after the
//! first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::likelihood::TwoSample;
use super::record::{Both, Quantile, SlowCounts};
use super::tick::Tick;

/// Strata that wait for their last quantile: half an hour of seconds, the longest that one is waited for.
const WAITING_MAX: usize = 2_048;

/// Of those above the quantile before (of all, for the first), the share above this one.
const SHARES: [f64; 3] = [0.5, 0.2, 0.1];
/// By how much of the first question's odds (as a power) the odds of the others grow when everything takes
/// longer by a factor: of a log-normal distribution whose p50 becomes its p60 to p85.
const POWERS: [f64; 3] = [1.0, 0.75, 0.67];

/// Readings of the same strata at different quantiles, as they come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JointSlowness {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Waiting {
    from: Tick,
    counts: [Option<Both<SlowCounts>>; 3],
}

/// A stratum at all three quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtAll([Both<SlowCounts>; 3]);

impl JointSlowness {
    /// The stratum that began at `from` was read at a quantile. Answers it whole when this was the last.
    pub fn read(
        &mut self,
        from: Tick,
        quantile: Quantile,
        counts: Both<SlowCounts>,
    ) -> Option<AtAll> {
        let position = self.waiting.partition_point(|waiting| waiting.from < from);
        if self.waiting.get(position).is_none_or(|waiting| waiting.from != from) {
            self.waiting.insert(position, Waiting { from, counts: [None; 3] });
        }
        let waiting = &mut self.waiting[position];
        waiting.counts[quantile as usize] = Some(counts);
        if let [Some(p50), Some(p90), Some(p99)] = waiting.counts {
            // Every quantile is read in the order of arrival: those before this one stay incomplete.
            self.waiting.drain(..=position);
            return Some(AtAll([p50, p90, p99]));
        }
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
        None
    }
}

impl AtAll {
    /// Above the p50, of all.
    pub fn above_median(&self) -> Both<SlowCounts> {
        self.0[0]
    }

    /// For a guess of the factor between the odds of being above the p50.
    pub fn log_factor(&self, odds: f64) -> f64 {
        let asked = |question: usize| {
            let Both { active, candidate } = self.question(question);
            let bet = TwoSample { active, candidate, expected: SHARES[question] };
            let nobody = active.0 + candidate.0 == 0.0;
            if nobody { 0.0 } else { bet.log_factor(odds.powf(POWERS[question])) }
        };
        (0..SHARES.len()).map(asked).sum()
    }

    /// Who is asked, and how many of them are above the quantile.
    fn question(&self, question: usize) -> Both<(f64, f64)> {
        let Some(before) = question.checked_sub(1) else {
            return self.0[0].map(|c| (f64::from(c.n), f64::from(c.slow)));
        };
        let of_side = |before: SlowCounts, now: SlowCounts| {
            // Who left or failed between the two quantiles is not asked again.
            let gone = before.n.saturating_sub(now.n);
            let n = before.slow.saturating_sub(gone).max(now.slow);
            (f64::from(n), f64::from(now.slow))
        };
        let (before, now) = (self.0[before], self.0[question]);
        Both {
            active: of_side(before.active, now.active),
            candidate: of_side(before.candidate, now.candidate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::likelihood::ODDS;
    use super::*;

    fn counts(n: u32, active: u32, candidate: u32) -> Both<SlowCounts> {
        let side = |slow| SlowCounts { n, slow, slow_by_tenth: 0 };
        Both { active: side(active), candidate: side(candidate) }
    }

    #[test]
    fn a_stratum_is_whole_when_its_last_quantile_is_read() {
        let mut joint = JointSlowness::default();
        for second in 0..3 {
            assert_eq!(joint.read(Tick(second), Quantile::P50, counts(9, 5, 5)), None);
        }
        assert_eq!(joint.read(Tick(1), Quantile::P90, counts(9, 1, 1)), None);
        let whole = joint.read(Tick(1), Quantile::P99, counts(9, 0, 0));
        assert_eq!(whole.map(|at_all| at_all.above_median()), Some(counts(9, 5, 5)));
        assert_eq!(joint.waiting.len(), 1, "the one before will never be whole");
        for tick in 0..5_000 {
            joint.read(Tick(tick), Quantile::P50, counts(1, 0, 0));
        }
        assert!(joint.waiting.len() <= WAITING_MAX);
    }

    #[test]
    fn wins_nothing_on_average_when_sides_are_alike() {
        const ROUNDS: u32 = 200_000;
        let mut random = fastrand::Rng::with_seed(3);
        let mut sums = [0.0; ODDS.len()];
        for _ in 0..ROUNDS {
            let mut above = |n: u32, share: f64| {
                u32::try_from((0..n).filter(|_| random.f64() < share).count()).unwrap()
            };
            let mut side = |n: u32| {
                let p50 = above(n, 0.55);
                let p90 = above(p50, 0.3);
                [p50, p90, above(p90, 0.15)].map(|slow| SlowCounts { n, slow, slow_by_tenth: 0 })
            };
            let (active, candidate) = (side(9), side(3));
            let at =
                |quantile: usize| Both { active: active[quantile], candidate: candidate[quantile] };
            let at_all = AtAll([at(0), at(1), at(2)]);
            sums.iter_mut().zip(ODDS).for_each(|(sum, odds)| *sum += at_all.log_factor(odds).exp());
        }
        for (sum, odds) in sums.iter().zip(ODDS).take(4) {
            assert!(*sum < 1.03 * f64::from(ROUNDS), "{odds}: {sum}");
        }
    }

    #[test]
    fn slower_everywhere_wins_more_than_at_the_median_alone() {
        let slower = AtAll([counts(100, 50, 60), counts(100, 10, 15), counts(100, 1, 2)]);
        let median_only =
            TwoSample { active: (100.0, 50.0), candidate: (100.0, 60.0), expected: 0.5 };
        assert!(slower.log_factor(1.5) > 1.2 * median_only.log_factor(1.5));
    }

    #[test]
    fn who_left_between_two_quantiles_is_not_asked_again() {
        let mut p90 = counts(10, 4, 4);
        (p90.active.n, p90.candidate.n) = (8, 10);
        let at_all = AtAll([counts(10, 6, 6), p90, counts(8, 0, 0)]);
        assert_eq!(at_all.question(1), Both { active: (4.0, 4.0), candidate: (6.0, 4.0) });
    }
}
