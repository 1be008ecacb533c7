//! The table that a run prints: one line per figure, one column per subject, ratios at the end.

use std::fmt::Write as _;

use crate::limits::LIMITS;
use crate::results::{Samples, Spread};
use crate::subject::Subject;
use crate::workload::Workload;

/// How a line of the table is made.
struct Line {
    figure: &'static str,
    title: &'static str,
    is_above_direct: bool,
    decimals: usize,
}

/// Above this a stranger's work is in the figures: caches, clock and waiting are shared with it.
const FOREIGN_PERCENT_MAX: f64 = 10.0;

/// The lines, in their order; a workload shows those that it has figures for.
const LINES: [Line; 14] = [
    Line::of("cpu_us_per_request", "CPU µs per request", 2),
    Line::of("requests_per_s", "requests per s", 0),
    Line::of("latency_p50_us", "latency p50, µs", 0),
    Line::of("latency_p99_us", "latency p99, µs", 0),
    Line::of("cpu_us_per_event", "CPU µs per event", 2),
    Line::of("events_per_s", "events per s", 0),
    Line::of("delay_p50_us", "delay p50, µs", 0),
    Line::above_direct("delay_p50_us", "  above direct"),
    Line::of("delay_p99_us", "delay p99, µs", 0),
    Line::above_direct("delay_p99_us", "  above direct"),
    Line::of("ttft_p99_us", "TTFT p99, µs", 0),
    Line::above_direct("ttft_p99_us", "  above direct"),
    Line::of("pss_kib_per_stream", "PSS KiB per stream", 1),
    Line::of("base_pss_kib", "PSS KiB at rest", 0),
];

impl Line {
    const fn of(figure: &'static str, title: &'static str, decimals: usize) -> Self {
        Self { figure, title, is_above_direct: false, decimals }
    }

    const fn above_direct(figure: &'static str, title: &'static str) -> Self {
        Self { figure, title, is_above_direct: true, decimals: 0 }
    }

    fn spread(&self, samples: &Samples, workload: &str, subject: Subject) -> Option<Spread> {
        if !self.is_above_direct {
            return samples.absolute(workload, subject, self.figure);
        }
        let is_proxy = subject != Subject::Direct;
        is_proxy.then(|| samples.added(workload, subject, self.figure)).flatten()
    }

    /// Cells of all columns, or nothing where no subject has this figure.
    fn cells(&self, samples: &Samples, workload: &str) -> Option<Vec<String>> {
        let spreads = Subject::ALL.map(|subject| self.spread(samples, workload, subject));
        spreads.iter().any(Option::is_some).then(|| {
            let values = spreads.iter().map(|spread| cell(*spread, self.decimals));
            let ratios = [Subject::Blind, Subject::Nginx, Subject::Haproxy].map(|peer| {
                let pair = (Subject::Cyan, peer);
                // A difference may be near zero or below it; its ratio would say nothing.
                let is_ratio = !self.is_above_direct;
                is_ratio.then(|| samples.ratio(workload, pair, self.figure)).flatten()
            });
            values.chain(ratios.iter().map(|ratio| cell(*ratio, 2))).collect()
        })
    }
}

/// The whole table, the promises below it, and what to mistrust.
pub(crate) fn render(samples: &Samples, workloads: &[Workload]) -> String {
    let mut text =
        String::from("median (least-most) over the rounds; ratios are taken per round\n\n");
    let columns =
        ["cyan", "blind", "nginx", "haproxy", "direct", "cyan/blind", "cyan/nginx", "cyan/haproxy"];
    line(&mut text, "workload", "figure", &columns.map(String::from));
    for workload in workloads {
        let name = workload.name();
        let mut shown_name = name.as_str();
        for (row, cells) in LINES.iter().filter_map(|row| Some((row, row.cells(samples, &name)?))) {
            line(&mut text, shown_name, row.title, &cells);
            shown_name = "";
        }
    }
    text.push('\n');
    for limit in LIMITS {
        let _ = writeln!(text, "{}", limit.verdict(samples));
    }
    let failed = samples.fold("failed", |sum, count| sum + count);
    let foreign = samples.fold("foreign_cpu_share", f64::max) * 100.0;
    let _ = writeln!(text, "\nfailed requests and streams of all subjects: {failed}");
    let _ = write!(text, "most of the proxy's core that others used in a window: {foreign:.0} %");
    if foreign > FOREIGN_PERCENT_MAX {
        text.push_str("; the machine was too busy, quote no figure of this run");
    }
    text
}

fn line(text: &mut String, workload: &str, title: &str, cells: &[String]) {
    let _ = write!(text, "{workload:<10} {title:<19}");
    for cell in cells {
        let _ = write!(text, " {cell:>20}");
    }
    text.push('\n');
}

fn cell(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(
        || "-".into(),
        |Spread { median, range: (least, most) }| {
            format!("{median:.decimals$} ({least:.decimals$}-{most:.decimals$})")
        },
    )
}
