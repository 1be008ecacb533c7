//! What a comparison says in words: what is known, or what is missing and how long that takes.
//!
//! The estimates suppose that requests go on coming as they came, and that the values stay as they are:
//! then half an interval shrinks with the root of the number of requests.

use std::fmt;
use std::time::Duration;

use super::{Comparison, Difference, LATENCIES_MIN, Measured, SCORES_MIN, Safety, Z, count};
use crate::judge::record::Both;

/// An answer that takes longer is none.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// An answer and its reason. `Display` is the sentence: `not safe: p99 is 600 ms above blue's, …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The answer.
    pub answer: Safety,
    /// Why, with the numbers.
    pub reason: String,
}

/// What was compared, for the words.
struct Scene<'a> {
    names: Both<&'a str>,
    measured: &'a Both<Measured>,
    covers: Duration,
}

/// How much is missing until something can be said.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Missing {
    /// A side has fewer than can be reckoned with at all.
    AtLeast { is_active: bool, more: f64 },
    /// The candidate needs so many more, if the values stay as they are.
    About { more: f64 },
    /// The value is at the margin, or nearly.
    TooClose,
}

impl Comparison {
    /// The answer in words, with both sides by their names. Everything was measured in a time of `covers`.
    pub fn explained(
        &self,
        names: Both<&str>,
        measured: &Both<Measured>,
        covers: Duration,
    ) -> Explained {
        let scene = Scene { names, measured, covers };
        let rows = [
            (Respect::Latency, Some(&self.latency_p99)),
            (Respect::Errors, Some(&self.errors)),
            (Respect::Quality, self.quality.as_ref()),
        ];
        let telling = rows.into_iter().filter_map(|(respect, row)| Some((respect, row?)));
        // What is safe by itself says nothing of why the whole is not.
        let telling = telling.filter(|(_, row)| row.safety() == self.safe);
        let parts: Vec<_> = telling
            .map(|(respect, row)| match self.safe {
                Safety::Safe => scene.at_most(respect, row),
                Safety::Unsafe => scene.beyond(respect, row),
                Safety::NotEnoughData => scene.needs(respect, row),
            })
            .collect();
        let Both { active, candidate } = names;
        let seen = format!(
            "{} {active} requests, {} {candidate}",
            measured.active.requests, measured.candidate.requests
        );
        let reason = match self.safe {
            Safety::NotEnoughData => format!("{}; so far {seen}", parts.join(", ")),
            Safety::Safe | Safety::Unsafe => format!("{} ({seen})", parts.join(", ")),
        };
        Explained { answer: self.safe, reason }
    }
}

impl Safety {
    /// The answer as people say it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "not safe",
            Self::NotEnoughData => "not enough data",
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.answer.words(), self.reason)
    }
}

/// In what respect two environments are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Respect {
    Latency,
    Errors,
    Quality,
}

impl Respect {
    const fn name(self) -> &'static str {
        match self {
            Self::Latency => "p99",
            Self::Errors => "error rate",
            Self::Quality => "quality",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Latency | Self::Errors => "requests",
            Self::Quality => "scores",
        }
    }

    /// A difference without its sign.
    fn size(self, value: f64) -> String {
        match self {
            Self::Latency => time(value.abs()),
            Self::Errors => format!("{} %", rounded(value.abs() * 100.0)),
            Self::Quality => format!("{:.3}", value.abs()),
        }
    }

    /// A margin as somebody wrote it.
    fn margin(self, value: f64) -> String {
        match self {
            Self::Latency => time(value),
            Self::Errors => format!("{} %", rounded(value * 100.0)),
            Self::Quality => rounded(value).to_string(),
        }
    }

    /// Where a value lies that is worse, or better.
    const fn place(self, is_worse: bool) -> &'static str {
        match (self, is_worse) {
            (Self::Quality, true) | (Self::Latency | Self::Errors, false) => "below",
            (Self::Quality, false) | (Self::Latency | Self::Errors, true) => "above",
        }
    }
}

