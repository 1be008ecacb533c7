//! The numbers behind a decision, and what they say in words.
//!
//! The parts sum to the number that is shown. Every count stands with its number of requests, the other
//! side's, and since when.

use serde::{Deserialize, Serialize};

use super::e_process::{Onset, Tally};
use super::evidence::Evidence;
use super::likelihood::{ODDS, Relative};
use super::metric::Metric;
use super::record::Both;
use super::tick::Tick;

/// Why a judge decides as it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The number that is acted on: at most one healthy rollout in so many ever reaches it. `None` from
    /// the window judge, which has no such number.
    pub evidence: Option<f64>,
    /// The metric that speaks most against the candidate.
    pub strongest: Option<Metric>,
    /// What each metric says.
    pub parts: Vec<Part>,
    /// Whether the candidate fails for everybody. The window judge does not tell.
    #[serde(default)]
    pub is_total_failure: bool,
}

/// What one metric says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub metric: Metric,
    /// Its weighted share of the number.
    pub adds: f64,
    /// Evidence by users.
    pub by_users: f64,
    /// When its trouble most probably began, and what was counted since.
    pub onset: Onset,
    /// Users hit since, in the present hour of this step.
    pub users: Both<u32>,
    /// Mean scores since the last change, for quality.
    pub means: Option<Both<Option<f64>>>,
}

impl Explanation {
    /// Of evidence, and of what each metric adds to the number that is acted on.
    pub fn of(evidence: &Evidence, strongest: Metric, adds: impl Fn(Metric) -> f64) -> Self {
        let part = |metric| Part {
            metric,
            adds: adds(metric),
            by_users: evidence.by_users(metric),
            onset: evidence.onset(metric),
            users: evidence.users_hit(metric).counted.map(|tally| tally.hits),
            means: (metric == Metric::Quality).then(|| evidence.quality().means()),
        };
        let parts: Vec<Part> = evidence.settings().metrics.iter().map(part).collect();
        Self {
            evidence: Some(parts.iter().map(|part| part.adds).sum()),
            strongest: Some(strongest),
            parts,
            is_total_failure: evidence.is_total_failure(),
        }
    }

    /// One or two sentences, with both sides by their names. The judge knows no clock: `when` says in words
    /// when a tick was.
    pub fn sentence(&self, active: &str, candidate: &str, when: &dyn Fn(Tick) -> String) -> String {
        let part = self.parts.iter().find(|part| Some(part.metric) == self.strongest);
        match (self.evidence, part) {
            (Some(evidence), Some(part)) => {
                let lead = format!("Evidence against {candidate} is {}", number(evidence));
                if evidence < 1.0 {
                    return format!("{lead}: nothing speaks against {candidate}.");
                }
                if evidence < 5.0 {
                    return format!("{lead}: no more than chance.");
                }
                let most = part.adds / evidence;
                let what = part.sentence(active, candidate, when);
                format!("{lead}, {:.0} % of it from {}. {what}", most * 100.0, part.metric.name())
            }
            (_, Some(part)) => part.sentence(active, candidate, when),
            _ => format!("Nothing speaks against {candidate}."),
        }
    }
}

impl Part {
    fn sentence(&self, active: &str, candidate: &str, when: &dyn Fn(Tick) -> String) -> String {
        let Both { active: a, candidate: c } = self.onset.counted;
        let since = when(self.onset.since);
        let verb = match self.metric {
            Metric::Errors | Metric::ErrorLimit => "failed",
            Metric::Refused => "refused",
            Metric::Ttft | Metric::Latency | Metric::LatencyLimit => "was slow in",
            Metric::Quality => return self.quality_sentence(active, candidate),
        };
        let mut text = format!("Since {since}, {candidate} {verb} {}", counted(c));
        if !self.metric.is_absolute() {
            text += &format!(", {active} {}", counted(a));
            if let Some((low, high)) = rate_ratio(self.onset.counted) {
                text += &format!(", {low:.1} to {high:.1} times as often");
            }
        }
        text + "."
    }

