//! Did users come to the candidate in the share that was set? If not, something before Cyan chooses who
//! comes, and no comparison can be trusted.
//!
//! Each key is counted when it is first seen after a change. Steps are averaged, never multiplied: a key
//! keeps its place.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::e_process::{EProcess, Tally};
use super::likelihood::Relative;
use super::record::Both;
use super::start_weights::StartWeights;
use super::tick::Tick;

/// Guesses of the factor by which the candidate's odds of a key are off, either way.
const ODDS: [f64; 6] = [0.5, 0.8, 0.9, 1.1, 1.25, 2.0];

/// Evidence against the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitCheck {
    share: f64,
    weight: f64,
    steps: u32,
    present: EProcess,
    settled: f64,
    unspent: f64,
    counted: Both<u32>,
}

impl Default for SplitCheck {
    fn default() -> Self {
        let present = EProcess::new(ODDS.len(), StartWeights::of_step());
        let counted = Both::default();
        Self { share: 0.0, weight: 0.0, steps: 0, present, settled: 0.0, unspent: 1.0, counted }
    }
}

impl SplitCheck {
    /// The candidate's share changed.
    pub fn change(&mut self, share: f64) {
        self.settled += self.weight * self.present.value();
        self.steps += 1;
        self.weight = 6.0 / (PI * f64::from(self.steps)).powi(2);
        self.unspent = (self.unspent - self.weight).max(0.0);
        self.present = EProcess::new(ODDS.len(), StartWeights::of_step());
        self.share = share;
        self.counted = Both::default();
    }

    /// Keys were seen for the first time since the change.
    pub fn see(&mut self, now: Tick, new_keys: Both<u32>) {
        let Both { active, candidate } = new_keys;
        if active + candidate == 0 || self.share <= 0.0 || self.share >= 1.0 {
            return;
        }
        self.counted.active = self.counted.active.saturating_add(active);
        self.counted.candidate = self.counted.candidate.saturating_add(candidate);
        let (candidate_hits, hits) = (f64::from(candidate), f64::from(active + candidate));
        let bet = Relative { candidate_hits, hits, share: self.share, tolerance: 1.0 };
        let tally = new_keys.map(|n| Tally { n, hits: n, clear_hits: 0 });
        self.present.observe(now, tally, |bettor| bet.log_factor(ODDS[bettor]));
    }

    /// What one coin has become.
    pub fn value(&self) -> f64 {
        self.settled + self.weight * self.present.value() + self.unspent
    }

    /// The share that was set, and keys counted since.
    pub fn counted(&self) -> (f64, Both<u32>) {
        (self.share, self.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(share_set: f64, share_real: f64, seed: u64) -> f64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut check = SplitCheck::default();
        check.change(share_set);
        let mut largest = 0.0_f64;
        for tick in 0..20_000 {
            let on_candidate = u32::from(random.f64() < share_real);
            check.see(Tick(tick), Both { active: 1 - on_candidate, candidate: on_candidate });
            largest = largest.max(check.value());
        }
        largest
    }

    #[test]
    fn an_honest_split_passes_and_a_wrong_one_is_found() {
        for seed in 0..50 {
            assert!(largest(0.05, 0.05, seed) < 1_000.0, "seed {seed}");
        }
        assert!(largest(0.05, 0.061, 1) > 1_000.0);
        assert!(largest(0.05, 0.025, 1) > 1_000.0);
    }
}