impl Scene<'_> {
    /// What is safe: the far end of the interval.
    fn at_most(&self, respect: Respect, row: &Difference) -> String {
        let high = row.interval.1.unwrap_or(row.margin);
        let (size, margin) = (respect.size(high), respect.margin(row.margin));
        let Both { active, candidate } = self.names;
        if respect == Respect::Errors {
            return format!("at most {size} of {candidate}'s requests fail, allowed {margin}");
        }
        let (is_worse, name) = (high >= 0.0, respect.name());
        let ends = if is_worse { "at most" } else { "at least" };
        let place = respect.place(is_worse);
        format!("{name} is {ends} {size} {place} {active}'s, allowed {margin}")
    }

    /// What is not: the value that was measured.
    fn beyond(&self, respect: Respect, row: &Difference) -> String {
        let worse_by = row.worse_by.unwrap_or(row.margin);
        let (size, margin) = (respect.size(worse_by), respect.margin(row.margin));
        let Both { active, candidate } = self.names;
        if respect == Respect::Errors {
            return format!("{size} of {candidate}'s requests fail, allowed {margin}");
        }
        let (name, place) = (respect.name(), respect.place(true));
        format!("{name} is {size} {place} {active}'s, allowed {margin}")
    }

    /// What is missing.
    fn needs(&self, respect: Respect, row: &Difference) -> String {
        let (name, unit) = (respect.name(), respect.unit());
        match self.missing(respect, row) {
            Missing::AtLeast { is_active, more } => {
                let Both { active, candidate } = self.names;
                let side = if is_active { active } else { candidate };
                let n = self.counted(respect, is_active);
                let wait = self.wait(more, n).map_or(String::new(), |wait| format!(" ({wait})"));
                format!("{name} needs at least {more} more {side} {unit}{wait}")
            }
            Missing::About { more } => {
                let n = self.counted(respect, false);
                match self.wait(more, n) {
                    Some(wait) => {
                        let (more, side) = (two_digits(more), self.names.candidate);
                        format!("{name} needs about {more} more {side} {unit} ({wait})")
                    }
                    None => too_close(name),
                }
            }
            Missing::TooClose => too_close(name),
        }
    }

    fn missing(&self, respect: Respect, row: &Difference) -> Missing {
        let n = self.counted(respect, false);
        match respect {
            Respect::Errors => missing_errors(n, row),
            Respect::Latency | Respect::Quality => {
                let least =
                    if respect == Respect::Latency { LATENCIES_MIN } else { SCORES_MIN }.into();
                let n = Both { active: self.counted(respect, true), candidate: n };
                missing_values(n, least, row)
            }
        }
    }

    /// What a respect rests on.
    fn counted(&self, respect: Respect, is_active: bool) -> f64 {
        let Both { active, candidate } = self.measured;
        let side = if is_active { active } else { candidate };
        match respect {
            Respect::Latency => count(&side.latency),
            Respect::Errors => side.requests.into(),
            Respect::Quality => side.scores.n.into(),
        }
    }

    /// How long it takes until there are so many more, as `n` came in the time that was looked at. `None`
    /// if they do not come within a day.
    fn wait(&self, more: f64, n: f64) -> Option<String> {
        let wait = Duration::try_from_secs_f64(more / n * self.covers.as_secs_f64()).ok();
        wait.filter(|wait| *wait <= WAIT_MAX).map(in_words)
    }
}

/// The margin leaves Wilson's interval when the share is so many standard deviations of the margin away.
fn missing_errors(n: f64, row: &Difference) -> Missing {
    let (share, margin) = (row.worse_by.unwrap_or(0.0), row.margin);
    let needed = Z * Z * margin * (1.0 - margin) / (share - margin).powi(2);
    match needed {
        needed if !needed.is_finite() || needed == 0.0 => Missing::TooClose,
        needed if n == 0.0 => Missing::AtLeast { is_active: false, more: needed.ceil() },
        needed => Missing::About { more: (needed - n).max(1.0).ceil() },
    }
}

/// Of a p99 or a mean. Whoever has fewer than the least stands in the way of the end that is needed.
fn missing_values(n: Both<f64>, least: f64, row: &Difference) -> Missing {
    let is_active = n.active < n.candidate;
    let fewest = if is_active { n.active } else { n.candidate };
    let at_least = Missing::AtLeast { is_active, more: least - fewest };
    let Some(worse_by) = row.worse_by else { return at_least };
    let is_within = worse_by <= row.margin;
    let end = if is_within { row.interval.1 } else { row.interval.0 };
    let Some(end) = end else { return at_least };
    // The half interval has to shrink to the distance from the margin.
    let factor = ((end - worse_by) / (row.margin - worse_by)).powi(2);
    if factor.is_finite() {
        Missing::About { more: (n.candidate * (factor - 1.0)).max(1.0).ceil() }
    } else {
        Missing::TooClose
    }
}

fn too_close(name: &str) -> String {
    format!("{name} is too close to what is allowed to be told within a day")
}

/// `2900` for 2883.
fn two_digits(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(1.0).log10().floor() - 1.0).max(1.0);
    (value / unit).round() * unit
}

