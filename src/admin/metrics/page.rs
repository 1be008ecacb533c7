//! Writes a page: every metric of the catalogue with its samples below its `# HELP`.

use std::fmt::{Display, Write as _};

use super::catalogue::{self, Kind, Metric};
use super::form::Form;
use super::seen::Seen;
use crate::metrics::distribution::Distribution;

/// The text under construction.
pub(super) struct Page {
    text: String,
    form: Form,
}

/// Where one metric writes its samples.
pub(super) struct Samples<'p> {
    page: &'p mut Page,
    metric: &'static Metric,
}

impl Page {
    /// The whole page.
    pub(super) fn of(form: Form, seen: &Seen) -> String {
        let mut page = Self { text: String::with_capacity(64 << 10), form };
        for metric in catalogue::metrics() {
            page.head(metric);
            (metric.read)(seen, &mut Samples { page: &mut page, metric });
        }
        if form == Form::OpenMetrics {
            page.text.push_str("# EOF\n");
        }
        page.text
    }

    /// In `OpenMetrics` a counter is named without `_total`, and a text without `_info`.
    fn head(&mut self, metric: &Metric) {
        let (name, kind) = match (self.form, metric.kind) {
            (Form::Prometheus, Kind::Info) => (metric.exported(), "gauge"),
            (Form::Prometheus, kind) => (metric.exported(), kind.label()),
            (Form::OpenMetrics, kind) => (metric.name.to_owned(), kind.label()),
        };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        if let (Form::OpenMetrics, Some(unit)) = (self.form, metric.unit.suffix()) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.text, "# HELP {name} {}", metric.help);
    }
}

impl Samples<'_> {
    /// One number, with the values of the metric's labels in their order.
    pub(super) fn number(&mut self, labels: &[&str], value: impl Display) {
        let name = self.metric.exported();
        self.sample(&name, labels, None, value);
    }

    /// A histogram: cumulative buckets, sum and count. A value counts as its cell does, to within 1 %; the
    /// sum is exact.
    pub(super) fn distribution(&mut self, labels: &[&str], values: Option<&Distribution<u64>>) {
        let (name, scale) = (self.metric.name, self.metric.unit.scale());
        let bounds = self.metric.unit.bounds();
        let bucket = format!("{name}_bucket");
        let mut sum = 0;
        for (bound, count) in bounds.iter().zip(counts_up_to(bounds, values)) {
            sum += count;
            self.sample(&bucket, labels, Some(&format!("{:?}", scaled(*bound, scale))), sum);
        }
        let (count, total) = values.map_or((0, 0), |values| (values.count(), values.sum()));
        self.sample(&bucket, labels, Some("+Inf"), count);
        self.sample(&format!("{name}_sum"), labels, None, scaled(total, scale));
        self.sample(&format!("{name}_count"), labels, None, count);
    }

    fn sample(&mut self, name: &str, values: &[&str], le: Option<&str>, value: impl Display) {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "{name}");
        let text = &mut self.page.text;
        text.push_str(name);
        let labels = self.metric.labels.iter().copied().zip(values.iter().copied());
        let mut separator = '{';
        for (label, value) in labels.chain(le.map(|le| ("le", le))) {
            let _ = write!(text, "{separator}{label}=\"{}\"", escaped(value));
            separator = ',';
        }
        let close = if separator == ',' { "}" } else { "" };
        let _ = writeln!(text, "{close} {value}");
    }
}

/// How many values fall to each bound and not to the one before, in one pass.
fn counts_up_to(bounds: &[u64], values: Option<&Distribution<u64>>) -> Vec<u64> {
    let mut counts = vec![0; bounds.len()];
    let Some(cells) = values.map(Distribution::cells) else { return counts };
    for cell in cells.iter_recorded() {
        // A bound may stand within a cell, and what is exactly at it belongs below.
        let value = cells.lowest_equivalent(cell.value_iterated_to());
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = counts.get_mut(bucket) {
            *count += cell.count_at_value();
        }
    }
    counts
}

fn scaled(value: u64, scale: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sums of microseconds below 2^52 are exact")]
    let value = value as f64;
    value / scale
}

/// Names need no escaping, addresses that somebody wrote may.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(form: Form, name: &str, write: impl FnOnce(&mut Samples<'_>)) -> String {
        let metric = catalogue::metrics().find(|metric| metric.name == name).unwrap();
        let mut page = Page { text: String::new(), form };
        page.head(metric);
        write(&mut Samples { page: &mut page, metric });
        page.text
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_everything() {
        let mut values = Distribution::default();
        [500, 2_000, 2_000, 40_000, 3_000_000_000].into_iter().for_each(|us| values.record(us));
        let name = "gen_ai_server_time_to_first_token_seconds";
        let text = page_of(Form::Prometheus, name, |samples| {
            samples.distribution(&["chat", "blue"], Some(&values));
        });
        for line in [
            "_bucket{service=\"chat\",environment=\"blue\",le=\"0.001\"} 1",
            "_bucket{service=\"chat\",environment=\"blue\",le=\"0.0025\"} 3",
            "_bucket{service=\"chat\",environment=\"blue\",le=\"0.05\"} 4",
            "_bucket{service=\"chat\",environment=\"blue\",le=\"600.0\"} 4",
            "_bucket{service=\"chat\",environment=\"blue\",le=\"+Inf\"} 5",
            "_sum{service=\"chat\",environment=\"blue\"} 3000.0445",
            "_count{service=\"chat\",environment=\"blue\"} 5",
        ] {
            let line = format!("{name}{line}");
            assert!(text.lines().any(|found| found == line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_value_at_a_bound_lies_below_it() {
        for bounds in
            [&[1_024, 4_096, 16_384, 65_536, 1 << 20][..], &[5_000, 1_000_000, 30_000_000]]
        {
            let mut values = Distribution::default();
            bounds.iter().for_each(|bound| values.record(*bound));
            assert_eq!(counts_up_to(bounds, Some(&values)), vec![1; bounds.len()]);
        }
    }

    #[test]
    fn each_form_names_counters_and_texts_by_its_own_rule() {
        let counter = |form| page_of(form, "cyan_panics", |samples| samples.number(&[], 3));
        let classic = counter(Form::Prometheus);
        assert!(classic.starts_with("# TYPE cyan_panics_total counter\n# HELP cyan_panics_total "));
        let open = counter(Form::OpenMetrics);
        assert!(open.starts_with("# TYPE cyan_panics counter\n# HELP cyan_panics "));
        for text in [classic, open] {
            assert!(text.ends_with("\ncyan_panics_total 3\n"), "{text}");
        }
        let info = |form| page_of(form, "cyan_build", |samples| samples.number(&["1\"\\"], 1));
        assert!(info(Form::Prometheus).starts_with("# TYPE cyan_build_info gauge\n"));
        let open = info(Form::OpenMetrics);
        assert!(open.starts_with("# TYPE cyan_build info\n"));
        assert!(open.ends_with("cyan_build_info{version=\"1\\\"\\\\\"} 1\n"), "{open}");
    }

    #[test]
    fn open_metrics_says_units() {
        let text = page_of(Form::OpenMetrics, "process_start_time_seconds", |_| {});
        assert!(text.contains("\n# UNIT process_start_time_seconds seconds\n"), "{text}");
    }
}
