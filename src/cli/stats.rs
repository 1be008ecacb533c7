//! `cyan stats`: how the environments of a service did lately, one beside the other.

use std::fmt::Write as _;

use super::failure::Failure;
use super::session::{Session, pick};
use super::status::mark;
use super::terminal::Terminal;
use crate::admin::api::Service;
use crate::admin::api::stats::{Quantiles, Stats};

/// The windows that the admin API knows.
const WINDOWS: [&str; 6] = ["10s", "1m", "5m", "15m", "step", "start"];

/// Counts come in once a second: of less there is nothing to say.
const COUNTED_MIN_S: f64 = 1.0;

/// `cyan stats [SERVICE] [ENVIRONMENT]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this service
    service: Option<String>,
    /// Only this environment
    environment: Option<String>,
    /// How far back; `step` is since the weights changed
    #[arg(long, default_value = "5m", value_parser = WINDOWS)]
    window: String,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let mut services = session.services().await?;
    if let Some(name) = &args.service {
        services = vec![pick(services, Some(name))?];
    }
    for mut service in services {
        if let Some(name) = &args.environment {
            only(&mut service, name)?;
        }
        let mut rows = Vec::new();
        for environment in &service.environments {
            let (service, environment) = (&service.name, &environment.name);
            let path = format!("/v1/services/{service}/environments/{environment}/stats");
            rows.push(session.client.get(&format!("{path}?window={}", args.window)).await?);
        }
        if session.globals.json {
            rows.iter().try_for_each(|row: &Stats| session.terminal.json(row))?;
        } else {
            session.terminal.print(&text(&rows, session.terminal))?;
        }
    }
    Ok(())
}

fn only(service: &mut Service, name: &str) -> Result<(), Failure> {
    let known: Vec<_> = service.environments.iter().map(|e| e.name.to_string()).collect();
    service.environments.retain(|environment| environment.name == *name);
    if service.environments.is_empty() {
        let known = known.join(", ");
        let of = &service.name;
        let message = format!("unknown environment `{name}` of service `{of}`; there are: {known}");
        return Err(Failure::usage(message));
    }
    Ok(())
}

/// A head, a line per environment, and what became of the exchanges.
fn text(rows: &[Stats], terminal: Terminal) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let name = rows.iter().map(|row| row.environment.as_str().len()).max().unwrap_or(0);
    let mut text = format!("{}  {}\n", first.service, covered(first));
    let _ = writeln!(
        text,
        "{:name$}  {:>8} {:>6} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>6}",
        "",
        "requests",
        "req/s",
        "failed",
        "p50",
        "p99",
        "TTFT p50",
        "p99",
        "gap p99",
        "tok/s",
        name = name + 2
    );
    for (index, row) in rows.iter().enumerate() {
        let (ink, glyph) = mark(row.environment.as_str(), index, terminal.ascii);
        let label = terminal.paint(ink, &format!("{glyph} {:name$}", row.environment));
        let _ = writeln!(text, "{label}  {}", numbers(row, terminal.ascii));
    }
    for row in rows.iter().filter(|row| row.requests > 0) {
        let _ = writeln!(text, "  {:name$}  {}", row.environment, verdicts(row));
    }
    text
}

/// The window in words: `last 5 min`, `since the weights changed, 42 s ago`.
fn covered(stats: &Stats) -> String {
    match stats.window.as_str() {
        "step" => format!("since the weights changed, {} ago", length(stats.covers_s)),
        "start" => format!("since the start, {} ago", length(stats.covers_s)),
        _ if stats.covers_s < COUNTED_MIN_S => "nothing is counted yet".to_owned(),
        _ => format!("last {}", length(stats.covers_s)),
    }
}

