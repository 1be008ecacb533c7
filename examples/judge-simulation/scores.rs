//! Quality scores by themselves: how many it takes to find a candidate that answers worse.
//!
//! Scores are Beta distributed with parameters that sum to 20 (a standard deviation of 0.09 to 0.11), one of
//! each side per second. The coin is bet on quality alone, half of it against the limit of 0.70.

use cyan::judge::quality::Quality;
use cyan::judge::record::{Score, Side};
use cyan::judge::tick::Tick;

use crate::request::normal;
use crate::requirement::Asks;
use crate::run::{Outcome, RolledBack};
use crate::summary::Summary;

/// What stands above the table.
pub const HEAD: &str = "Quality scores (Beta, standard deviation about 0.1), the coin on quality alone, limit \
                        0.70, 20 000 scores at most:\n\n\
                        | mean score, active | candidate | runs | asked | found (95 %) | scores to \
                        detection (p90) |\n|---|---|---|---|---|---|\n";

/// Scores of the candidate at most.
const SCORES_MAX: u32 = 20_000;

/// One row.
pub struct ScoreRow {
    active: f64,
    candidate: f64,
    asks: Asks,
}

/// Mean scores, and the median of scores that the method's first simulation needed.
pub fn all() -> Vec<ScoreRow> {
    let found = |median| Asks::Found { median: Some(median), share: 1.0 };
    [
        (0.70, 0.70, Asks::Healthy),
        (0.72, 0.72, Asks::Healthy),
        (0.85, 0.85, Asks::Healthy),
        (0.70, 0.68, found(698)),
        (0.70, 0.65, found(122)),
        (0.70, 0.60, found(34)),
        (0.70, 0.50, found(15)),
        (0.70, 0.30, found(8)),
        (0.85, 0.80, found(945)),
        (0.85, 0.75, found(470)),
    ]
    .map(|(active, candidate, asks)| ScoreRow { active, candidate, asks })
    .into()
}

impl ScoreRow {
    /// So many runs.
    pub fn simulate(&self, runs: u32, seed: u64) -> Summary {
        let run = |run| {
            let mut random = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(run)));
            self.run(&mut random)
        };
        Summary::of(&(0..runs).map(run).collect::<Vec<_>>())
    }

    /// One line of a Markdown table.
    pub fn line(&self, summary: &Summary) -> String {
        let asked = match self.asks {
            Asks::Found { median: Some(median), .. } => format!("median {median}"),
            _ => "at most 1 %".to_owned(),
        };
        let found = summary.share(summary.evidence.rolled_back);
        let scores = match summary.evidence.requests {
            Some((median, p90)) => format!("{median} ({p90})"),
            None => "never".to_owned(),
        };
        let Self { active, candidate, .. } = self;
        format!(
            "| {active:.2} | {candidate:.2} | {} | {asked} | {found} | {scores} |",
            summary.runs
        )
    }

    /// Says what is not met.
    pub fn complaints(&self, summary: &Summary) -> Vec<String> {
        let complaints = self.asks.complaints(summary).into_iter();
        let Self { active, candidate, .. } = self;
        complaints
            .map(|text| format!("scores of {candidate:.2} against {active:.2}: {text}"))
            .collect()
    }

    /// Until evidence reaches 100: a rollback after so many scores of the candidate.
    fn run(&self, random: &mut fastrand::Rng) -> Outcome {
        let mut quality = Quality::new(0.7, 5);
        quality.change(Tick(0), true);
        let found = (1..=SCORES_MAX).find(|second| {
            let arrived = Tick::of_second(*second);
            for (side, mean) in [(Side::Active, self.active), (Side::Candidate, self.candidate)] {
                let value = beta(random, mean);
                quality.score(&Score { side, key: None, arrived, value });
            }
            quality.end_second(arrived);
            quality.value() >= 100.0
        });
        let rolled_back = found.map(|requests| {
            let seconds = f64::from(requests);
            RolledBack { requests, seconds, at: seconds, is_false: false }
        });
        Outcome {
            rolled_back,
            window_rolled_back: None,
            got_through: found.is_none(),
            was_held: false,
            stepped_back: false,
            gate_shut: 0.0,
        }
    }
}

/// Beta of this mean with parameters that sum to 20.
pub fn beta(random: &mut fastrand::Rng, mean: f64) -> f64 {
    let good = gamma(random, 20.0 * mean);
    good / (good + gamma(random, 20.0 * (1.0 - mean)))
}

/// Gamma of a shape of at least 1 (Marsaglia and Tsang, 2000): a cube of a normal, sometimes refused.
fn gamma(random: &mut fastrand::Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        let accepted = 0.5 * x * x + d - d * v + d * v.ln();
        if v > 0.0 && (1.0 - random.f64()).ln() < accepted {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_have_the_mean_and_the_spread_that_the_table_names() {
        for mean in [0.30, 0.68, 0.85] {
            let mut random = fastrand::Rng::with_seed(5);
            let scores: Vec<f64> = (0..20_000).map(|_| beta(&mut random, mean)).collect();
            let seen = scores.iter().sum::<f64>() / 20_000.0;
            let square = scores.iter().map(|score| (score - seen).powi(2)).sum::<f64>() / 20_000.0;
            let variance = mean * (1.0 - mean) / 21.0;
            assert!((seen - mean).abs() < 0.003, "{seen} for {mean}");
            assert!((square / variance - 1.0).abs() < 0.05, "{square} for {variance}");
        }
    }
}
