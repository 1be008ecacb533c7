//! What is asked of a row, and whether its runs meet it.
//!
//! Runs are few, so only what chance does not explain counts as not met: a 95 % interval that lies wholly
//! beyond what is asked. Where a row is known to fall short, the reason stands in the code and in the
//! output, and a figure worse than the known one is not met either.

use crate::summary::{Judged, Summary, interval, percent};

/// Share of healthy candidates that may be rolled back.
const FALSE_MAX: f64 = 0.01;
/// ... and no row above this, where there are runs enough to speak of a point.
const FALSE_POINT_MAX: f64 = 0.02;
const RUNS_FOR_A_POINT: u32 = 100;
/// Share of healthy candidates that must get through in time.
const IN_TIME_MIN: f64 = 0.95;
/// Share of rollouts that must be held where no comparison can be trusted.
const HELD_MIN: f64 = 0.95;
/// How much later than the method's first simulation a fault may be found.
const SLACK: f64 = 1.25;

/// What is asked.
#[derive(Clone, Copy, PartialEq)]
pub enum Asks {
    /// The candidate is healthy: nobody may roll it back, and it gets through in time.
    Healthy,
    /// The same, but nobody asks when: there is too little traffic for the plan.
    Kept,
    /// Not the candidate's fault and not to be trusted: held, and not rolled back.
    Held,
    /// The fault is found.
    Found {
        /// The median of candidate requests that the method's first simulation needed.
        median: u32,
        /// The share of runs in which it found the fault.
        share: f64,
    },
}

/// A row that is known to miss what is asked.
#[derive(Clone, Copy)]
pub struct Shortfall {
    pub reaches: Reaches,
    /// Why it is accepted.
    pub why: &'static str,
}

/// What a row with a shortfall must still reach.
#[derive(Clone, Copy)]
pub enum Reaches {
    /// A median of requests at or below this.
    Median(u32),
    /// This share of healthy candidates in time.
    InTime(f64),
}

impl Asks {
    /// Says what is not met.
    pub fn complaints(self, shortfall: Option<Shortfall>, summary: &Summary) -> Vec<String> {
        let evidence = &summary.evidence;
        let reaches = shortfall.map(|shortfall| shortfall.reaches);
        let mut complaints = vec![];
        match self {
            Self::Healthy => {
                let in_time = (summary.got_through, summary.runs);
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                complaints.extend(too_late(in_time, reaches));
            }
            Self::Kept => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
            }
            Self::Held => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                let (held, runs) = (summary.held, summary.runs);
                let (_, high) = interval(held, runs);
                complaints
                    .extend((high < HELD_MIN).then(|| format!("held in {held} of {runs} only")));
            }
            Self::Found { median, share } => {
                complaints.extend(too_many(evidence.false_ones, summary));
                complaints.extend(too_rare(share, summary));
                complaints.extend(too_slow(f64::from(median) * SLACK, reaches, evidence));
            }
        }
        complaints
    }
}

fn too_many(rolled_back: u32, summary: &Summary) -> Option<String> {
    let runs = summary.runs;
    let (low, _) = interval(rolled_back, runs);
    let is_point_high =
        runs >= RUNS_FOR_A_POINT && percent(rolled_back, runs) > 100.0 * FALSE_POINT_MAX;
    (low > FALSE_MAX || is_point_high)
        .then(|| format!("{rolled_back} of {runs} healthy ones rolled back"))
}

fn too_late((in_time, runs): (u32, u32), reaches: Option<Reaches>) -> Option<String> {
    let (low, high) = interval(in_time, runs);
    match reaches {
        Some(Reaches::InTime(known)) if high < known => {
            Some(format!("{in_time} of {runs} got through in time, worse than known"))
        }
        Some(Reaches::InTime(_)) if low >= IN_TIME_MIN => {
            Some(format!("{in_time} of {runs} got through in time: no shortfall any more"))
        }
        None if high < IN_TIME_MIN => Some(format!("only {in_time} of {runs} got through in time")),
        _ => None,
    }
}

fn too_rare(share: f64, summary: &Summary) -> Option<String> {
    let (found, runs) = (summary.evidence.rolled_back, summary.runs - summary.evidence.false_ones);
    let (_, high) = interval(found, runs);
    (found < runs && high < share).then(|| format!("found in {found} of {runs} runs only"))
}

fn too_slow(allowed: f64, reaches: Option<Reaches>, judged: &Judged) -> Option<String> {
    let (low, high) = judged.median_interval?;
    let median = format!("median of {low} to {high} requests");
    match reaches {
        Some(Reaches::Median(known)) if low > known => {
            Some(format!("{median}, worse than the known {known}"))
        }
        Some(Reaches::Median(_)) if f64::from(high) <= allowed => {
            Some(format!("{median} is as asked: no shortfall any more"))
        }
        None if f64::from(low) > allowed => {
            Some(format!("{median}, at most {allowed:.0} are asked"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(runs: u32, found: u32, false_ones: u32, median: (u32, u32)) -> Summary {
        let judged = || Judged {
            rolled_back: found,
            false_ones,
            requests: None,
            median_interval: Some(median),
            seconds: None,
        };
        Summary { runs, evidence: judged(), window: judged(), got_through: runs, held: 0 }
    }

    #[test]
    fn only_what_chance_does_not_explain_is_a_complaint() {
        let found = Asks::Found { median: 100, share: 1.0 };
        let known = Some(Shortfall { reaches: Reaches::Median(200), why: "a reason" });
        for (asks, shortfall, summary, expected) in [
            (Asks::Healthy, None, summary(20, 1, 0, (1, 1)), 0),
            (Asks::Healthy, None, summary(20, 2, 0, (1, 1)), 1),
            (Asks::Healthy, None, summary(200, 5, 0, (1, 1)), 1),
            (found, None, summary(20, 20, 0, (125, 300)), 0),
            (found, None, summary(20, 20, 0, (126, 300)), 1),
            (found, None, summary(20, 19, 0, (90, 110)), 1),
            (found, None, summary(20, 17, 3, (90, 110)), 1),
            (found, known, summary(20, 20, 0, (150, 300)), 0),
            (found, known, summary(20, 20, 0, (201, 300)), 1),
            (found, known, summary(20, 20, 0, (90, 125)), 1),
            (Asks::Found { median: 100, share: 0.9 }, None, summary(20, 17, 0, (90, 110)), 0),
            (Asks::Found { median: 100, share: 0.9 }, None, summary(20, 10, 0, (90, 110)), 1),
        ] {
            let complaints = asks.complaints(shortfall, &summary);
            assert_eq!(complaints.len(), expected, "{complaints:?}");
        }
    }

    #[test]
    fn who_does_not_get_through_in_time_is_counted() {
        let known = Some(Shortfall { reaches: Reaches::InTime(0.8), why: "a reason" });
        for (got_through, runs, shortfall, expected) in [
            (18, 20, None, 0),
            (16, 20, None, 1),
            (16, 20, known, 0),
            (10, 20, known, 1),
            (995, 1_000, known, 1),
        ] {
            let summary = Summary { got_through, ..summary(runs, 0, 0, (1, 1)) };
            assert_eq!(Asks::Healthy.complaints(shortfall, &summary).len(), expected);
        }
    }
}
