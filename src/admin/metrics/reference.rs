//! `docs/metrics.md`, printed from the catalogue. It stands in the repository to be read; a test fails
//! when it is stale. To print it anew: `CYAN_WRITE_REFERENCE=1 cargo test --lib metrics::reference`.

use std::fmt::Write as _;

use super::catalogue::{GROUPS, Kind, Unit, metrics};

const HEADER: &str = "\
# Metrics

`GET /metrics` on the admin listener: Prometheus' text format 0.0.4, or OpenMetrics 1.0 where the
`Accept` header prefers `application/openmetrics-text`. Counts are at most two seconds old (cores are
asked once a second, and their sums published once a second), states are of the moment.

Labels are names from the config (`service`, `environment`), addresses from it (`upstream`), words of
Cyan's own (`verdict`, `standing`, `reason`, `outcome`, `window`) and names of quality scores (`score`, at
most 16 per environment). Nothing that a client or a model says becomes a label: there is no model name,
no path and no key. So the number of series is known: about 270 per environment, 9 per upstream and 5 per
name of a score.

Histograms are kept with 2 significant digits: a value less than 1 % above the bound of a bucket may be counted
below it, one at the bound always is. Sums are exact.
`GET /v1/services/{service}/environments/{environment}/histogram` has all buckets, and windows of time.

An exchange that another environment served counts for its own by its verdict, and for the upstream that
had failed it. Its times, sizes, tokens and finish reason say nothing of either, and are in no histogram.

Where the OpenTelemetry conventions for generative AI have a name it is the only one, in Prometheus' form;
everything else is called `cyan_…`. Their attributes for provider, operation and model are not set: Cyan
knows the environment, which says more. `gen_ai_client_operation_time_per_output_chunk_seconds` has a
value per gap: its upper quantiles are what users see as stutter.

<!-- Printed from src/admin/metrics/catalogue by: CYAN_WRITE_REFERENCE=1 cargo test --lib metrics::reference -->
";

const FOOTER: &str = "
## Questions and answers

| question | PromQL |
|---|---|
| share of bad exchanges, by environment | `sum by (service, environment) (rate(cyan_requests_by_standing_total{standing=\"bad\"}[5m])) / sum by (service, environment) (rate(cyan_requests_by_standing_total[5m]))` |
| p99 of the time to the first token | `histogram_quantile(0.99, sum by (service, environment, le) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m])))` |
| output tokens per second | `sum by (service, environment) (rate(gen_ai_client_token_usage_sum{gen_ai_token_type=\"output\"}[5m]))` |
| mean quality of the last hour | `cyan_score_mean_ratio{score=\"quality\",window=\"1h\"}` |
| streams that stopped in the middle | `sum by (service, environment) (increase(cyan_requests_total{verdict=~\"truncated|stalled|aborted_by_server\"}[5m]))` |
";

fn markdown() -> String {
    let mut text = HEADER.to_owned();
    for (title, metrics) in GROUPS {
        write!(
            text,
            "\n## {title}\n\n| name | kind | unit | labels | what | between which events, or at which |\n\
             |---|---|---|---|---|---|\n"
        )
        .expect("writing to a string cannot fail");
        for metric in metrics {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            writeln!(
                text,
                "| `{}` | {} | {} | {labels} | {} | {} |",
                metric.exported(),
                metric.kind.label(),
                unit(metric.unit),
                metric.help,
                metric.between
            )
            .expect("writing to a string cannot fail");
        }
    }
    text + FOOTER
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::None => "–",
        Unit::Tokens => "tokens",
        Unit::Seconds | Unit::Bytes | Unit::Ratio => unit.suffix().unwrap_or_default(),
    }
}

#[test]
fn the_documentation_is_as_printed() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("CYAN_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, markdown()).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == markdown(),
        "docs/metrics.md is stale; run CYAN_WRITE_REFERENCE=1 cargo test --lib metrics::reference"
    );
}

#[test]
fn names_follow_the_rules_of_both_forms() {
    let mut names: Vec<_> = metrics().map(|metric| metric.name).collect();
    for metric in metrics() {
        let name = metric.name;
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(legal), "{name}");
        for reserved in ["_total", "_info", "_bucket", "_count", "_sum", "_created"] {
            assert!(!name.ends_with(reserved), "{name}");
        }
        if let Some(unit) = metric.unit.suffix() {
            assert!(name.ends_with(&format!("_{unit}")), "{name} is in {unit}");
        }
        assert!(!metric.labels.contains(&"le") || metric.kind != Kind::Histogram);
        assert!(!metric.help.contains('\n') && metric.help.ends_with('.'), "{}", metric.help);
        assert!(!metric.between.contains('|'), "{}", metric.between);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), metrics().count(), "a name is given once");
}
