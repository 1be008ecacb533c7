//! The bets themselves: by what a coin is multiplied when a stratum is known.
//!
//! Each is a logarithm, and each is at most 1 on average (its exponential) if the candidate is no worse,
//! whatever the common rate was at that moment.

/// Bettors on relative evidence: by how much the odds of a failure may have grown.
pub const ODDS: [f64; 6] = [1.25, 1.5, 2.0, 4.0, 10.0, 50.0];

/// Bettors on an absolute limit: multiples of it, and shares by themselves. Without the small multiples
/// a steady breach by a fifth is never found.
const LIMIT_MULTIPLES: [f64; 5] = [1.1, 1.2, 1.5, 2.0, 5.0];
const LIMIT_SHARES: [f64; 3] = [0.25, 0.5, 0.9];

/// Hits of a stratum, by whose they are, against the candidate's share of the requests.
///
/// Given the stratum's totals, the candidate's hits are a draw without replacement if both are alike;
/// by Hoeffding's comparison that is no more spread than the draw with replacement that is bet on here.
/// With `tolerance` r, "alike" means "at most r times as bad".
#[derive(Debug, Clone, Copy)]
pub struct Relative {
    /// Hits of the candidate.
    pub candidate_hits: f64,
    /// Hits of both.
    pub hits: f64,
    /// The candidate's share of the requests, 0 to 1.
    pub share: f64,
    /// 1: no worse.
    pub tolerance: f64,
}

impl Relative {
    /// For a guess of the factor between the odds.
    pub fn log_factor(&self, odds: f64) -> f64 {
        let expected =
            (1.0 + self.share * (odds - 1.0)) / (1.0 + self.share * (self.tolerance - 1.0));
        self.candidate_hits * (odds / self.tolerance).ln() - self.hits * expected.ln()
    }
}

/// Slow requests of both sides, where the active side's share of slow ones is about known.
///
/// The two-sample e-variable of Turner, Ly and Grünwald ("Generic E-variables for exact sequential
/// k-sample tests", 2021): valid for every common share; a wrong `expected` costs power only.
#[derive(Debug, Clone, Copy)]
pub struct TwoSample {
    /// The active side: requests, slow ones.
    pub active: (f64, f64),
    /// The candidate: requests, slow ones.
    pub candidate: (f64, f64),
    /// The share of slow ones that a healthy side has.
    pub expected: f64,
}

impl TwoSample {
    /// For a guess of the factor between the odds.
    pub fn log_factor(&self, odds: f64) -> f64 {
        let active = self.expected;
        let candidate = odds * active / (1.0 + (odds - 1.0) * active);
        let (n_active, n_candidate) = (self.active.0, self.candidate.0);
        let alike = (n_active * active + n_candidate * candidate) / (n_active + n_candidate);
        let side = |(n, slow): (f64, f64), share: f64| {
            slow * (share / alike).ln() + (n - slow) * ((1.0 - share) / (1.0 - alike)).ln()
        };
        side(self.active, active) + side(self.candidate, candidate)
    }
}

/// The bettors against an absolute limit on a share.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShareLimit {
    /// By a hit and by a miss, per bettor.
    factors: Vec<(f64, f64)>,
}

impl ShareLimit {
    /// Against "at most `limit`", above 0 and below 1.
    pub fn new(limit: f64) -> Self {
        let multiples = LIMIT_MULTIPLES.iter().map(|multiple| multiple * limit);
        let mut shares: Vec<f64> = multiples.chain(LIMIT_SHARES).collect();
        shares.retain(|share| *share > limit && *share < 1.0);
        shares.sort_by(f64::total_cmp);
        shares.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        let factor = |share: &f64| ((share / limit).ln(), ((1.0 - share) / (1.0 - limit)).ln());
        Self { factors: shares.iter().map(factor).collect() }
    }

    /// How many bettors there are.
    pub fn bettors(&self) -> usize {
        self.factors.len()
    }

    /// For one of them, after `hits` of `n`.
    pub fn log_factor(&self, bettor: usize, n: f64, hits: f64) -> f64 {
        let (hit, miss) = self.factors[bettor];
        hits * hit + (n - hits) * miss
    }
}

/// Stakes against "the mean score is at least the limit", as parts of what can be staked at most.
pub const SCORE_STAKES: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];

