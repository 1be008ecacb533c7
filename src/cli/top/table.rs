//! The environments of a service, one beside the other, in as many columns as fit: the ones without which
//! nobody could decide come first, whatever the width.

use super::super::stats::{duration, short};
use super::super::terminal::Ink;
use super::look::Measured;
use crate::admin::api::stats::Quantiles;
use crate::admin::api::{Environment, Upstream};

/// A column: its title, its width, and what stands in it.
struct Column {
    title: &'static str,
    width: usize,
    cell: fn(&Row<'_>) -> Option<String>,
}

/// What a line is about.
struct Row<'a> {
    environment: &'a Environment,
    measured: Option<&'a Measured>,
}

/// In the order in which they stand.
const COLUMNS: [Column; 11] = [
    Column { title: "role", width: 9, cell: |row| row.environment.role.clone() },
    Column {
        title: "share",
        width: 7,
        cell: |row| Some(format!("{} %", row.environment.weight_percent)),
    },
    Column { title: "req/s", width: 6, cell: |row| row.stats()?.requests_per_s.map(short) },
    Column {
        title: "failed",
        width: 7,
        cell: |row| row.stats()?.failed_percent.map(|percent| format!("{percent:.1} %")),
    },
    Column { title: "TTFT p50", width: 8, cell: |row| time(row.stats()?.ttft, |q| q.p50_ms) },
    Column { title: "p99", width: 7, cell: |row| time(row.stats()?.ttft, |q| q.p99_ms) },
    Column { title: "gap p99", width: 7, cell: |row| time(row.stats()?.gap, |q| q.p99_ms) },
    Column { title: "total p99", width: 9, cell: |row| time(row.stats()?.total, |q| q.p99_ms) },
    Column { title: "tok/s", width: 6, cell: |row| row.stats()?.tokens.output_per_s.map(short) },
    Column { title: "run", width: 4, cell: |row| Some(row.environment.in_flight.to_string()) },
    Column { title: "healthy", width: 7, cell: |row| Some(healthy(&row.environment.upstreams)) },
];

/// Places in `COLUMNS`, the most important first.
const IMPORTANCE: [usize; 11] = [1, 3, 9, 5, 2, 10, 4, 6, 8, 7, 0];

impl Row<'_> {
    fn stats(&self) -> Option<&crate::admin::api::stats::Stats> {
        self.measured.map(|measured| &measured.stats)
    }
}

/// The lines: a head, then one for each environment with the colour of its first cell.
pub(super) fn lines(
    environments: &[Environment],
    measured: &[&Measured],
    width: usize,
    ascii: bool,
) -> Vec<(Ink, String, String)> {
    let label = label_width(environments);
    let columns = fitting(width.saturating_sub(label));
    let cells = |cell: &dyn Fn(&Column) -> String| {
        let cells = columns.iter().map(|column| format!("  {:>1$}", cell(column), column.width));
        cells.collect::<Vec<_>>().concat()
    };
    let mut lines = vec![(Ink::Plain, " ".repeat(label), cells(&|column| column.title.to_owned()))];
    let nothing = if ascii { "-" } else { "–" };
    for (index, environment) in environments.iter().enumerate() {
        let measured = measured.iter().find(|m| m.stats.environment == environment.name).copied();
        let row = Row { environment, measured };
        let (ink, glyph) = super::super::status::mark(environment.name.as_str(), index, ascii);
        let name = format!("{glyph} {:1$}", environment.name, label - 2);
        let cell = |column: &Column| (column.cell)(&row).unwrap_or_else(|| nothing.to_owned());
        lines.push((ink, name, cells(&cell)));
    }
    lines
}

/// Columns of the glyph and the longest name.
pub(super) fn label_width(environments: &[Environment]) -> usize {
    environments.iter().map(|e| e.name.as_str().len()).max().unwrap_or(0) + 2
}

/// The most important columns that fit beside each other.
fn fitting(mut width: usize) -> Vec<&'static Column> {
    let mut chosen = Vec::new();
    for place in IMPORTANCE {
        let needs = COLUMNS[place].width + 2;
        let Some(left) = width.checked_sub(needs) else { break };
        width = left;
        chosen.push(place);
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|place| &COLUMNS[place]).collect()
}

fn time(of: Option<Quantiles>, quantile: fn(&Quantiles) -> f64) -> Option<String> {
    of.as_ref().map(|quantiles| duration(quantile(quantiles)))
}

/// `2/3`, counting what is not known to be bad.
fn healthy(upstreams: &[Upstream]) -> String {
    let usable = upstreams.iter().filter(|upstream| upstream.is_usable()).count();
    format!("{usable}/{}", upstreams.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_importance() {
        let mut places = IMPORTANCE;
        places.sort_unstable();
        assert!(places.iter().enumerate().all(|(place, important)| place == *important));
    }

    #[test]
    fn narrow_screens_keep_what_decides() {
        let titles = |width| fitting(width).iter().map(|column| column.title).collect::<Vec<_>>();
        assert_eq!(titles(33), ["share", "failed", "p99", "run"]);
        assert_eq!(
            titles(73),
            ["share", "req/s", "failed", "TTFT p50", "p99", "gap p99", "run", "healthy"]
        );
        assert_eq!(titles(200).len(), COLUMNS.len());
        assert_eq!(titles(0), Vec::<&str>::new());
    }
}
