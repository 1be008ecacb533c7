//! What is asked of a row, and whether its runs meet it.
//!
//! Runs are few, so only what chance does not explain counts as not met: a 95 % interval that lies wholly
//! beyond what is asked.

use crate::summary::{Judged, Summary, interval, percent};

/// Share of healthy candidates that may be rolled back.
const FALSE_MAX: f64 = 0.01;
/// ... and no row above this, where there are runs enough to speak of a point.
const FALSE_POINT_MAX: f64 = 0.02;
const RUNS_FOR_A_POINT: u32 = 100;
/// Share of healthy candidates that must get through in time.
const IN_TIME_MIN: f64 = 0.95;
/// Share of rollouts that must be held, or go back a step, where the candidate is not to blame for sure.
const HELD_MIN: f64 = 0.95;
/// Share of the time for which a healthy active side may shut the blame gate.
const GATE_SHUT_MAX: f64 = 0.05;
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
    /// An incident of both sides right after a step: back to the step before, and not rolled back.
    SteppedBack,
    /// Healthy, and the blame gate is rarely shut.
    GateOpen,
    /// The fault is found.
    Found {
        /// The median of candidate requests that the method's first simulation needed, if it had this fault.
        median: Option<u32>,
        /// The share of runs in which it found the fault.
        share: f64,
    },
}

impl Asks {
    /// Says what is not met.
    pub fn complaints(self, summary: &Summary) -> Vec<String> {
        let evidence = &summary.evidence;
        let mut complaints = vec![];
        match self {
            Self::Healthy => {
                let in_time = (summary.got_through, summary.runs);
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                complaints.extend(too_late(in_time));
            }
            Self::Kept => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
            }
            Self::Held => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                complaints.extend(too_few("held", summary.held, summary.runs));
            }
            Self::SteppedBack => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                complaints.extend(too_few("went back", summary.stepped_back, summary.runs));
            }
            Self::GateOpen => {
                complaints.extend(too_many(evidence.rolled_back + evidence.false_ones, summary));
                let shut = summary.gate_shut;
                complaints.extend((shut > GATE_SHUT_MAX).then(|| {
                    format!("the blame gate was shut for {:.1} % of the time", shut * 100.0)
                }));
            }
            Self::Found { median, share } => {
                complaints.extend(too_many(evidence.false_ones, summary));
                complaints.extend(too_rare(share, summary));
                let allowed = median.map(|median| f64::from(median) * SLACK);
                complaints.extend(allowed.and_then(|max| too_slow(max, evidence)));
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

fn too_few(what: &str, count: u32, runs: u32) -> Option<String> {
    let (_, high) = interval(count, runs);
    (high < HELD_MIN).then(|| format!("{what} in {count} of {runs} only"))
}

fn too_late((in_time, runs): (u32, u32)) -> Option<String> {
    let (_, high) = interval(in_time, runs);
    (high < IN_TIME_MIN).then(|| format!("only {in_time} of {runs} got through in time"))
}

fn too_rare(share: f64, summary: &Summary) -> Option<String> {
    let (found, runs) = (summary.evidence.rolled_back, summary.runs - summary.evidence.false_ones);
    let (_, high) = interval(found, runs);
    (found < runs && high < share).then(|| format!("found in {found} of {runs} runs only"))
}

fn too_slow(allowed: f64, judged: &Judged) -> Option<String> {
    let (low, high) = judged.median_interval?;
    let is_beyond = f64::from(low) > allowed;
    is_beyond.then(|| format!("median of {low} to {high} requests, at most {allowed:.0} are asked"))
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
        Summary {
            runs,
            evidence: judged(),
            window: judged(),
            got_through: runs,
            held: 0,
            stepped_back: 0,
            gate_shut: 0.0,
        }
    }

    #[test]
    fn only_what_chance_does_not_explain_is_a_complaint() {
        let found = Asks::Found { median: Some(100), share: 1.0 };
        for (asks, summary, expected) in [
            (Asks::Healthy, summary(20, 1, 0, (1, 1)), 0),
            (Asks::Healthy, summary(20, 2, 0, (1, 1)), 1),
            (Asks::Healthy, summary(200, 5, 0, (1, 1)), 1),
            (found, summary(20, 20, 0, (125, 300)), 0),
            (found, summary(20, 20, 0, (126, 300)), 1),
            (found, summary(20, 19, 0, (90, 110)), 1),
            (found, summary(20, 17, 3, (90, 110)), 1),
            (Asks::Found { median: Some(100), share: 0.9 }, summary(20, 17, 0, (90, 110)), 0),
            (Asks::Found { median: Some(100), share: 0.9 }, summary(20, 10, 0, (90, 110)), 1),
        ] {
            let complaints = asks.complaints(&summary);
            assert_eq!(complaints.len(), expected, "{complaints:?}");
        }
    }

    #[test]
    fn holds_steps_back_and_the_gate_are_counted() {
        let all = |held, stepped_back, gate_shut| Summary {
            held,
            stepped_back,
            gate_shut,
            ..summary(100, 0, 0, (1, 1))
        };
        for (asks, summary, expected) in [
            (Asks::Held, all(95, 0, 0.0), 0),
            (Asks::Held, all(80, 100, 0.0), 1),
            (Asks::SteppedBack, all(0, 95, 0.0), 0),
            (Asks::SteppedBack, all(100, 80, 0.0), 1),
            (Asks::GateOpen, all(0, 0, 0.05), 0),
            (Asks::GateOpen, all(0, 0, 0.06), 1),
        ] {
            assert_eq!(asks.complaints(&summary).len(), expected);
        }
    }

    #[test]
    fn who_does_not_get_through_in_time_is_counted() {
        for (got_through, runs, expected) in [(18, 20, 0), (16, 20, 1)] {
            let summary = Summary { got_through, ..summary(runs, 0, 0, (1, 1)) };
            assert_eq!(Asks::Healthy.complaints(&summary).len(), expected);
        }
    }
}
