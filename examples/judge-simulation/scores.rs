//! Quality scores by themselves: how many it takes to find a candidate that answers worse.
//!
//! Scores are Beta distributed with parameters that sum to 20 (a standard deviation of 0.09 to 0.11), one of
//! each side per second. The coin is bet on quality alone, half of it against the limit of 0.70.

use cyan::judge::quality::Quality;
use cyan::judge::record::{Score, Side};
use cyan::judge::tick::Tick;

use crate::summary::interval;

/// Means of both sides in twentieths, and scores of the candidate at most.
const ROWS: [(u32, u32, u32); 8] = [
    (14, 14, 20_000),
    (17, 17, 20_000),
    (14, 13, 20_000),
    (14, 12, 20_000),
    (14, 10, 20_000),
    (14, 6, 20_000),
    (17, 16, 20_000),
    (17, 15, 20_000),
];

/// The table, from so many runs a row.
pub fn table(runs: u32, seed: u64) -> String {
    let mut table =
        "| mean score, active | candidate | runs | found (95 %) | scores to detection (p90) |\n\
                     |---|---|---|---|---|\n"
            .to_owned();
    for (active, candidate, scores_max) in ROWS {
        let found = (0..runs).filter_map(|run| {
            let mut random = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(run)));
            find(&mut random, active, candidate, scores_max)
        });
        let mut found: Vec<u32> = found.collect();
        found.sort_unstable();
        let count = u32::try_from(found.len()).expect("no more than runs");
        let (low, high) = interval(count, runs);
        let share = 100.0 * f64::from(count) / f64::from(runs);
        let scores = match (found.get(found.len() / 2), found.get(found.len() * 9 / 10)) {
            (Some(median), Some(p90)) => format!("{median} ({p90})"),
            _ => "never".to_owned(),
        };
        let mean = |twentieths: u32| f64::from(twentieths) / 20.0;
        table += &format!(
            "| {:.2} | {:.2} | {runs} | {share:.1} % ({:.1} to {:.1}) | {scores} |\n",
            mean(active),
            mean(candidate),
            low * 100.0,
            high * 100.0
        );
    }
    table
}

/// Scores of the candidate until evidence reaches 100.
fn find(random: &mut fastrand::Rng, active: u32, candidate: u32, scores_max: u32) -> Option<u32> {
    let mut quality = Quality::new(0.7, 5);
    quality.change(Tick(0), true);
    (1..=scores_max).find(|second| {
        let arrived = Tick::of_second(*second);
        for (side, twentieths) in [(Side::Active, active), (Side::Candidate, candidate)] {
            let value = beta(random, twentieths);
            quality.score(&Score { side, key: None, arrived, value });
        }
        quality.end_second(arrived);
        quality.value() >= 100.0
    })
}

/// Beta with parameters `twentieths` and 20 - `twentieths`.
fn beta(random: &mut fastrand::Rng, twentieths: u32) -> f64 {
    let good = gamma(random, twentieths);
    good / (good + gamma(random, 20 - twentieths))
}

/// Gamma of a whole shape: a sum of exponentials, by one logarithm.
fn gamma(random: &mut fastrand::Rng, shape: u32) -> f64 {
    -(0..shape).map(|_| 1.0 - random.f64()).product::<f64>().ln()
}
