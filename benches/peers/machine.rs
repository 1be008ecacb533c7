//! Where a run took place: enough to judge its figures, nothing that names the place itself.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::subject::Subject;

/// Written into each result.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Machine {
    cpu_model: String,
    cores: usize,
    proxy_core: usize,
    load_and_upstream_cores: Vec<usize>,
    kernel: String,
    memory_mib: u64,
    load_average_at_start: String,
    load_average_at_end: String,
    versions: BTreeMap<String, String>,
}

impl Machine {
    /// Describes this machine and the programs that take part.
    pub(crate) fn describe(
        proxy: usize,
        others: &[usize],
        subjects: &[Subject],
        cyan: &Path,
    ) -> Self {
        let version = |subject: &Subject| Some((subject.to_string(), subject.version(cyan)?));
        Self {
            cpu_model: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: 1 + others.iter().filter(|&&core| core != proxy).count(),
            proxy_core: proxy,
            load_and_upstream_cores: others.to_vec(),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            memory_mib: memory_mib().unwrap_or(0),
            load_average_at_start: load_average(),
            load_average_at_end: String::new(),
            versions: subjects.iter().filter_map(version).collect(),
        }
    }

    /// Notes what else went on until the end of the run.
    pub(crate) fn ended(&mut self) {
        self.load_average_at_end = load_average();
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu_model, cores, proxy_core, kernel, memory_mib, .. } = self;
        writeln!(formatter, "{cpu_model}, {cores} cores, {memory_mib} MiB, Linux {kernel}")?;
        let others = &self.load_and_upstream_cores;
        writeln!(formatter, "pinned: proxy to core {proxy_core}, load and upstream to {others:?}")?;
        if others.contains(proxy_core) {
            writeln!(
                formatter,
                "only one core: the load disturbs the proxy, use no figure of this"
            )?;
        }
        let versions: Vec<_> = self.versions.values().map(String::as_str).collect();
        writeln!(formatter, "{}", versions.join("; "))?;
        let (start, end) = (&self.load_average_at_start, &self.load_average_at_end);
        write!(formatter, "load average at start {start}")?;
        if end.is_empty() { Ok(()) } else { write!(formatter, ", at end {end}") }
    }
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or("unknown").to_owned()
}

/// Over 1, 5 and 15 minutes.
fn load_average() -> String {
    first_line("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn memory_mib() -> Option<u64> {
    let kib: u64 = field("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

/// The first `name : value` in a file under `/proc`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = |line: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(value)
}
