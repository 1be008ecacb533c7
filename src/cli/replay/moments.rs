//! How a replay is shown: a few lines per new decision for people, an object per line for programs.

use serde::Serialize;
use serde_json::Value;

use crate::judge::decision::Decision;
use crate::judge::e_process::Tally;
use crate::judge::explanation::Part;
use crate::judge::metric::Metric;
use crate::judge::record::{Both, Start};
use crate::judge::replay::{End, Moment};
use crate::judge::tick::Tick;

/// Columns that a line of text takes at most.
const COLUMNS: usize = 80;
/// Where explanations begin.
const INDENT: usize = 18;

/// One new decision.
pub fn shown(moment: &Moment, start: &Start, json: bool) -> String {
    let when = |tick: Tick| format!("{} s", tick.second());
    let explanation = moment.explanation.sentence(&start.active, &start.candidate, &when);
    if json { line(&MomentJson::of(moment, explanation)) } else { text(moment, &explanation) }
}

/// What there is to say at the end.
pub fn shown_end(end: &End, json: bool) -> String {
    if json { line(&EndJson::of(end)) } else { end_text(end) }
}

/// The judge lost what it knew, and what follows was judged without it.
pub fn shown_anew(json: bool) -> String {
    if json {
        return line(&serde_json::json!({ "schema": 1, "type": "anew" }));
    }
    "here the judge lost what it knew, and began anew\n".to_owned()
}

fn line(object: &impl Serialize) -> String {
    let json = serde_json::to_string(object).expect("numbers and text can be written as JSON");
    json + "\n"
}

fn text(moment: &Moment, explanation: &str) -> String {
    let share = format!("{} %", (moment.share * 10_000.0).round() / 100.0);
    let (verb, reason) = (moment.decision.verb(), moment.decision.reason());
    let evidence = evidence_text(moment).unwrap_or_default();
    let head = format!("{:>10}{share:>7}  {verb:<10}{reason:<27}{evidence}", clock(moment.at));
    let parts = parts_text(&moment.explanation.parts);
    let mut text = head.trim_end().to_owned() + "\n";
    for line in [parts.as_str(), explanation] {
        text += &wrapped(line);
    }
    text
}

/// `evidence 56, users 3.1`: by requests in all, and by users of the metric that adds most.
fn evidence_text(moment: &Moment) -> Option<String> {
    let explanation = &moment.explanation;
    let evidence = number(explanation.evidence?);
    let strongest =
        explanation.parts.iter().find(|part| Some(part.metric) == explanation.strongest);
    let users = strongest.map(|part| format!(", users {}", number(part.by_users)));
    Some(format!("evidence {evidence}{}", users.unwrap_or_default()))
}

/// `= errors 20.1 + TTFT 0.2`: what the number is made of.
fn parts_text(parts: &[Part]) -> String {
    let adding = parts.iter().filter(|part| part.adds > 0.0);
    let adding = adding.map(|part| format!("{} {}", part.metric.name(), number(part.adds)));
    let sum = adding.collect::<Vec<_>>().join(" + ");
    if sum.is_empty() { sum } else { format!("= {sum}") }
}

fn end_text(end: &End) -> String {
    let outcome = match (end.rolled_back_at, end.decision) {
        (Some(at), _) => format!("rolled back at {}", clock(at)),
        (None, Some(decision)) => {
            let (verb, reason) = (decision.verb(), decision.reason());
            format!("not rolled back; at the end: {verb} {reason}")
        }
        (None, None) => "too short for a check of the window judge".to_owned(),
    };
    let outcome = outcome.trim_end();
    let mut text = format!("{} records, {}: {outcome}\n", end.records, clock(end.now));
    if let Some((evidence, at)) = end.evidence_max {
        text += &format!("largest evidence {} at {}\n", number(evidence), clock(at));
    }
    text
}

/// Lines of at most 80 columns, below the decision.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let fits = column + 1 + word.chars().count() <= COLUMNS;
        if column > 0 && fits {
            lines.push(' ');
            column += 1;
        } else {
            lines += if column > 0 { "\n" } else { "" };
            lines += &" ".repeat(INDENT);
            column = INDENT;
        }
        lines += word;
        column += word.chars().count();
    }
    if lines.is_empty() { lines } else { lines + "\n" }
}

