//! Where a run took place, and what else went on there.

use std::fmt;
use std::fs;
use std::path::Path;

/// Where and with what a run took place; nothing that names the place itself.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Machine {
    cpu_model: String,
    cores: usize,
    kernel: String,
    load_average_at_start: String,
    load_average_at_end: String,
    cyan: String,
}

impl Machine {
    /// Describes this machine and the program.
    pub(crate) fn describe(cyan: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let version = std::process::Command::new(cyan).arg("--version").output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cpu_model: model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']).to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.trim().to_owned(),
            load_average_at_start: load_average(),
            load_average_at_end: String::new(),
            cyan: version.unwrap_or_default().trim().to_owned(),
        }
    }

    /// Notes what else went on until the end of the run.
    pub(crate) fn ended(&mut self) {
        self.load_average_at_end = load_average();
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_model, cores, kernel, cyan, .. } = self;
        writeln!(f, "{cyan} on {cpu_model}, {cores} cores, Linux {kernel}")?;
        let (start, end) = (&self.load_average_at_start, &self.load_average_at_end);
        writeln!(f, "load average at start {start}, at end {end}")
    }
}

/// Over 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
