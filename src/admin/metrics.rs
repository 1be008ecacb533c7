//! `/metrics`: the counts in Prometheus' text form (version 0.0.4).
//!
//! Names end in their base unit, counters in `_total`. The series of one metric stand together under its
//! `# HELP`, as the format asks.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use hdrhistogram::Histogram;

use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;

use super::state::Admin;
use crate::control_plane::command::ServiceView;
use crate::control_plane::totals::{EnvironmentTotals, Totals};
use crate::model::upstream::Probe;
use crate::model::verdict::Verdict;

/// Upper bounds of latency buckets, in microseconds: two to three a decade, from a health check to the
/// longest answer a model gives.
const BOUNDS_US: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];

fn bytes(e: &EnvironmentTotals, measure: Measure) -> u64 {
    e.counts.distributions.of(measure).map_or(0, Distribution::sum)
}

/// Reads one count of an environment.
type Of = fn(&EnvironmentTotals) -> u64;

/// Everything counted since the start, and the present state.
pub(super) async fn show(State(admin): State<Admin>) -> impl IntoResponse {
    let text = text(&admin.controller.totals(), &admin.controller.view());
    let durable = admin.controller.store_state().not_durable.is_empty();
    let mut page = Page(text);
    page.metric("cyan_state_durable", "gauge", "Whether the present state is on the disk.");
    page.sample("cyan_state_durable", "", u64::from(durable));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.0)
}

fn text(totals: &Totals, services: &[ServiceView]) -> String {
    let mut page = Page(String::with_capacity(16 << 10));
    process(&mut page, totals);
    exchanges(&mut page, totals);
    let duration = "Seconds from request head to the last byte of the answer.";
    page.histograms("cyan_request_duration_seconds", duration, totals, Measure::Total);
    let head = "Seconds from request head to the head of the answer.";
    page.histograms("cyan_response_head_seconds", head, totals, Measure::ResponseHead);
    state(&mut page, services);
    page.0
}

fn process(page: &mut Page, totals: &Totals) {
    page.metric("cyan_build_info", "gauge", "Always 1; the version is the label.");
    page.sample("cyan_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
    for (name, kind, help, value) in [
        ("cyan_requests_received_total", "counter", "Requests that began.", totals.requests),
        ("cyan_client_connections", "gauge", "Client connections open.", totals.connections()),
        ("cyan_pool_idle_connections", "gauge", "Upstream connections at rest.", totals.pooled()),
        ("cyan_reports_lost_total", "counter", "Reports of cores lost.", totals.reports_lost),
        (
            "cyan_log_lines_lost_total",
            "counter",
            "Access log lines lost, because the writer was too slow.",
            totals.log_lines_lost,
        ),
        ("cyan_panics_total", "counter", "Panics caught.", totals.panics),
    ] {
        page.metric(name, kind, help);
        page.sample(name, "", value);
    }
    for (name, help, by_reason) in [
        ("cyan_refused_total", "Requests that reached no environment.", &totals.refused),
        ("cyan_sticky_key_missed_total", "Keys not found where looked for.", &totals.key_missed),
    ] {
        page.metric(name, "counter", help);
        for (reason, count) in by_reason {
            page.sample(name, &format!("reason=\"{reason}\""), *count);
        }
    }
}

fn exchanges(page: &mut Page, totals: &Totals) {
    let name = "cyan_requests_total";
    page.metric(name, "counter", "Exchanges that ended, by verdict.");
    for environment in totals.environments.values() {
        let of = labels(environment.service.as_str(), environment.environment.as_str());
        for verdict in Verdict::ALL {
            let labels = format!("{of},verdict=\"{}\"", verdict.label());
            page.sample(name, &labels, environment.counts.tallies.verdicts[verdict as usize]);
        }
    }
    let sums: [(&str, &str, Of); 5] = [
        ("cyan_request_bytes_total", "Bytes of request bodies passed on.", |e| {
            bytes(e, Measure::RequestSize)
        }),
        ("cyan_response_bytes_total", "Bytes of answers passed on.", |e| {
            bytes(e, Measure::ResponseSize)
        }),
        ("cyan_forced_total", "Requests that named their environment.", |e| {
            e.counts.tallies.forced
        }),
        ("cyan_replayed_total", "Requests sent a second time.", |e| e.counts.tallies.replayed),
        (
            "cyan_handed_over_total",
            "Requests that another environment served for want of a usable upstream.",
            |e| e.counts.tallies.handed_over,
        ),
    ];
    for (name, help, of) in sums {
        page.metric(name, "counter", help);
        for environment in totals.environments.values() {
            let service = environment.service.as_str();
            page.sample(name, &labels(service, environment.environment.as_str()), of(environment));
        }
    }
}

fn state(page: &mut Page, services: &[ServiceView]) {
    let name = "cyan_generation";
    page.metric(name, "gauge", "Rises with every change of a service.");
    for service in services {
        page.sample(name, &format!("service=\"{}\"", service.name), service.generation);
    }
    let environments = || {
        let of = |s| move |e| (labels_of(s, e), e);
        services.iter().flat_map(move |s| s.environments.iter().map(of(s)))
    };
    let name = "cyan_environment_weight_ratio";
    page.metric(name, "gauge", "Configured share of the service's traffic, 0 to 1.");
    for (labels, environment) in environments() {
        page.sample(name, &labels, f64::from(environment.weight.hundredths()) / 10_000.0);
    }
    let name = "cyan_in_flight";
    page.metric(name, "gauge", "Exchanges in flight, streams and tunnels included.");
    for (labels, environment) in environments() {
        page.sample(name, &labels, environment.in_flight);
    }
    let name = "cyan_upstreams_usable";
    page.metric(name, "gauge", "Upstreams neither found down nor ejected.");
    for (labels, environment) in environments() {
        let usable = environment.upstreams.iter().filter(|u| u.probe != Probe::Down && !u.ejected);
        page.sample(name, &labels, usable.count());
    }
}

fn labels_of(
    service: &ServiceView,
    environment: &crate::control_plane::command::EnvironmentView,
) -> String {
    labels(service.name.as_str(), environment.name.as_str())
}

/// Names have an alphabet that needs no escaping.
fn labels(service: &str, environment: &str) -> String {
    format!("service=\"{service}\",environment=\"{environment}\"")
}

/// The text under construction.
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn histograms(&mut self, name: &str, help: &str, totals: &Totals, measure: Measure) {
        self.metric(name, "histogram", help);
        for environment in totals.environments.values() {
            let service = environment.service.as_str();
            self.histogram(
                name,
                &labels(service, environment.environment.as_str()),
                environment.counts.distributions.of(measure).unwrap_or(&Distribution::default()),
            );
        }
    }

    /// Buckets are cumulative. A value counts as its histogram's cell does, to within 1 %.
    fn histogram(&mut self, name: &str, labels: &str, distribution: &Distribution<u64>) {
        let histogram = distribution.cells();
        for (bound, count) in BOUNDS_US.iter().zip(cumulative(histogram)) {
            let labels = format!("{labels},le=\"{}\"", seconds(*bound));
            self.sample(&format!("{name}_bucket"), &labels, count);
        }
        let all = histogram.len();
        self.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), all);
        #[expect(clippy::cast_precision_loss, reason = "a sum of microseconds below 2^52 is exact")]
        let sum = histogram.mean() * all as f64 / 1e6;
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, all);
    }
}