/// `1:02:03.25`: observed time since the rollout began.
fn clock(at: Tick) -> String {
    let seconds = at.second();
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let quarter = ["", ".25", ".5", ".75"][(at.0 % Tick::PER_SECOND) as usize];
    format!("{hours}:{minutes:02}:{rest:02}{quarter}")
}

fn number(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.1}"),
        v if v < 10_000.0 => format!("{v:.0}"),
        v => format!("{v:.0e}"),
    }
}

fn seconds(at: Tick) -> f64 {
    at.observed().as_secs_f64()
}

#[derive(Serialize)]
struct MomentJson {
    schema: u8,
    r#type: &'static str,
    tick: u32,
    at_s: f64,
    share: f64,
    #[serde(flatten)]
    decision: DecisionJson,
    evidence: Option<f64>,
    strongest: Option<Metric>,
    parts: Vec<PartJson>,
    explanation: String,
}

#[derive(Serialize)]
struct DecisionJson {
    decision: Value,
    why: Value,
}

#[derive(Serialize)]
struct PartJson {
    metric: Metric,
    adds: f64,
    by_users: f64,
    since_s: f64,
    active: Tally,
    candidate: Tally,
    users: Both<u32>,
    mean_score: Option<Both<Option<f64>>>,
}

#[derive(Serialize)]
struct EndJson {
    schema: u8,
    r#type: &'static str,
    records: u64,
    observed_s: f64,
    #[serde(flatten)]
    decision: DecisionJson,
    rolled_back_at_s: Option<f64>,
    evidence_max: Option<f64>,
    evidence_max_at_s: Option<f64>,
}

impl MomentJson {
    fn of(moment: &Moment, explanation: String) -> Self {
        Self {
            schema: 1,
            r#type: "decision",
            tick: moment.at.0,
            at_s: seconds(moment.at),
            share: moment.share,
            decision: DecisionJson::of(Some(moment.decision)),
            evidence: moment.explanation.evidence,
            strongest: moment.explanation.strongest,
            parts: moment.explanation.parts.iter().map(PartJson::of).collect(),
            explanation,
        }
    }
}

impl DecisionJson {
    /// Both always there: what a decision has no use for is `null`.
    fn of(decision: Option<Decision>) -> Self {
        let mut object = serde_json::to_value(decision).unwrap_or_default();
        let mut take = |key| object.get_mut(key).map(Value::take).unwrap_or_default();
        Self { decision: take("decision"), why: take("why") }
    }
}

impl PartJson {
    fn of(part: &Part) -> Self {
        let Both { active, candidate } = part.onset.counted;
        Self {
            metric: part.metric,
            adds: part.adds,
            by_users: part.by_users,
            since_s: seconds(part.onset.since),
            active,
            candidate,
            users: part.users,
            mean_score: part.means,
        }
    }
}

impl EndJson {
    fn of(end: &End) -> Self {
        Self {
            schema: 1,
            r#type: "end",
            records: end.records,
            observed_s: seconds(end.now),
            decision: DecisionJson::of(end.decision),
            rolled_back_at_s: end.rolled_back_at.map(seconds),
            evidence_max: end.evidence_max.map(|(evidence, _)| evidence),
            evidence_max_at_s: end.evidence_max.map(|(_, at)| seconds(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_to_the_quarter() {
        let shown = [0, 5, 14_405, 400_002].map(|tick| clock(Tick(tick)));
        assert_eq!(shown, ["0:00:00", "0:00:01.25", "1:00:01.25", "27:46:40.5"]);
    }

    #[test]
    fn long_sentences_are_wrapped_below_the_decision() {
        let text = wrapped(&"word ".repeat(30));
        assert!(text.lines().all(|line| line.len() <= COLUMNS && line.starts_with("   ")));
        assert_eq!(text.lines().count(), 3);
        assert_eq!(wrapped(""), "");
    }

    #[test]
    fn a_decision_without_a_reason_says_null() {
        let json = serde_json::to_string(&DecisionJson::of(Some(Decision::Advance))).unwrap();
        assert_eq!(json, r#"{"decision":"advance","why":null}"#);
    }
}
