//! Both sides of a comparison, number beside number: each with its interval and of how many it is, their
//! difference, and what the metric adds to the evidence. The parts sum to the number that is shown.

use std::time::Duration;

use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::super::state::Admin;
use super::figures::quantile_ms;
use crate::control_plane::windows::Span;
use crate::judge::explanation::{Explanation, Part};
use crate::judge::interval::{Estimate, Z};
use crate::judge::metric::Metric;
use crate::judge::record::Both;
use crate::metrics::counts::Counts;
use crate::metrics::measure::Measure;
use crate::metrics::scores::ScoreWindow;
use crate::model::name::Name;
use crate::model::score;
use crate::model::standing::Standing;

/// What every number is of.
const WINDOW: Duration = Duration::from_secs(300);
/// Scores of a side without which a mean has no interval.
const SCORES_MIN: u64 = 20;
const MEASURES: [Measure; 4] = [Measure::Ttft, Measure::Gap, Measure::Total, Measure::Tpot];

/// One metric.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    label: &'static str,
    unit: Unit,
    active: Number,
    candidate: Number,
    /// The candidate's less the active one's.
    difference: [Option<f64>; 3],
    /// Its part of the evidence; `None` for what is not judged.
    adds: Option<f64>,
    /// What that says, in words.
    reads: &'static str,
}

/// What the numbers of a row are.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Percent,
    Ms,
    PerS,
    Score,
}

/// A number of one side.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Number {
    /// Of what share this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<u64>,
    n: u64,
    value: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

/// What was counted of one side.
struct Side {
    counts: Counts<u64>,
    /// Scores: how many, mean, variance.
    scores: (u64, Option<f64>, Option<f64>),
}

/// All rows of two environments; `judged` are the judge's numbers, where one is at work.
pub(super) fn rows(
    admin: &Admin,
    service: &Name,
    names: Both<&Name>,
    judged: Option<&Value>,
) -> Vec<Row> {
    let sides = names.map(|name| Side::of(admin, service, name));
    let explanation = judged.and_then(|details| details.get("explanation"));
    let explanation = explanation.and_then(|said| Explanation::deserialize(said).ok());
    let parts = explanation.map(|said| said.parts).unwrap_or_default();
    let row = |label, unit, metric: Option<Metric>, of: &dyn Fn(&Side) -> Number| {
        let numbers = Both { active: of(&sides.active), candidate: of(&sides.candidate) };
        Row::new(label, unit, numbers, metric.and_then(|metric| part(&parts, metric)))
    };
    let p99 = |measure| move |side: &Side| side.quantile(measure, 0.01);
    vec![
        row("errors", Unit::Percent, Some(Metric::Errors), &|side| side.share(Standing::Bad)),
        row("refused", Unit::Percent, Some(Metric::Refused), &|side| side.share(Standing::Refused)),
        row("TTFT p99", Unit::Ms, Some(Metric::Ttft), &p99(Measure::Ttft)),
        row("gap p99", Unit::Ms, None, &p99(Measure::Gap)),
        row("latency p99", Unit::Ms, Some(Metric::Latency), &p99(Measure::Total)),
        row("tokens/s", Unit::PerS, None, &Side::tokens_per_s),
        row("quality", Unit::Score, Some(Metric::Quality), &Side::quality),
        row("error limit", Unit::Percent, Some(Metric::ErrorLimit), &|_| Number::default()),
        row("p99 limit", Unit::Ms, Some(Metric::LatencyLimit), &|_| Number::default()),
    ]
}

fn part(parts: &[Part], metric: Metric) -> Option<f64> {
    parts.iter().find(|part| part.metric == metric).map(|part| part.adds)
}

impl Row {
    fn new(label: &'static str, unit: Unit, numbers: Both<Number>, adds: Option<f64>) -> Self {
        let Both { active, candidate } = numbers;
        let Estimate { value, low, high } = candidate.estimate() - active.estimate();
        let difference = [value, low, high].map(|end| end.map(rounded));
        let reads = match adds {
            None => "not judged",
            Some(adds) if adds < 1.0 => "within",
            Some(adds) if adds < 5.0 => "no more than chance",
            Some(adds) if adds < 20.0 => "worth watching",
            Some(_) => "speaks against it",
        };
        let adds = adds.map(rounded);
        Self { label, unit, active, candidate, difference, adds, reads }
    }
}

