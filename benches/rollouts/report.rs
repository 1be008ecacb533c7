//! What rows came to: the table, whether each promise held, and the file that is kept.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::machine::{Machine, load_average};
use crate::play::Outcome;
use crate::scenario::{Asked, Scenario};

/// What a row came to.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: String,
    /// What was asked, in words.
    pub(crate) asked: String,
    /// What was found, in words.
    pub(crate) found: String,
    /// Whether that is what was asked.
    pub(crate) is_kept: bool,
    /// Of the machine over 1, 5 and 15 minutes, when it had been played.
    pub(crate) load_average: String,
    /// Everything that was seen.
    pub(crate) runs: serde_json::Value,
}

impl Row {
    /// Of the outcomes of a scenario; runs that failed themselves are in `problems`.
    pub(crate) fn of(scenario: &Scenario, outcomes: &[Outcome], problems: &[String]) -> Self {
        let judged = Judged::of(scenario, outcomes);
        let mut found = judged.found;
        let failed: u64 = outcomes.iter().map(|outcome| outcome.failed_besides).max().unwrap_or(0);
        let skipped: u64 = outcomes.iter().map(|outcome| outcome.skipped).max().unwrap_or(0);
        let _ = write!(found, "; {failed} other requests failed");
        if skipped > 0 {
            let _ = write!(found, "; the load left out {skipped} in one run");
        }
        if let Some(problem) = problems.first() {
            let _ = write!(found, "; {} runs came to nothing: {problem}", problems.len());
        }
        Self {
            name: scenario.name.to_owned(),
            asked: judged.asked,
            found,
            is_kept: judged.is_kept && failed == 0 && skipped == 0 && problems.is_empty(),
            load_average: load_average(),
            runs: serde_json::json!(outcomes),
        }
    }
}

/// Outcomes beside what is asked of them.
struct Judged {
    asked: String,
    found: String,
    is_kept: bool,
}

impl Judged {
    fn of(scenario: &Scenario, outcomes: &[Outcome]) -> Self {
        let runs = outcomes.len();
        let ended = |stage: &str| outcomes.iter().filter(|o| o.stage == stage).count();
        let (through, back) = (ended("switched") + ended("done"), ended("rolled_back"));
        let counts = sorted(outcomes.iter().filter_map(|o| o.green_requests));
        let judged = sorted(outcomes.iter().filter_map(|o| o.judged_requests));
        let times = sorted(outcomes.iter().filter_map(|o| o.exposed_s.map(milliseconds)));
        let median = |value: fn(&Outcome) -> Option<u64>| {
            // Who was never rolled back is beyond every limit.
            let is_back = |o: &&Outcome| o.stage == "rolled_back";
            let value = |o| Some(o).filter(is_back).and_then(value).unwrap_or(u64::MAX);
            sorted(outcomes.iter().map(value)).get(runs / 2).copied().unwrap_or(u64::MAX)
        };
        let of_fault = || {
            let (requests, ms) = (middle_and_worst(&counts), middle_and_worst(&times));
            format!(
                "{back} of {runs} rolled back; green requests {} (worst {}), judged {}, seconds {:.1} (worst {:.1})",
                requests.0,
                requests.1,
                middle_and_worst(&judged).0,
                seconds(ms.0),
                seconds(ms.1)
            )
        };
        match scenario.asked {
            Asked::Through => {
                let lasted = sorted(outcomes.iter().map(|o| milliseconds(o.lasted_s)));
                let (middle, worst) = middle_and_worst(&lasted);
                Self {
                    asked: "all go to 100 %".to_owned(),
                    found: format!(
                        "{through} of {runs} went to 100 %, {back} rolled back, in {:.0} s (worst {:.0})",
                        seconds(middle),
                        seconds(worst)
                    ),
                    is_kept: through == runs && runs > 0,
                }
            }
            Asked::Requests(max) => Self {
                asked: format!("median of green requests at most {max}"),
                found: of_fault(),
                is_kept: median(|o| o.green_requests) <= max,
            },
            Asked::Within(max) => Self {
                asked: format!("median at most {max:?}"),
                found: of_fault(),
                is_kept: Duration::from_millis(median(|o| o.exposed_s.map(milliseconds))) <= max,
            },
        }
    }
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The upper of two middle values: a promise is not kept by rounding.
fn middle_and_worst(sorted: &[u64]) -> (u64, u64) {
    let worst = sorted.last().copied().unwrap_or(0);
    (sorted.get(sorted.len() / 2).copied().unwrap_or(0), worst)
}

fn milliseconds(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}

fn seconds(milliseconds: u64) -> f64 {
    Duration::from_millis(milliseconds).as_secs_f64()
}

/// The table.
pub(crate) fn render(rows: &[Row], machine: &Machine) -> String {
    let mut text = format!("{machine}\n");
    for row in rows {
        let word = if row.is_kept { "met   " } else { "MISSED" };
        let _ = writeln!(text, "{word} {:<16} {}", row.name, row.asked);
        let _ = writeln!(text, "       {:<16} {}", "", row.found);
    }
    text
}

/// What is kept of all rows that were played under one label.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Kept<M> {
    schema: u32,
    machine: M,
    rows: Vec<Row>,
}

/// Keeps rows and their table, as two files of this name, beside the other rows that are kept there; those
/// of the same names go. Answers where the rows are.
pub(crate) fn keep(
    label: &str,
    known: &[&str],
    rows: Vec<Row>,
    machine: &Machine,
) -> io::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rollouts/results");
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{label}.json"));
    let mut all = match std::fs::read(&path) {
        Ok(kept) => serde_json::from_slice::<Kept<serde_json::Value>>(&kept)?.rows,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    all.retain(|kept| rows.iter().all(|row| row.name != kept.name));
    all.extend(rows);
    all.sort_by_key(|row| known.iter().position(|name| *name == row.name));
    std::fs::write(dir.join(format!("{label}.txt")), render(&all, machine))?;
    let kept = serde_json::to_string(&Kept { schema: 1, machine, rows: all })?;
    std::fs::write(&path, format!("{kept}\n"))?;
    Ok(path)
}