/// `42 s`, `5 min`; `a moment` where no second has been counted yet.
pub(super) fn length(seconds: f64) -> String {
    match seconds.round() {
        s if s < COUNTED_MIN_S => "a moment".to_owned(),
        s if s < 120.0 => format!("{s} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

fn numbers(row: &Stats, ascii: bool) -> String {
    let nothing = if ascii { "-" } else { "–" };
    let rate = |rate: Option<f64>| rate.map_or(nothing.to_owned(), short);
    let failed = row.failed_percent.map_or(nothing.to_owned(), |percent| format!("{percent:.1} %"));
    let time = |of: Option<Quantiles>, quantile: fn(&Quantiles) -> f64| {
        of.as_ref().map_or(nothing.to_owned(), |quantiles| duration(quantile(quantiles)))
    };
    format!(
        "{:>8} {:>6} {:>7} {:>7} {:>7} {:>8} {:>7} {:>7} {:>6}",
        row.requests,
        rate(row.requests_per_s),
        failed,
        time(row.total, |q| q.p50_ms),
        time(row.total, |q| q.p99_ms),
        time(row.ttft, |q| q.p50_ms),
        time(row.ttft, |q| q.p99_ms),
        time(row.gap, |q| q.p99_ms),
        rate(row.tokens.output_per_s),
    )
}

/// The verdicts that occurred, the most frequent first.
fn verdicts(row: &Stats) -> String {
    let mut verdicts: Vec<_> = row.verdicts.iter().filter(|(_, count)| **count > 0).collect();
    verdicts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let words = verdicts.iter().map(|(verdict, count)| format!("{verdict} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

/// Three digits and a unit: `0.42 ms`, `310 ms`, `1.31 s`.
pub(super) fn duration(ms: f64) -> String {
    if ms < 999.5 { format!("{} ms", short(ms)) } else { format!("{} s", short(ms / 1e3)) }
}

pub(super) fn short(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats(environment: &str, requests: u64) -> Stats {
        let quantiles = (requests > 0).then(|| {
            json!({"count": requests, "p50_ms": 310.0, "p90_ms": 900.0, "p99_ms": 1310.4,
                   "p999_ms": 2000.0, "max_ms": 142_000.0})
        });
        let stats = json!({
            "schema": 1, "service": "chat", "environment": environment, "window": "5m",
            "covers_s": 304.2, "requests": requests, "in_flight": 3,
            "requests_per_s": if requests > 0 { 11.736 } else { 0.0 },
            "failed_percent": (requests > 0).then_some(1.02),
            "verdicts": {"complete": requests, "stalled": requests / 100, "timeout": 0},
            "standings": {}, "total": quantiles, "response_head": null, "ttft": quantiles,
            "gap": quantiles, "tpot": null, "connect": null, "tunnel": null,
            "tokens": {"input": null, "cached": 0, "output": null,
                       "output_per_s": (requests > 0).then_some(61.0), "outputs_estimated": 0},
            "finish": {}, "inspection": {}, "client_retries": 0,
            "request_bytes": 0, "response_bytes": 0,
        });
        serde_json::from_value(stats).unwrap()
    }

    #[test]
    fn environments_stand_side_by_side_in_eighty_columns() {
        let terminal = Terminal { colour: false, ascii: false, redraws: false, can_ask: false };
        let text = text(&[stats("blue", 3570), stats("green", 0)], terminal);
        assert_eq!(
            text,
            "\
chat  last 5 min
         requests  req/s  failed     p50     p99 TTFT p50     p99 gap p99  tok/s
● blue       3570   11.7   1.0 %  310 ms  1.31 s   310 ms  1.31 s  1.31 s   61.0
▲ green         0   0.00       –       –       –        –       –       –      –
  blue   complete 3570, stalled 35
"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn windows_and_times_are_told_as_people_say_them() {
        for (window, covers_s, words) in [
            ("10s", 0.0, "nothing is counted yet"),
            ("step", 0.2, "since the weights changed, a moment ago"),
            ("10s", 10.9, "last 11 s"),
            ("15m", 909.0, "last 15 min"),
            ("step", 42.0, "since the weights changed, 42 s ago"),
            ("start", 7200.0, "since the start, 120 min ago"),
        ] {
            let stats = Stats { window: window.to_owned(), covers_s, ..stats("blue", 1) };
            assert_eq!(covered(&stats), words);
        }
        for (ms, words) in
            [(0.42, "0.42 ms"), (12.34, "12.3 ms"), (999.6, "1.00 s"), (142e3, "142 s")]
        {
            assert_eq!(duration(ms), words);
        }
    }
}
