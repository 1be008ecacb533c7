//! A bet that starts with one coin and cannot grow, on average, while the candidate is no worse.
//!
//! Several bettors play, each with its own guess of how much worse the candidate is, and each puts its
//! stake down over time (`start_weights`): `R <- (R + w) L` sums over all moments at which the trouble
//! may have begun. The mean of what they hold, and what they have kept back, is an e-process: at most
//! 1 on average at any time at which somebody may choose to look.
//!
//! Beside the sum stands its largest term: when the trouble most probably began, and what was counted
//! since.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::record::Both;
use super::start_weights::StartWeights;
use super::tick::Tick;

/// Winnings above this are given away, which keeps the guarantee and the number finite.
const CAPITAL_MAX: f64 = 1e100;

/// Counted since some moment: requests, and those that speak against their environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests.
    pub n: u32,
    /// Those that failed, or were slow.
    pub hits: u32,
    /// Those that were clearly slow (1.1 times the threshold).
    pub clear_hits: u32,
}

impl Tally {
    /// The share of hits; zero of nothing.
    pub fn share(self) -> f64 {
        f64::from(self.hits) / f64::from(self.n.max(1))
    }

    /// The share of clear hits; zero of nothing.
    pub fn clear_share(self) -> f64 {
        f64::from(self.clear_hits) / f64::from(self.n.max(1))
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.hits = self.hits.saturating_add(other.hits);
        self.clear_hits = self.clear_hits.saturating_add(other.clear_hits);
    }
}

/// The most probable beginning, and what was counted since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Onset {
    /// First tick of the stratum.
    pub since: Tick,
    /// Counted since.
    pub counted: Both<Tally>,
}

/// One bettor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Bet {
    capital: f64,
    /// The largest term of the sum in `capital`.
    largest_term: f64,
    onset: Onset,
}

/// Bettors who share one coin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EProcess {
    bets: Vec<Bet>,
    starts: StartWeights,
}

impl EProcess {
    /// So many bettors with equal shares of the coin.
    pub fn new(bettors: usize, starts: StartWeights) -> Self {
        Self { bets: vec![Bet::default(); bettors], starts }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        self.starts.change(at, planned);
    }

    /// One stratum that began at `from`; `log_factor` is the log likelihood ratio by a bettor's number,
    /// 0 where the stratum tells nothing.
    pub fn observe(&mut self, from: Tick, counted: Both<Tally>, log_factor: impl Fn(usize) -> f64) {
        let start = self.starts.spend(from);
        self.bet(from, start, counted, log_factor);
    }

    /// The same without putting anything new down: a further look within one stratum.
    pub fn observe_further(
        &mut self,
        from: Tick,
        counted: Both<Tally>,
        log_factor: impl Fn(usize) -> f64,
    ) {
        self.bet(from, 0.0, counted, log_factor);
    }

    fn bet(
        &mut self,
        from: Tick,
        start: f64,
        counted: Both<Tally>,
        log_factor: impl Fn(usize) -> f64,
    ) {
        for (index, bet) in self.bets.iter_mut().enumerate() {
            if start > bet.largest_term {
                bet.largest_term = start;
                bet.onset = Onset { since: from, counted: Both::default() };
            }
            bet.onset.counted += counted;
            bet.capital += start;
            let log_factor = log_factor(index);
            if log_factor != 0.0 {
                let factor = log_factor.exp();
                bet.capital = (bet.capital * factor).min(CAPITAL_MAX);
                bet.largest_term = (bet.largest_term * factor).min(CAPITAL_MAX);
            }
        }
    }

    /// Everything staked is lost: what happened lately says nothing about the candidate.
    pub fn discard(&mut self) {
        for bet in &mut self.bets {
            *bet = Bet::default();
        }
    }

    /// What one coin has become.
    pub fn value(&self) -> f64 {
        let bettors = u32::try_from(self.bets.len()).map_or(1.0, f64::from);
        let sum: f64 = self.bets.iter().map(|bet| bet.capital).sum();
        sum / bettors + self.starts.unspent()
    }

    /// When the trouble most probably began.
    pub fn onset(&self) -> Onset {
        let strongest = self.bets.iter().max_by(|a, b| a.largest_term.total_cmp(&b.largest_term));
        strongest.map_or_else(Onset::default, |bet| bet.onset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(hits: u32) -> Both<Tally> {
        Both { candidate: Tally { n: 1, hits, clear_hits: 0 }, active: Tally::default() }
    }

    #[test]
    fn starts_at_one_coin_and_stays_there_without_news() {
        let mut process = EProcess::new(3, StartWeights::of_rollout(4));
        assert!((process.value() - 1.0).abs() < 1e-12);
        process.change(Tick(0), true);
        for tick in 0..1_000 {
            process.observe(Tick(tick), one(0), |_| 0.0);
        }
        assert!((process.value() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn equals_the_sum_over_all_starts() {
        let factors = [0.9, 0.8, 1.5, 0.7, 3.0, 2.0, 4.0];
        let mut process = EProcess::new(1, StartWeights::of_rollout(1));
        let mut weights = StartWeights::of_rollout(1);
        process.change(Tick(0), true);
        weights.change(Tick(0), true);
        let mut terms: Vec<f64> = vec![];
        for (tick, factor) in (0..).zip(factors) {
            process.observe(Tick(tick), one(1), |_| f64::ln(factor));
            terms.push(weights.spend(Tick(tick)));
            terms.iter_mut().for_each(|term| *term *= factor);
        }
        let expected = terms.iter().sum::<f64>() + weights.unspent();
        assert!((process.value() - expected).abs() < 1e-9);
        let largest = (0..).zip(&terms).max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        assert_eq!(process.onset().since, Tick(largest.0));
    }

    #[test]
    fn a_late_beginning_is_found_and_counted_from_there() {
        let mut process = EProcess::new(1, StartWeights::of_rollout(1));
        process.change(Tick(0), true);
        for tick in 0..500 {
            process.observe(Tick(tick), one(0), |_| -0.1);
        }
        for tick in 500..530 {
            process.observe(Tick(tick), one(1), |_| 1.0);
        }
        let onset = process.onset();
        assert_eq!(onset.since, Tick(500));
        assert_eq!(onset.counted.candidate, Tally { n: 30, hits: 30, clear_hits: 0 });
    }

    #[test]
    fn stays_finite_and_what_is_discarded_is_gone() {
        let mut process = EProcess::new(2, StartWeights::of_rollout(1));
        for tick in 0..100 {
            process.observe(Tick(tick), one(1), |_| 400.0);
        }
        assert!(process.value().is_finite() && process.value() > 1e90);
        process.discard();
        assert!(process.value() <= 1.0);
    }
}
