//! What many runs of a row say together.

use crate::requirement::Asks;
use crate::rows::Row;
use crate::run::{Outcome, RolledBack};

/// The runs of one row.
pub struct Summary {
    pub runs: u32,
    pub evidence: Judged,
    pub window: Judged,
    /// Runs that reached the last step in time.
    pub got_through: u32,
    pub held: u32,
    pub stepped_back: u32,
    /// For how much of the time the blame gate was shut, on average.
    pub gate_shut: f64,
}

/// What one judge made of them.
pub struct Judged {
    /// Rolled back: of healthy ones all, of faulty ones those after the onset.
    pub rolled_back: u32,
    /// Before the onset.
    pub false_ones: u32,
    /// Candidate requests from onset to decision: median and 90th percentile.
    pub requests: Option<(u32, u32)>,
    /// The 95 % interval of the median, by the order of the runs.
    pub median_interval: Option<(u32, u32)>,
    pub seconds: Option<f64>,
}

impl Summary {
    pub fn of(outcomes: &[Outcome]) -> Self {
        let count = |of: fn(&Outcome) -> bool| number(outcomes.iter().filter(|o| of(o)).count());
        Self {
            runs: number(outcomes.len()),
            evidence: Judged::of(outcomes.iter().map(|outcome| outcome.rolled_back)),
            window: Judged::of(outcomes.iter().map(|outcome| outcome.window_rolled_back)),
            got_through: count(|outcome| outcome.got_through),
            held: count(|outcome| outcome.was_held),
            stepped_back: count(|outcome| outcome.stepped_back),
            gate_shut: outcomes.iter().map(|outcome| outcome.gate_shut).sum::<f64>()
                / f64::from(number(outcomes.len()).max(1)),
        }
    }

    /// One line of a Markdown table.
    pub fn line(&self, row: &Row) -> String {
        let cells = match row.asks {
            Asks::Healthy => [
                "at most 1 %, 95 % in time".to_owned(),
                self.share(self.evidence.rolled_back + self.evidence.false_ones),
                format!("{:.0} % in time", percent(self.got_through, self.runs)),
                self.share(self.window.rolled_back + self.window.false_ones),
            ],
            Asks::Kept | Asks::Held | Asks::SteppedBack | Asks::GateOpen => {
                let (asked, seen) = self.asked_besides(row.asks);
                [
                    asked.to_owned(),
                    self.share(self.evidence.rolled_back + self.evidence.false_ones),
                    seen,
                    self.share(self.window.rolled_back + self.window.false_ones),
                ]
            }
            Asks::Found { median, .. } => [
                median.map_or("found".to_owned(), |median| format!("median {median}")),
                self.share(self.evidence.rolled_back),
                self.evidence.found(),
                format!(
                    "{:.0} %, {}",
                    percent(self.window.rolled_back, self.runs),
                    self.window.found()
                ),
            ],
        };
        let held = percent(self.held, self.runs);
        format!(
            "| {} | {} | {} | {} | {held:.0} % | {} | {} |",
            row.name, self.runs, cells[0], cells[1], cells[2], cells[3]
        )
    }

    /// What is asked of a candidate that is not to blame, and what was seen of it.
    fn asked_besides(&self, asks: Asks) -> (&'static str, String) {
        match asks {
            Asks::Held => ("held, at most 1 %", "not asked".to_owned()),
            Asks::SteppedBack => {
                let share = percent(self.stepped_back, self.runs);
                ("one step back, at most 1 %", format!("{share:.0} % back"))
            }
            Asks::GateOpen => {
                let shut = self.gate_shut * 100.0;
                ("gate open, at most 1 %", format!("gate shut {shut:.1} % of the time"))
            }
            _ => ("at most 1 %", "not asked".to_owned()),
        }
    }

    /// A share of the runs, with its interval.
    pub fn share(&self, count: u32) -> String {
        let (low, high) = interval(count, self.runs);
        let share = percent(count, self.runs);
        format!("{share:.1} % ({:.1} to {:.1})", low * 100.0, high * 100.0)
    }
}

impl Judged {
    fn of(rolled_back: impl Iterator<Item = Option<RolledBack>>) -> Self {
        let all: Vec<RolledBack> = rolled_back.flatten().collect();
        let false_ones = number(all.iter().filter(|one| one.is_false).count());
        let mut requests: Vec<u32> =
            all.iter().filter(|one| !one.is_false).map(|one| one.requests).collect();
        let mut seconds: Vec<f64> =
            all.iter().filter(|one| !one.is_false).map(|one| one.seconds).collect();
        requests.sort_unstable();
        seconds.sort_by(f64::total_cmp);
        let median = requests.get(requests.len() / 2).copied();
        let p90 = requests.get(requests.len() * 9 / 10).copied();
        Self {
            rolled_back: number(requests.len()), // after the onset
            false_ones,
            requests: median.zip(p90),
            median_interval: median_interval(&requests),
            seconds: seconds.get(seconds.len() / 2).copied(),
        }
    }

    fn found(&self) -> String {
        let found = match (self.requests, self.seconds) {
            (Some((median, p90)), Some(seconds)) => format!("{median} ({p90}), {seconds:.1} s"),
            _ => "never".to_owned(),
        };
        match self.false_ones {
            0 => found,
            count => format!("{found}; {count} before the fault"),
        }
    }
}

/// The 95 % interval of a share (Wilson).
pub fn interval(count: u32, runs: u32) -> (f64, f64) {
    const Z: f64 = 1.96;
    let (count, n) = (f64::from(count), f64::from(runs.max(1)));
    let share = count / n;
    let middle = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0))
}

/// Between which of the sorted values the median lies, with 95 %: the number of runs below it is binomial.
fn median_interval(sorted: &[u32]) -> Option<(u32, u32)> {
    let n = sorted.len();
    // 1.96 standard deviations of sqrt(n) / 2 each.
    let spread = (0.98 * f64::from(number(n)).sqrt()).ceil();
    let spread = (0..n).find(|spread_max| f64::from(number(*spread_max)) >= spread).unwrap_or(n);
    let low = sorted.get((n / 2).saturating_sub(spread))?;
    Some((*low, *sorted.get(n / 2 + spread).unwrap_or(sorted.last()?)))
}

/// A share in percent.
pub fn percent(count: u32, runs: u32) -> f64 {
    100.0 * f64::from(count) / f64::from(runs.max(1))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