/// Up to two digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `80 ms`, `1.20 s`
fn time(seconds: f64) -> String {
    if seconds < 0.9995 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// `40 s`, `12 min`, `3 h`
fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds if seconds < 100 => format!("{} s", seconds.max(1)),
        seconds if seconds < 100 * 60 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Margins, ScoresMeasured, compare};
    use super::*;

    /// An environment with so many requests, failures, and latencies up to so many milliseconds.
    fn side(requests: u32, failures: u32, slowest_ms: u64) -> Measured {
        let bucket = |percent: u64| {
            let below = |percent: u64| requests * u32::try_from(percent).unwrap() / 100;
            let count = below(percent) - below(percent - 1);
            (Duration::from_millis(slowest_ms * percent / 100), count)
        };
        let latency = (1..=100).map(bucket).collect();
        Measured { requests, failures, latency, scores: ScoresMeasured::default() }
    }

    fn scored(n: u32, mean: f64) -> Measured {
        let scores = ScoresMeasured { n, mean, variance: 0.01 };
        Measured { scores, ..side(10_000, 10, 1_000) }
    }

    fn said(active: Measured, candidate: Measured) -> String {
        let measured = Both { active, candidate };
        let comparison = compare(&measured, &Margins::default());
        let names = Both { active: "blue", candidate: "green" };
        comparison.explained(names, &measured, Duration::from_secs(300)).to_string()
    }

    #[test]
    fn what_is_known_is_said_with_what_is_allowed() {
        for (active, candidate, expected) in [
            (
                side(10_000, 20, 1_000),
                side(10_000, 20, 1_000),
                "safe: p99 is at most 10 ms above blue's, allowed 200 ms, \
                 at most 0.31 % of green's requests fail, allowed 1 % \
                 (10000 blue requests, 10000 green)",
            ),
            (
                scored(2_000, 0.85),
                scored(2_000, 0.90),
                "safe: p99 is at most 10 ms above blue's, allowed 200 ms, \
                 at most 0.18 % of green's requests fail, allowed 1 %, \
                 quality is at least 0.044 above blue's, allowed 0.02 \
                 (10000 blue requests, 10000 green)",
            ),
            (
                side(10_000, 20, 1_000),
                side(9_000, 400, 1_700),
                "not safe: p99 is 693 ms above blue's, allowed 200 ms, \
                 4.44 % of green's requests fail, allowed 1 % (10000 blue requests, 9000 green)",
            ),
            (
                scored(2_000, 0.85),
                scored(2_000, 0.80),
                "not safe: quality is 0.050 below blue's, allowed 0.02 \
                 (10000 blue requests, 10000 green)",
            ),
        ] {
            assert_eq!(said(active, candidate), expected);
        }
    }

    #[test]
    fn what_is_missing_is_said_with_how_long_that_takes() {
        for (active, candidate, expected) in [
            (
                side(10_000, 20, 1_000),
                side(300, 0, 1_000),
                "p99 needs at least 68 more green requests (68 s), \
                 error rate needs about 81 more green requests (81 s); \
                 so far 10000 blue requests, 300 green",
            ),
            (
                side(10_000, 20, 1_000),
                side(10_000, 90, 1_000),
                "error rate needs about 28000 more green requests (14 min); \
                 so far 10000 blue requests, 10000 green",
            ),
            (
                side(10_000, 20, 1_000),
                side(10_000, 100, 1_000),
                "error rate is too close to what is allowed to be told within a day; \
                 so far 10000 blue requests, 10000 green",
            ),
            (
                side(10_000, 20, 1_000),
                Measured::default(),
                "p99 needs at least 368 more green requests, \
                 error rate needs at least 381 more green requests; \
                 so far 10000 blue requests, 0 green",
            ),
            (
                side(200, 20, 1_000),
                side(10_000, 20, 1_500),
                "p99 needs at least 168 more blue requests (5 min); \
                 so far 200 blue requests, 10000 green",
            ),
            (
                scored(2_000, 0.85),
                scored(12, 0.85),
                "quality needs at least 8 more green scores (4 min); \
                 so far 10000 blue requests, 10000 green",
            ),
            (
                scored(100, 0.85),
                scored(100, 0.85),
                "quality needs about 93 more green scores (5 min); \
                 so far 10000 blue requests, 10000 green",
            ),
        ] {
            assert_eq!(said(active, candidate), format!("not enough data: {expected}"));
        }
    }

    #[test]
    fn with_what_was_missing_there_is_an_answer() {
        let comparison = |n: u32| {
            let measured = Both { active: scored(n, 0.85), candidate: scored(n, 0.845) };
            (compare(&measured, &Margins::default()), measured)
        };
        let (before, measured) = comparison(100);
        let scene = Scene {
            names: Both { active: "blue", candidate: "green" },
            measured: &measured,
            covers: Duration::from_secs(300),
        };
        let Missing::About { more } = scene.missing(Respect::Quality, &before.quality.unwrap())
        else {
            panic!("{before:?}")
        };
        assert!((240.0..=250.0).contains(&more), "{more}");
        assert_eq!(comparison(100 + 251).0.safe, Safety::Safe);
        assert_eq!(comparison(100 + 230).0.safe, Safety::NotEnoughData);
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        for (value, expected) in [(1.0, 1.0), (37.0, 37.0), (2_883.0, 2_900.0), (99_500.0, 1e5)] {
            assert_eq!(two_digits(value).to_string(), expected.to_string());
        }
        for (seconds, expected) in [(0, "1 s"), (99, "99 s"), (720, "12 min"), (7_201, "3 h")] {
            assert_eq!(in_words(Duration::from_secs(seconds)), expected);
        }
        assert_eq!([time(0.08), time(0.9996), time(12.0)], ["80 ms", "1.00 s", "12.00 s"]);
    }
}