/// A score in 0..1 against a limit below 1; the stake is one of `SCORE_STAKES`.
pub fn score_below(limit: f64, score: f64, stake: f64) -> f64 {
    (stake / (1.0 - limit) * (limit - score)).ln_1p()
}

/// Stakes against "the candidate's mean is at least the active side's".
pub const DIFFERENCE_STAKES: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.7];

/// A difference of means in -1..1; the stake is one of `DIFFERENCE_STAKES`.
pub fn difference_below(difference: f64, stake: f64) -> f64 {
    (-stake * difference).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums `f` over a binomial distribution.
    fn mean_over_binomial(n: u32, p: f64, f: impl Fn(f64) -> f64) -> f64 {
        let mut probability = (1.0 - p).powi(i32::try_from(n).unwrap());
        let mut mean = 0.0;
        for hits in 0..=n {
            mean += probability * f(f64::from(hits));
            let (n, hits) = (f64::from(n), f64::from(hits));
            probability *= (n - hits) / (hits + 1.0) * p / (1.0 - p);
        }
        mean
    }

    #[test]
    fn relative_bets_win_nothing_when_sides_are_alike() {
        for (n_active, n_candidate, p) in [(9, 1, 0.1), (20, 5, 0.5), (5, 5, 0.9), (40, 10, 0.01)] {
            for odds in ODDS {
                let mean = mean_over_binomial(n_active, p, |a| {
                    mean_over_binomial(n_candidate, p, |c| {
                        let share = f64::from(n_candidate) / f64::from(n_active + n_candidate);
                        let bet =
                            Relative { candidate_hits: c, hits: a + c, share, tolerance: 1.0 };
                        bet.log_factor(odds).exp()
                    })
                });
                assert!(mean <= 1.0 + 1e-9, "{n_active}:{n_candidate} {p} {odds}: {mean}");
            }
        }
    }

    #[test]
    fn two_sample_bets_win_nothing_when_sides_are_alike_whatever_the_share() {
        for (n_active, n_candidate, p) in [(9, 1, 0.1), (20, 5, 0.5), (5, 5, 0.9), (40, 10, 0.01)] {
            for (expected, odds) in [(0.5, 1.25), (0.1, 2.0), (0.01, 50.0), (0.5, 50.0)] {
                let mean = mean_over_binomial(n_active, p, |a| {
                    mean_over_binomial(n_candidate, p, |c| {
                        let active = (f64::from(n_active), a);
                        let candidate = (f64::from(n_candidate), c);
                        TwoSample { active, candidate, expected }.log_factor(odds).exp()
                    })
                });
                assert!(mean <= 1.0 + 1e-9, "{n_active}:{n_candidate} {p} {odds}: {mean}");
            }
        }
    }

    #[test]
    fn limit_bets_win_nothing_at_the_limit() {
        for limit in [0.05, 0.01, 0.3] {
            let bets = ShareLimit::new(limit);
            for bettor in 0..bets.bettors() {
                let factor = |hits| bets.log_factor(bettor, 30.0, hits).exp();
                let at_limit = mean_over_binomial(30, limit, factor);
                assert!((at_limit - 1.0).abs() < 1e-9, "{limit} {bettor}: {at_limit}");
                assert!(mean_over_binomial(30, limit * 0.8, factor) < 1.0);
            }
        }
        assert_eq!(ShareLimit::new(0.05).bettors(), 7, "5 x 5 % is 25 %, counted once");
    }

    #[test]
    fn tolerance_forgives_what_it_says() {
        let bet = |tolerance| Relative { candidate_hits: 20.0, hits: 30.0, share: 0.5, tolerance };
        assert!(bet(1.0).log_factor(2.0) > 1.0);
        assert!(bet(2.0).log_factor(4.0) < bet(1.0).log_factor(2.0));
        assert!(bet(2.0).log_factor(2.0).abs() < 1e-12, "r against r is no bet");
    }

    #[test]
    fn scores_at_the_limit_win_nothing_and_below_it_much() {
        for stake in SCORE_STAKES {
            let mean =
                0.7 * score_below(0.7, 1.0, stake).exp() + 0.3 * score_below(0.7, 0.0, stake).exp();
            assert!((mean - 1.0).abs() < 1e-9);
            assert!(score_below(0.7, 0.3, stake) > 0.0);
        }
        assert!(difference_below(-0.2, 0.7) > 0.0 && difference_below(1.0, 0.7).is_finite());
    }
}
