//! `cyan compare`: two environments side by side, and whether all traffic may go to the second.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::exit_code;
use super::failure::Failure;
use super::session::Session;
use super::stats::{duration, length};
use super::status::mark;
use super::terminal::{Ink, Terminal};
use crate::admin::api::comparison::{Compared, Comparison, Interval, Row};
use crate::judge::comparison::Safety;
use crate::model::name::Name;

/// `cyan compare [SERVICE] [ENVIRONMENT]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service, unless there is only one
    service: Option<String>,
    /// The environment that would get everything; the candidate when left out
    environment: Option<String>,
    /// How far back, up to 15m, or `step`: since the weights changed. When left out, as far as the plan says,
    /// and since the weights changed if that is too little
    #[arg(long, value_name = "DURATION")]
    window: Option<String>,
}

/// Runs the verb. The exit code says what the comparison says.
pub async fn run(args: &Args, session: &Session) -> Result<ExitCode, Failure> {
    let service = session.service(args.service.as_deref()).await?;
    let path = path(&service.name, args)?;
    let found: Comparison = session.client.get(&path).await?;
    if session.globals.json {
        session.terminal.json(&found)?;
    } else {
        session.terminal.print(&text(&found, session.terminal))?;
    }
    Ok(ExitCode::from(match found.answer {
        Safety::Safe => exit_code::DONE,
        Safety::Unsafe => exit_code::ROLLED_BACK,
        Safety::NotEnoughData => exit_code::HELD,
    }))
}

fn path(service: &Name, args: &Args) -> Result<String, Failure> {
    let mut path = format!("/v1/services/{service}/comparison");
    let mut separator = '?';
    if let Some(environment) = &args.environment {
        let name = Name::new(environment).map_err(|error| Failure::usage(error.to_string()))?;
        let _ = write!(path, "{separator}candidate={name}");
        separator = '&';
    }
    if let Some(window) = &args.window {
        // Checked by whoever knows what is kept; here it only must not break the address.
        if !window.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("`{window}` is no time; write e.g. 5m, or step");
            return Err(Failure::usage(message));
        }
        let _ = write!(path, "{separator}window={window}");
    }
    Ok(path)
}

/// Who and when, a line for each respect, what else should be known, and the answer.
fn text(found: &Comparison, terminal: Terminal) -> String {
    let mut text = head(found, terminal);
    let mut table = vec![[
        String::new(),
        found.active.environment.to_string(),
        found.candidate.environment.to_string(),
        "difference".to_owned(),
        "rule".to_owned(),
        String::new(),
    ]];
    table.push(latency(found, terminal));
    table.push(errors(found, terminal));
    table.extend(found.quality.as_ref().map(|row| quality(found, row, terminal)));
    text += &aligned(&table);
    for side in [&found.active, &found.candidate] {
        text += &notes(side);
    }
    let answer = match found.safe {
        Some(safe) => safe.to_string(),
        None => "not enough data".to_owned(),
    };
    let answer = terminal.paint(Ink::Bold, &answer);
    text + &format!("safe: {answer}. {}\n", found.reason)
}

fn head(found: &Comparison, terminal: Terminal) -> String {
    let side = |side: &Compared, index| {
        let (ink, glyph) = mark(side.environment.as_str(), index, terminal.ascii);
        let version = side.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        terminal.paint(ink, &format!("{glyph} {}{version}", side.environment))
    };
    let length = length(found.covers_s);
    let time = match found.window.as_str() {
        "step" => format!("requests since the weights changed {length} ago"),
        _ if found.covers_s < 1.0 => "no requests counted yet".to_owned(),
        _ => format!("requests of the last {length}"),
    };
    let (active, candidate) = (side(&found.active, 0), side(&found.candidate, 1));
    format!("{candidate} against {active}, {time}, 95 % intervals\n")
}

fn latency(found: &Comparison, terminal: Terminal) -> [String; 6] {
    let row = &found.latency_p99_ms;
    let value = |value: Option<f64>| value.map_or_else(|| nothing(terminal), duration);
    let signal = match found.latency_signal.as_str() {
        "ttft" => "TTFT",
        "tpot" => "TPOT",
        _ => "total",
    };
    let Interval { value: worse_by, low, high } = row.worse_by;
    let ends = [worse_by, low, high].into_iter().flatten();
    let is_long = ends.fold(0.0, |most: f64, end| most.max(end.abs())) >= 999.5;
    let (unit, scale) = if is_long { ("s", 1e-3) } else { ("ms", 1.0) };
    let digits = |value: f64| if is_long { format!("{value:+.2}") } else { format!("{value:+.0}") };
    [
        format!("p99 {signal}"),
        value(row.active.value),
        value(row.candidate.value),
        difference(&row.worse_by, |value| digits(value * scale), unit, terminal),
        format!("<= +{}", duration(row.margin)),
        state(row).to_owned(),
    ]
}