/// How many values lie at or below each bound, in one pass.
fn cumulative(histogram: &Histogram<u64>) -> [u64; BOUNDS_US.len()] {
    let mut counts = [0; BOUNDS_US.len()];
    for cell in histogram.iter_recorded() {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < cell.value_iterated_to());
        if let Some(count) = counts.get_mut(bucket) {
            *count += cell.count_at_value();
        }
    }
    let mut sum = 0;
    counts.map(|count| {
        sum += count;
        sum
    })
}

/// Microseconds as seconds without an exponent: `0.0025`, `30`.
fn seconds(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
    let seconds = us as f64 / 1e6;
    seconds.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_everything() {
        let mut histogram = Distribution::<u64>::default();
        for us in [500, 2_000, 2_000, 40_000, 3_000_000_000] {
            histogram.record(us);
        }
        let mut page = Page(String::new());
        page.histogram("x_seconds", "service=\"chat\"", &histogram);
        for line in [
            "x_seconds_bucket{service=\"chat\",le=\"0.001\"} 1",
            "x_seconds_bucket{service=\"chat\",le=\"0.0025\"} 3",
            "x_seconds_bucket{service=\"chat\",le=\"0.05\"} 4",
            "x_seconds_bucket{service=\"chat\",le=\"600\"} 4",
            "x_seconds_bucket{service=\"chat\",le=\"+Inf\"} 5",
            "x_seconds_count{service=\"chat\"} 5",
        ] {
            assert!(page.0.lines().any(|found| found == line), "{line} not in\n{}", page.0);
        }
    }

    #[test]
    fn every_sample_stands_under_its_help() {
        let page = text(&Totals::new(2), &[]);
        let mut metric = String::new();
        for line in page.lines() {
            match line.strip_prefix("# HELP ") {
                Some(help) => metric = help.split(' ').next().unwrap().to_owned(),
                None if line.starts_with('#') => assert!(line.contains(&metric), "{line}"),
                None => assert!(line.starts_with(&metric), "{line} under {metric}"),
            }
        }
    }
}