    fn quality_sentence(&self, active: &str, candidate: &str) -> String {
        let means = self.means.unwrap_or_default();
        let Both { active: a, candidate: c } = self.onset.counted;
        let mean = |mean: Option<f64>| mean.map_or("none".to_owned(), |mean| format!("{mean:.2}"));
        format!(
            "Mean score of {candidate}: {} of {} answers, of {active}: {} of {}.",
            mean(means.candidate),
            c.n,
            mean(means.active),
            a.n
        )
    }
}

fn counted(tally: Tally) -> String {
    format!("{} of {} ({:.1} %)", tally.hits, tally.n, tally.share() * 100.0)
}

/// Evidence as people read it: `1.4`, `37`, `over 10000`.
pub fn number(evidence: f64) -> String {
    match evidence {
        e if e < 10.0 => format!("{e:.1}"),
        e if e < 10_000.0 => format!("{e:.0}"),
        _ => "over 10000".to_owned(),
    }
}

/// Between which factors the candidate is hit as often as the active side, with 95 % confidence: those
/// that a bet against them does not multiply by 20. `None` without a hit on the active side's part of
/// the scale. (Of counts since the most probable onset, so a little too narrow; for reading, not for
/// deciding.)
pub fn rate_ratio(counted: Both<Tally>) -> Option<(f64, f64)> {
    let Both { active, candidate } = counted;
    if active.n == 0 || candidate.n == 0 || active.hits == 0 || candidate.hits == 0 {
        return None;
    }
    let log_mean_bet = |tolerance: f64, odds: &dyn Fn(f64) -> f64| {
        let bet = Relative {
            candidate_hits: f64::from(candidate.hits),
            hits: f64::from(active.hits) + f64::from(candidate.hits),
            share: f64::from(candidate.n) / (f64::from(active.n) + f64::from(candidate.n)),
            tolerance,
        };
        let factor = |odd: &f64| bet.log_factor(tolerance * odds(*odd)).exp();
        (ODDS.iter().map(factor).sum::<f64>() / 6.0).ln()
    };
    let refuted = 20.0_f64.ln();
    let factors = || (-80..=80).map(|step| 1.1_f64.powi(step));
    let low = factors().find(|factor| log_mean_bet(*factor, &|odd| odd) < refuted)?;
    let high = factors().rev().find(|factor| log_mean_bet(*factor, &|odd| 1.0 / odd) < refuted)?;
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(hits: u32, n: u32) -> Tally {
        Tally { n, hits, clear_hits: hits }
    }

    #[test]
    fn a_ratio_lies_between_its_ends_and_narrows_with_counts() {
        let few = Both { active: tally(10, 1_000), candidate: tally(5, 100) };
        let many = Both { active: tally(1_000, 100_000), candidate: tally(500, 10_000) };
        let (few, many) = (rate_ratio(few).unwrap(), rate_ratio(many).unwrap());
        assert!(few.0 < 5.0 && few.1 > 5.0 && many.0 < 5.0 && many.1 > 5.0);
        assert!(many.1 / many.0 < 0.6 * few.1 / few.0, "{few:?} {many:?}");
        assert_eq!(rate_ratio(Both { active: tally(0, 9), candidate: tally(1, 9) }), None);
    }

    #[test]
    fn sentences_name_both_sides_with_counts() {
        let part = Part {
            metric: Metric::Errors,
            adds: 30.0,
            by_users: 4.0,
            onset: Onset {
                since: Tick::of_second(61),
                counted: Both { active: tally(118, 11_480), candidate: tally(31, 1_204) },
            },
            users: Both { active: 90, candidate: 30 },
            means: None,
        };
        let mut explanation = Explanation {
            evidence: Some(37.0),
            strongest: Some(Metric::Errors),
            parts: vec![part],
            is_total_failure: false,
        };
        let when = |tick: Tick| format!("second {}", tick.second());
        let sentence = explanation.sentence("blue", "green", &when);
        let start = "Evidence against green is 37, 81 % of it from errors. Since second 61, green failed \
                     31 of 1204 (2.6 %), blue 118 of 11480 (1.0 %), ";
        assert!(sentence.starts_with(start), "{sentence}");
        for (evidence, calm) in [
            (2.0, "Evidence against green is 2.0: no more than chance."),
            (0.5, "Evidence against green is 0.5: nothing speaks against green."),
        ] {
            explanation.evidence = Some(evidence);
            assert_eq!(explanation.sentence("blue", "green", &when), calm);
        }
    }
}