fn errors(found: &Comparison, terminal: Terminal) -> [String; 6] {
    let row = &found.error_rate_percent;
    let percent = |value: f64| format!("{value:.2}");
    let value = |value: Option<f64>| {
        value.map_or_else(|| nothing(terminal), |value| format!("{} %", percent(value)))
    };
    let own = row.worse_by.low.zip(row.worse_by.high).map(|(low, high)| {
        let name = &found.candidate.environment;
        format!("{name} {} {} {} %", percent(low), to(terminal), percent(high))
    });
    [
        "error rate".to_owned(),
        value(row.active.value),
        value(row.candidate.value),
        // The rule is for the candidate's own rate, and so is the interval.
        own.unwrap_or_else(|| nothing(terminal)),
        format!("<= {} %", row.margin),
        state(row).to_owned(),
    ]
}

fn quality(found: &Comparison, row: &Row, terminal: Terminal) -> [String; 6] {
    let value =
        |value: Option<f64>| value.map_or_else(|| nothing(terminal), |value| format!("{value:.3}"));
    // Shown as a difference, in which more is better.
    let shown = Interval {
        value: row.difference,
        low: row.worse_by.high.map(|high| -high),
        high: row.worse_by.low.map(|low| -low),
    };
    [
        "quality".to_owned(),
        value(row.active.value),
        value(row.candidate.value),
        difference(&shown, |value| format!("{value:+.3}"), "", terminal),
        format!(">= {} - {}", found.active.environment, row.margin),
        state(row).to_owned(),
    ]
}

/// `+0.30 s (-0.40 … +1.10)`
fn difference(
    of: &Interval,
    digits: impl Fn(f64) -> String,
    unit: &str,
    terminal: Terminal,
) -> String {
    let Some(value) = of.value else { return nothing(terminal) };
    let end = |end: Option<f64>| end.map_or_else(|| nothing(terminal), &digits);
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    format!("{}{unit} ({} {} {})", digits(value), end(of.low), to(terminal), end(of.high))
}

/// Requests that no user sent, or that say less of an environment than others.
fn notes(side: &Compared) -> String {
    let Compared { environment, requests, forced, handed_over, client_retries, .. } = side;
    let mut text = String::new();
    let share = |count: u64| format!("{count} of {environment}'s {requests} requests");
    if *forced > 0 {
        let _ = writeln!(text, "note: {} named it themselves", share(*forced));
    }
    if *handed_over > 0 {
        let what = "were served by another environment, and count as failed";
        let _ = writeln!(text, "note: {} {what}", share(*handed_over));
    }
    if *client_retries > 0 {
        let _ = writeln!(text, "note: {} were tried again by the client", share(*client_retries));
    }
    text
}

fn state(row: &Row) -> &'static str {
    match row.answer {
        Safety::Safe => "ok",
        Safety::Unsafe => "not ok",
        Safety::NotEnoughData => "open",
    }
}

fn nothing(terminal: Terminal) -> String {
    if terminal.ascii { "-" } else { "–" }.to_owned()
}

fn to(terminal: Terminal) -> &'static str {
    if terminal.ascii { ".." } else { "…" }
}

