//! The table that a run prints, the promises below it, and the file that is kept.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::driver::Plan;
use crate::figures::Figures;
use crate::leave::Manner;
use crate::machine::Machine;

/// A promise that does not depend on the machine: breaking it fails the run.
const NONE: [(&str, &str); 5] = [
    ("failed_requests", "failed requests"),
    ("cut_streams", "cut streams"),
    ("late_requests", "requests that reached an environment at weight 0 after the call returned"),
    ("stamps_out_of_order", "requests that arrived before they were written or after their answer"),
    ("lagging_load", "calls that returned before every core had changed"),
];

/// Idle, the last core has changed after this, in the median.
const APPLIED_IDLE_US_MAX: f64 = 1000.0;
/// Under load, this much above what a timer shows of the machine, at the 99th percentile.
const APPLIED_ABOVE_PROBE_US_MAX: f64 = 5000.0;

/// Times in the table: name and title.
const TIMES: [(&str, &str); 11] = [
    ("applied_idle", "swap to last core, idle"),
    ("call_idle", "whole call, idle"),
    ("applied_load", "swap to last core, under load"),
    ("call_load", "whole call, under load"),
    ("probe", "timer probe, under load"),
    ("latency_near_switches", "request within 100 ms of a switch"),
    ("latency_elsewhere", "request elsewhere"),
    ("leave_waiting", "client leaves, waiting"),
    ("leave_streaming", "client leaves, streaming"),
    ("leave_pipelined", "client leaves, pipelined bytes"),
    ("leave_uploading", "client leaves, blocked upload"),
];

/// The table and what it means. Tells too whether every promise held that must hold on any machine.
pub(crate) fn render(figures: &Figures, machine: &Machine) -> (String, bool) {
    let mut text = format!("{machine}\n");
    let _ = writeln!(text, "{:<36} {:>10} {:>10} {:>10}", "times in µs", "p50", "p99", "max");
    for (name, title) in TIMES {
        let _ = write!(text, "{title:<36}");
        for quantile in ["p50", "p99", "max"] {
            let value = figures.value(&format!("{name}_{quantile}_us"));
            let cell = value.map_or_else(|| "-".into(), |value| format!("{value:.0}"));
            let _ = write!(text, " {cell:>10}");
        }
        text.push('\n');
    }
    let count = |name| figures.value(name).unwrap_or(0.0);
    let _ = writeln!(
        text,
        "\n{} changes of weights, {} switches; {} requests, {} streams, {} of both while an \
         environment was closed\n",
        count("changes"),
        count("switches"),
        count("requests"),
        count("streams"),
        count("requests_in_closed_times"),
    );
    let broken = NONE.iter().filter(|(name, _)| figures.value(name) != Some(0.0)).count();
    for (name, title) in NONE {
        let _ = writeln!(text, "{}", verdict(&format!("{title} <= 0"), figures.value(name), 0.0));
    }
    for (promise, value, max) in timed(figures) {
        let _ = writeln!(text, "{}", verdict(&promise, value, max));
    }
    (text, broken == 0)
}

/// Promises of time: in words, the value, and the most it may be.
fn timed(figures: &Figures) -> Vec<(String, Option<f64>, f64)> {
    let above_probe = figures.value("applied_load_p99_us").zip(figures.value("probe_p99_us"));
    let mut promises = vec![
        (
            format!("swap to last core, idle, p50 <= {APPLIED_IDLE_US_MAX} µs"),
            figures.value("applied_idle_p50_us"),
            APPLIED_IDLE_US_MAX,
        ),
        (
            format!(
                "swap to last core, under load, p99 <= probe p99 + {APPLIED_ABOVE_PROBE_US_MAX} µs"
            ),
            above_probe.map(|(applied, probe)| applied - probe),
            APPLIED_ABOVE_PROBE_US_MAX,
        ),
    ];
    for manner in Manner::ALL {
        let (name, limit) = (manner.name(), manner.limit());
        let max = limit.as_secs_f64() * 1e6;
        promises.push((
            format!("{name}, longest <= {limit:?}"),
            figures.value(&format!("{name}_max_us")),
            max,
        ));
    }
    promises
}

fn verdict(promise: &str, value: Option<f64>, max: f64) -> String {
    match value {
        None => format!("not measured  {promise}"),
        Some(value) if value <= max => format!("met           {promise}: {value:.0}"),
        Some(value) => format!("MISSED        {promise}: {value:.0}"),
    }
}

/// Writes everything as JSON; answers where.
pub(crate) fn keep(
    label: &str,
    plan: Plan,
    machine: &Machine,
    figures: &Figures,
) -> io::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/switch/results");
    let document = serde_json::json!({
        "schema": 1, "machine": machine, "plan": plan, "figures": figures,
    });
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{label}.json"));
    fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    Ok(path)
}
