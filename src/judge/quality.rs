//! Evidence that the candidate's answers are worse, by scores that come in while users are served.
//!
//! Half of the coin is bet against the absolute limit, half by comparison. Scores come late and sparsely,
//! so a comparison closes with the first second in which both sides have one; by counts, never by values.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::e_process::{EProcess, Tally};
use super::likelihood::{DIFFERENCE_STAKES, SCORE_STAKES, difference_below, score_below};
use super::record::{Both, Score, Side};
use super::start_weights::StartWeights;
use super::tick::Tick;

/// Scores of the active side from which its mean is taken as what is usual.
const USUAL_MIN: u32 = 20;
/// Scores of the candidate that are remembered by key.
const RECENT_MAX: usize = 200;

/// Scores: how many and what they sum to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How many.
    pub n: u32,
    /// Their sum.
    pub sum: f64,
}

impl Scores {
    /// Their mean; `None` of none.
    pub fn mean(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / f64::from(self.n))
    }

    fn add(&mut self, value: f64) {
        self.n = self.n.saturating_add(1);
        self.sum += value;
    }
}

/// What scores say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    limit: f64,
    absolute: EProcess,
    relative: EProcess,
    /// Of the comparison that is open.
    open: Both<Scores>,
    open_from: Tick,
    /// Since the last change.
    since_change: Both<Scores>,
    /// Of the active side, always.
    usual: Scores,
    /// Of the candidate, in the order in which they came in.
    #[serde(default)]
    recent: VecDeque<Shortfall>,
}

/// By how much a score is below the limit; negative above it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Whose it is; `None` for a request without a key.
    pub key: Option<u64>,
    /// How much.
    pub points: f64,
}

impl Quality {
    /// Before anything was seen, for a limit below 1.
    pub fn new(limit: f64, planned_steps: u32) -> Self {
        let starts = StartWeights::of_rollout(planned_steps);
        Self {
            limit,
            absolute: EProcess::new(SCORE_STAKES.len(), starts.clone()),
            relative: EProcess::new(DIFFERENCE_STAKES.len(), starts),
            open: Both::default(),
            open_from: Tick(0),
            since_change: Both::default(),
            usual: Scores::default(),
            recent: VecDeque::new(),
        }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        self.absolute.change(at, planned);
        self.relative.change(at, planned);
        (self.open, self.open_from) = (Both::default(), at);
        self.since_change = Both::default();
    }

    /// A score came in. Answers whether it is low: below what is usual on the active side so far.
    pub fn score(&mut self, score: &Score) -> bool {
        let value = score.value.clamp(0.0, 1.0);
        let usual = self.usual.mean().filter(|_| self.usual.n >= USUAL_MIN);
        let is_low = value < usual.unwrap_or(self.limit);
        self.open.of(score.side).add(value);
        self.since_change.of(score.side).add(value);
        if score.side == Side::Active {
            self.usual.add(value);
        } else {
            let candidate = Tally { n: 1, hits: u32::from(is_low), clear_hits: 0 };
            let counted = Both { active: Tally::default(), candidate };
            let limit = self.limit;
            let factor = |bettor: usize| score_below(limit, value, SCORE_STAKES[bettor]);
            self.absolute.observe(score.arrived, counted, factor);
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(Shortfall { key: score.key, points: limit - value });
        }
        is_low
    }

    /// A second ended: compares, if there is something to compare.
    pub fn end_second(&mut self, now: Tick) {
        let Both { active: Some(active), candidate: Some(candidate) } = self.open.map(Scores::mean)
        else {
            return;
        };
        let counted = self.open.map(|scores| Tally { n: scores.n, hits: 0, clear_hits: 0 });
        let difference = candidate - active;
        let factor = |bettor: usize| difference_below(difference, DIFFERENCE_STAKES[bettor]);
        self.relative.observe(self.open_from, counted, factor);
        (self.open, self.open_from) = (Both::default(), now);
    }

    /// What the coin has become.
    pub fn value(&self) -> f64 {
        f64::midpoint(self.absolute.value(), self.relative.value())
    }

    /// The same where comparisons no longer count: their half is the coin that was staked and no more.
    pub fn value_alone(&self) -> f64 {
        f64::midpoint(self.absolute.value(), self.relative.value().min(1.0))
    }

    /// By how much the candidate's last scores fall short of the limit, since the trouble most probably
    /// began. (In the order in which they came in: whoever scores may do so in any order of requests.)
    pub fn shortfalls(&self) -> impl Iterator<Item = Shortfall> {
        let since = self.absolute.onset().counted.candidate.n;
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        self.recent.iter().rev().take(since).copied()
    }

    /// Whether the active side has enough scores to compare with.
    pub fn is_compared(&self) -> bool {
        self.usual.n >= USUAL_MIN
    }

    /// Whether the active side's own scores are below the limit.
    pub fn is_shared(&self) -> bool {
        self.is_compared() && self.usual.mean().is_some_and(|mean| mean < self.limit)
    }

    /// When the trouble most probably began.
    pub fn since(&self) -> Tick {
        self.strongest().onset().since
    }

    /// Whether most of the evidence is against the absolute limit.
    pub fn is_mostly_absolute(&self) -> bool {
        self.absolute.value() > self.relative.value()
    }

    /// Mean scores since the last change.
    pub fn means(&self) -> Both<Option<f64>> {
        self.since_change.map(Scores::mean)
    }

    /// How many scores there are since the last change.
    pub fn counted(&self) -> Both<u32> {
        self.since_change.map(|scores| scores.n)
    }

    fn strongest(&self) -> &EProcess {
        if self.is_mostly_absolute() { &self.absolute } else { &self.relative }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidate's scores until the evidence is 100, of at most 2000; scores are 0 or 1 at these means.
    fn scores_until_found(active: f64, candidate: f64) -> Option<u32> {
        let mut random = fastrand::Rng::with_seed(5);
        let mut quality = Quality::new(0.7, 5);
        quality.change(Tick(0), true);
        for second in 0..2_000 {
            let arrived = Tick::of_second(second);
            for (side, mean) in [(Side::Active, active), (Side::Candidate, candidate)] {
                let value = if random.f64() < mean { 1.0 } else { 0.0 };
                quality.score(&Score { side, key: None, arrived, value });
            }
            quality.end_second(arrived);
            if quality.value() >= 100.0 {
                return Some(second + 1);
            }
        }
        None
    }

    #[test]
    fn what_is_worse_is_found_and_what_is_not_is_left() {
        assert!(scores_until_found(0.9, 0.3).is_some_and(|n| n < 40));
        assert!(scores_until_found(0.95, 0.75).is_some_and(|n| n < 400), "worse, above the limit");
        assert!(scores_until_found(0.75, 0.60).is_some_and(|n| n < 900), "below the limit");
        assert_eq!(scores_until_found(0.85, 0.85), None);
        assert_eq!(scores_until_found(0.72, 0.80), None);
    }
}