/// Columns as wide as their widest cell, two blanks apart.
fn aligned(table: &[[String; 6]]) -> String {
    let width =
        |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLAIN: Terminal =
        Terminal { colour: false, ascii: false, redraws: false, can_ask: false };

    fn found(change: impl FnOnce(&mut Value)) -> Comparison {
        let mut found = json!({
            "schema": 1, "service": "chat", "window": "5m", "covers_s": 304.2,
            "active": {"environment": "blue", "version": "v41", "requests": 11_480, "failed": 118,
                       "forced": 0, "handed_over": 0, "client_retries": 0},
            "candidate": {"environment": "green", "version": "v42", "requests": 1_204, "failed": 11,
                          "forced": 3, "handed_over": 0, "client_retries": 0},
            "latency_signal": "ttft",
            "latency_p99_ms": {
                "active": {"value": 9_800.0, "n": 11_000}, "candidate": {"value": 10_100.0, "n": 1_200},
                "difference": 300.0, "worse_by": {"value": 300.0, "low": -400.0, "high": 1_100.0},
                "margin": 200.0, "answer": "not_enough_data"},
            "error_rate_percent": {
                "active": {"value": 1.0279, "n": 11_480}, "candidate": {"value": 0.41, "n": 1_204},
                "difference": -0.6143, "worse_by": {"value": 0.41, "low": 0.1769, "high": 0.9704},
                "margin": 1.0, "answer": "safe"},
            "quality": {
                "active": {"value": 0.88, "n": 400}, "candidate": {"value": 0.83, "n": 300},
                "difference": -0.05, "worse_by": {"value": 0.05, "low": 0.021, "high": 0.079},
                "margin": 0.02, "answer": "unsafe"},
            "safe": false, "answer": "unsafe",
            "reason": "quality is 0.050 below blue's, allowed 0.02 (11480 blue requests, 1204 green)",
            "explanation": "not safe: …",
        });
        change(&mut found);
        serde_json::from_value(found).unwrap()
    }

    #[test]
    fn both_sides_stand_beside_each_other_in_eighty_columns() {
        let text = text(&found(|_| ()), PLAIN);
        assert_eq!(
            text,
            "\
▲ green v42 against ● blue v41, requests of the last 5 min, 95 % intervals
            blue    green   difference                rule
p99 TTFT    9.80 s  10.1 s  +0.30 s (-0.40 … +1.10)   <= +200 ms      open
error rate  1.03 %  0.41 %  green 0.18 … 0.97 %       <= 1 %          ok
quality     0.880   0.830   -0.050 (-0.079 … -0.021)  >= blue - 0.02  not ok
note: 3 of green's 1204 requests named it themselves
safe: false. quality is 0.050 below blue's, allowed 0.02 (11480 blue requests, 1204 green)
"
        );
        let table = text.lines().take(5);
        assert!(table.into_iter().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn what_there_is_no_data_for_is_a_dash() {
        let nothing = json!({"value": null, "low": null, "high": null});
        let found = found(|found| {
            found["window"] = json!("step");
            found["covers_s"] = json!(42.3);
            found["latency_signal"] = json!("total");
            found["latency_p99_ms"]["active"]["value"] = json!(0.62);
            found["latency_p99_ms"]["candidate"]["value"] = json!(null);
            found["latency_p99_ms"]["worse_by"] = nothing.clone();
            found["error_rate_percent"]["candidate"]["value"] = json!(null);
            found["error_rate_percent"]["worse_by"] = nothing;
            found["quality"] = json!(null);
            found["candidate"]["version"] = json!(null);
            found["candidate"]["forced"] = json!(0);
            found["safe"] = json!(null);
            found["reason"] = json!("p99 needs at least 368 more green requests");
        });
        assert_eq!(
            text(&found, Terminal { ascii: true, ..PLAIN }),
            "\
^ green against * blue v41, requests since the weights changed 42 s ago, 95 % intervals
            blue     green  difference  rule
p99 total   0.62 ms  -      -           <= +200 ms  open
error rate  1.03 %   -      -           <= 1 %      ok
safe: not enough data. p99 needs at least 368 more green requests
"
        );
    }

    #[test]
    fn what_is_no_users_request_is_told() {
        let side = |change: &str| {
            let found = found(|found| found["candidate"][change] = json!(30));
            notes(&found.candidate).lines().last().unwrap_or_default().to_owned()
        };
        assert_eq!(
            side("handed_over"),
            "note: 30 of green's 1204 requests were served by another environment, and count as failed"
        );
        assert_eq!(
            side("client_retries"),
            "note: 30 of green's 1204 requests were tried again by the client"
        );
    }

    #[test]
    fn a_window_cannot_change_the_address() {
        let args = |window: Option<&str>, environment: Option<&str>| Args {
            service: None,
            environment: environment.map(str::to_owned),
            window: window.map(str::to_owned),
        };
        let chat = Name::new("chat").unwrap();
        for (asked, expected) in [
            (args(None, None), Ok("")),
            (args(Some("5m"), None), Ok("?window=5m")),
            (args(Some("step"), Some("red")), Ok("?candidate=red&window=step")),
            (args(Some("5m&x=1"), None), Err("`5m&x=1` is no time; write e.g. 5m, or step")),
        ] {
            let found = path(&chat, &asked).map_err(|failure| failure.message);
            let expected = expected.map(|query| format!("/v1/services/chat/comparison{query}"));
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}