impl Number {
    fn new(n: u64, estimate: Estimate) -> Self {
        let Estimate { value, low, high } = estimate.map(rounded);
        Self { hits: None, n, value, low, high }
    }

    fn estimate(self) -> Estimate {
        Estimate { value: self.value, low: self.low, high: self.high }
    }
}

impl Side {
    fn of(admin: &Admin, service: &Name, environment: &Name) -> Self {
        let Ok(id) = admin.environment_id(service, environment) else {
            return Self { counts: Counts::default(), scores: (0, None, None) };
        };
        let measured = admin.controller.measured_over(id, Span::Past(WINDOW), &MEASURES);
        let scores = admin.controller.scores(id);
        let quality = scores.iter().find(|scores| scores.name == score::quality());
        let sum = quality.map(|scores| scores.of(ScoreWindow::Minutes5));
        let scores = sum.map_or((0, None, None), |sum| (sum.count(), sum.mean(), sum.variance()));
        Self { counts: measured.map(|measured| measured.counts).unwrap_or_default(), scores }
    }

    fn share(&self, standing: Standing) -> Number {
        let tallies = &self.counts.tallies;
        let (hits, n) = (tallies.standing(standing), tallies.judged());
        let share = Estimate::share(float(hits), float(n)).map(|share| share * 100.0);
        Number { hits: Some(hits), ..Number::new(n, share) }
    }

    fn quantile(&self, measure: Measure, above: f64) -> Number {
        let values = self.counts.distributions.of(measure);
        values.map_or_else(Number::default, |values| {
            Number::new(values.count(), quantile_ms(values, above))
        })
    }

    /// Of the median stream: the reciprocal of its time per token.
    fn tokens_per_s(&self) -> Number {
        let Number { n, value, low, high, .. } = self.quantile(Measure::Tpot, 0.5);
        let rate = |ms: Option<f64>| ms.filter(|ms| *ms > 0.0).map(|ms| 1e3 / ms);
        Number::new(n, Estimate { value: rate(value), low: rate(high), high: rate(low) })
    }

    fn quality(&self) -> Number {
        let (n, mean, variance) = self.scores;
        let spread = variance.filter(|_| n >= SCORES_MIN).map(|v| Z * (v / float(n)).sqrt());
        let end = |sign: f64| mean.zip(spread).map(|(mean, spread)| mean + sign * spread);
        Number::new(n, Estimate { value: mean, low: end(-1.0), high: end(1.0) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs four digits")]
fn float(value: u64) -> f64 {
    value as f64
}

/// Without the digits that no measurement has. A zero has no sign.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Number {
        let estimate =
            Estimate { value: Some(value), low: Some(value - 1.0), high: Some(value + 1.0) };
        Number::new(100, estimate)
    }

    #[test]
    fn a_row_says_what_its_part_of_the_evidence_means() {
        for (adds, reads) in [
            (None, "not judged"),
            (Some(0.5), "within"),
            (Some(4.9), "no more than chance"),
            (Some(5.0), "worth watching"),
            (Some(20.0), "speaks against it"),
        ] {
            let numbers = Both { active: number(10.0), candidate: number(12.0) };
            let row = Row::new("TTFT p99", Unit::Ms, numbers, adds);
            assert_eq!((row.reads, row.difference[0]), (reads, Some(2.0)));
        }
    }

    #[test]
    fn nothing_measured_is_no_number() {
        let nothing = Both { active: Number::default(), candidate: number(1.0) };
        assert_eq!(Row::new("quality", Unit::Score, nothing, None).difference, [None; 3]);
        let side = Side { counts: Counts::default(), scores: (3, Some(0.9), Some(0.01)) };
        assert_eq!((side.share(Standing::Bad).value, side.quality().high), (None, None));
        assert_eq!(side.tokens_per_s().value, None);
    }
}
