//! `…/stats`: what was counted of an environment in a window, in the numbers that people ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;

use super::api::SCHEMA;
use super::api::scores::ScoreStats;
use super::api::stats::{Quantiles, Stats, TokenStats};
use super::measured_query::OfWindow;
use super::params::Params;
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::Admin;
use crate::control_plane::scores::ScoreSums;
use crate::control_plane::windows::Measured;
use crate::metrics::counts::Tallies;
use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;
use crate::metrics::scores::ScoreWindow;
use crate::model::answer::{FinishReason, Inspection};
use crate::model::environment::EnvironmentId;
use crate::model::standing::Standing;
use crate::model::verdict::Verdict;

/// The numbers of a window; 5 min when none is named.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Params(query): Params<OfWindow>,
) -> Result<Json<Stats>, Problem> {
    let in_flight = admin.environment(&service, &environment)?.in_flight;
    let window = query.window()?;
    let measured = admin.measured(&service, &environment, window)?;
    let scores = scores(&admin, admin.environment_id(&service, &environment)?);
    let tallies = &measured.counts.tallies;
    let times = |measure| times(&measured, measure);
    let sum = |measure| sum(&measured, measure).unwrap_or(0);
    Ok(Json(Stats {
        schema: SCHEMA,
        service,
        environment,
        window: window.label().to_owned(),
        covers_s: seconds(measured.covers),
        requests: tallies.judged(),
        requests_per_s: per_second(tallies.judged(), measured.covers),
        failed_percent: failed_percent(tallies),
        in_flight,
        verdicts: named(&Verdict::ALL.map(Verdict::label), &tallies.verdicts),
        standings: named(&Standing::ALL.map(Standing::label), &tallies.standings),
        total: times(Measure::Total),
        response_head: times(Measure::ResponseHead),
        ttft: times(Measure::Ttft),
        gap: times(Measure::Gap),
        tpot: times(Measure::Tpot),
        connect: times(Measure::Connect),
        tunnel: times(Measure::Tunnel),
        tokens: tokens(&measured),
        finish: named(&FinishReason::ALL.map(FinishReason::label), &tallies.finish),
        inspection: named(&Inspection::ALL.map(Inspection::label), &tallies.inspections),
        client_retries: tallies.client_retries,
        scores,
        request_bytes: sum(Measure::RequestSize),
        response_bytes: sum(Measure::ResponseSize),
    }))
}

/// Every name with all of its windows.
fn scores(
    admin: &Admin,
    environment: EnvironmentId,
) -> BTreeMap<String, BTreeMap<String, ScoreStats>> {
    let of_name = |scores: &ScoreSums| {
        let window = |window: ScoreWindow| {
            let sum = scores.of(window);
            let (mean, variance) = (sum.mean().map(rounded), sum.variance().map(rounded));
            (window.label().to_owned(), ScoreStats { count: sum.count(), mean, variance })
        };
        (scores.name.to_string(), ScoreWindow::ALL.into_iter().map(window).collect())
    };
    admin.controller.scores(environment).iter().map(of_name).collect()
}

fn tokens(measured: &Measured) -> TokenStats {
    let output = sum(measured, Measure::OutputTokens);
    TokenStats {
        input: sum(measured, Measure::InputTokens),
        cached: measured.counts.tallies.cached_tokens,
        output,
        output_per_s: output.and_then(|output| per_second(output, measured.covers)),
        outputs_estimated: measured.counts.tallies.estimated_outputs,
    }
}

/// Every name with its count, zeros too: what did not happen is worth knowing.
fn named<const N: usize>(names: &[&str; N], counts: &[u64; N]) -> BTreeMap<String, u64> {
    names.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn sum(measured: &Measured, measure: Measure) -> Option<u64> {
    measured.counts.distributions.of(measure).map(Distribution::sum)
}

fn times(measured: &Measured, measure: Measure) -> Option<Quantiles> {
    measured.counts.distributions.of(measure).map(quantiles)
}

fn quantiles(values: &Distribution<u64>) -> Quantiles {
    let cells = values.cells();
    let at = |quantile| milliseconds(cells.value_at_quantile(quantile));
    Quantiles {
        count: values.count(),
        p50_ms: at(0.5),
        p90_ms: at(0.9),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: milliseconds(cells.max()),
    }
}

/// Divided, because a product with 0.001 shows digits that were never measured.
#[expect(clippy::cast_precision_loss, reason = "an hour of microseconds is exact in an f64")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1e3
}

/// To the microsecond, so that no digits are shown that were never measured.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn per_second(count: u64, covers: Duration) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs four digits")]
    let rate = count as f64 / covers.as_secs_f64();
    rate.is_finite().then(|| rounded(rate))
}

fn failed_percent(tallies: &Tallies) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share needs four digits")]
    let share = tallies.standing(Standing::Bad) as f64 / tallies.judged() as f64;
    share.is_finite().then(|| rounded(share * 100.0))
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_on_no_data_is_null() {
        let nothing = Measured::default();
        assert_eq!(failed_percent(&nothing.counts.tallies), None);
        assert_eq!(per_second(0, Duration::ZERO), None);
        assert_eq!(times(&nothing, Measure::Ttft), None);
        assert_eq!(tokens(&nothing).output, None);
    }

    #[test]
    fn shares_and_quantiles_are_those_of_the_counts() {
        let mut tallies = Tallies::default();
        tallies.verdicts[Verdict::Complete as usize] = 393;
        tallies.verdicts[Verdict::Truncated as usize] = 7;
        tallies.standings[Standing::Bad as usize] = 7;
        assert_eq!(failed_percent(&tallies), Some(1.75));
        let mut values = Distribution::default();
        (1..=1000).for_each(|ms| values.record(ms * 1000));
        let read = quantiles(&values);
        for (found, expected) in
            [(read.p50_ms, 500.0), (read.p90_ms, 900.0), (read.p99_ms, 990.0), (read.max_ms, 1e3)]
        {
            assert!((expected..=expected * 1.01).contains(&found), "{found} {expected}");
        }
        assert_eq!(per_second(1204, Duration::from_secs(300)), Some(4.0133));
    }
}
