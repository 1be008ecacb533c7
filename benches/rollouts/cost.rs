//! What watching a rollout costs: CPU of the control plane's thread, and memory of the process.
//!
//! Five environments share the traffic. First nothing is released, then one of them is under judgement
//! for the rest of the time: what the second costs beyond the first is the judge.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::machine::load_average;
use crate::report::Row;
use crate::scenario::{self, Scenario};
use crate::stage::Stage;

/// The name of the row.
pub(crate) const NAME: &str = "cost";

/// The thread of the control plane.
const THREAD: &str = "cyan-control";
/// It may take this share of one core.
const CORE_PERCENT_MAX: f64 = 1.0;
/// Between two looks at the memory.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Length of the time without a rollout.
const WITHOUT: Duration = Duration::from_secs(30);
/// Requests per second, and for how long a rollout is watched.
const TURNS: [(u32, Duration); 2] =
    [(100, Duration::from_secs(180)), (300, Duration::from_secs(180))];
/// Further environments, with 10 % each. They live on blue's server.
const OTHERS: [&str; 3] = ["red", "amber", "violet"];

/// What one turn came to.
#[derive(Debug, serde::Serialize)]
struct Turn {
    requests_per_s: u32,
    watched_s: u64,
    core_percent_without: f64,
    core_percent_with: f64,
    /// Of the whole process, every ten seconds since the start of the rollout.
    rss_mib: Vec<f64>,
    /// Of the state file and its log at the end; the judge's records are in them.
    state_kib: u64,
}

/// The row.
pub(crate) fn row(cyan: &Path, seed: u64) -> Row {
    let turns: Result<Vec<_>, _> =
        TURNS.iter().map(|(rate, length)| turn(cyan, seed, *rate, *length)).collect();
    let asked = format!("control plane below {CORE_PERCENT_MAX} % of a core, memory bounded");
    let name = NAME.to_owned();
    match turns {
        Ok(turns) => {
            let found: Vec<_> = turns.iter().map(Turn::in_words).collect();
            let is_kept = turns.iter().all(|turn| turn.core_percent_with < CORE_PERCENT_MAX);
            Row {
                name,
                asked,
                found: found.join("; "),
                is_kept,
                load_average: load_average(),
                runs: json!(turns),
            }
        }
        Err(error) => Row {
            name,
            asked,
            found: error.to_string(),
            is_kept: false,
            load_average: load_average(),
            runs: json!([]),
        },
    }
}

fn turn(cyan: &Path, seed: u64, rate: u32, length: Duration) -> Result<Turn, Box<dyn Error>> {
    let scenario = Scenario { rate, users: 5000, steps: &["10% 24h", "100%"], ..scenario::HEALTHY };
    let stage = Stage::open(&scenario, cyan, seed, &OTHERS)?;
    let pid = stage.cyan.process.id();
    sleep(scenario.warm_up);
    let core_percent_without = measure(pid, WITHOUT, |_| Ok(()))?;
    let start = json!({ "candidate": "green" }).to_string();
    stage.admin().call("POST", "/v1/services/llm/rollout", &start)?;
    let mut rss_mib = vec![resident_mib(pid)?];
    let core_percent_with = measure(pid, length, |pid| {
        rss_mib.push(resident_mib(pid)?);
        Ok(())
    })?;
    let rollout = stage.admin().rollout()?;
    if rollout["stage"] != "ramp" {
        return Err(format!("the rollout did not stay at its step: {rollout}").into());
    }
    let state_kib = state_kib(pid)?;
    let watched_s = length.as_secs();
    Ok(Turn {
        requests_per_s: rate,
        watched_s,
        core_percent_without,
        core_percent_with,
        rss_mib,
        state_kib,
    })
}

/// The control plane's share of one core over a time, in percent.
fn measure(
    pid: u32,
    length: Duration,
    mut look: impl FnMut(u32) -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let (before, start) = (control_cpu(pid)?, Instant::now());
    while start.elapsed() < length {
        sleep(LOOK_EVERY.min(length.saturating_sub(start.elapsed())));
        look(pid)?;
    }
    let used = control_cpu(pid)?.saturating_sub(before);
    Ok(used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0)
}

/// Time for which the control plane's thread had a core: `schedstat` counts in nanoseconds.
fn control_cpu(pid: u32) -> Result<Duration, Box<dyn Error>> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == THREAD {
            let stat = fs::read_to_string(task.join("schedstat"))?;
            let ran = stat.split_whitespace().next().unwrap_or_default().parse()?;
            return Ok(Duration::from_nanos(ran));
        }
    }
    Err(format!("the program has no thread `{THREAD}`").into())
}

fn resident_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|l| l.split_whitespace().next()).unwrap_or_default().parse()?;
    Ok(kib / 1024.0)
}

/// What the open files below `state` take on the disk.
fn state_kib(pid: u32) -> Result<u64, Box<dyn Error>> {
    let mut sizes = HashMap::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let file = file?.path();
        // Sockets have no path, and what was closed meanwhile has none either.
        let Ok(target) = fs::read_link(&file) else { continue };
        if target.components().any(|part| part.as_os_str() == "state") {
            sizes.insert(target, fs::metadata(&file)?.len());
        }
    }
    Ok(sizes.values().sum::<u64>() / 1024)
}

impl Turn {
    fn in_words(&self) -> String {
        let at = |index: usize| self.rss_mib.get(index).copied().unwrap_or_default();
        let (half, last) = (self.rss_mib.len() / 2, self.rss_mib.len() - 1);
        format!(
            "{} req/s: {:.2} % of a core ({:.2} without a rollout), {:.1} MiB at the start, {:.1} after {} s, \
             {:.1} after {} s, {} KiB of state",
            self.requests_per_s,
            self.core_percent_with,
            self.core_percent_without,
            at(0),
            at(half),
            u64::try_from(half).unwrap_or(0) * LOOK_EVERY.as_secs(),
            at(last),
            self.watched_s,
            self.state_kib,
        )
    }
}
