//! The distributions that the dashboard draws: quantiles with their intervals, and shares of requests by
//! time, on one fixed logarithmic axis for each measure, so that two looks can be compared.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::super::state::Admin;
use crate::control_plane::command::ServiceView;
use crate::control_plane::windows::Window;
use crate::judge::interval::Estimate;
use crate::metrics::distribution::Distribution;
use crate::metrics::measure::Measure;
use crate::model::name::Name;

/// Steps of an outline.
const CELLS: usize = 60;
/// The quantiles, by the share that lies above.
const ABOVE: [f64; 4] = [0.5, 0.1, 0.01, 0.001];

/// What is drawn: the measure, what it is called, and the ends of its axis in milliseconds.
const FIGURES: [(Measure, &str, [f64; 2]); 3] = [
    (Measure::Ttft, "Time to first token", [10.0, 60_000.0]),
    (Measure::Gap, "Gap between tokens", [1.0, 60_000.0]),
    (Measure::Total, "Time of the whole answer", [10.0, 600_000.0]),
];

/// One measure of every environment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    metric: &'static str,
    title: &'static str,
    axis_ms: [f64; 2],
    sides: BTreeMap<Name, Side>,
}

/// One environment in it.
#[derive(Debug, Clone, Default, Serialize)]
struct Side {
    n: u64,
    /// p50, p90, p99, p99.9 in milliseconds: value, low, high.
    quantiles: Vec<[Option<f64>; 3]>,
    /// Share of requests in each step of the axis, in hundredths of a percent; what lies beyond an end is in
    /// the last step there.
    cells: Vec<u32>,
}

/// The figures of a service over the last five minutes.
pub(super) fn figures(admin: &Admin, service: &ServiceView) -> Vec<Figure> {
    let measured = |environment: &Name| {
        let measured = admin.measured(&service.name, environment, Window::Minutes5);
        measured.map(|measured| measured.counts.distributions).unwrap_or_default()
    };
    let names = service.environments.iter().map(|environment| environment.name.clone());
    let all: Vec<_> = names.map(|name| (measured(&name), name)).collect();
    let figure = |(measure, title, axis_ms)| {
        let side = |values: &Distribution<u64>| Side::of(values, axis_ms);
        let sides = all
            .iter()
            .map(|(values, name)| (name.clone(), values.of(measure).map(side).unwrap_or_default()));
        Figure { metric: measure.label(), title, axis_ms, sides: sides.collect() }
    };
    FIGURES.map(figure).into()
}

/// A quantile with its interval by order statistics, in milliseconds.
pub(super) fn quantile_ms(values: &Distribution<u64>, above: f64) -> Estimate {
    let (cells, n) = (values.cells(), count(values.count()));
    let at_rank = |rank: f64| Some(count(cells.value_at_quantile(rank / n)));
    Estimate::quantile(n, above, at_rank).map(|us| us / 1e3)
}

impl Side {
    fn of(values: &Distribution<u64>, axis_ms: [f64; 2]) -> Self {
        let quantile = |above| {
            let Estimate { value, low, high } = quantile_ms(values, above);
            [value, low, high]
        };
        let quantiles = ABOVE.map(quantile).into();
        Self { n: values.count(), quantiles, cells: cells(values.cells(), axis_ms) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the axis")]
fn cells(values: &Histogram<u64>, [from, to]: [f64; 2]) -> Vec<u32> {
    let mut counts = [0_u64; CELLS];
    for value in values.iter_recorded() {
        let ms = count(value.value_iterated_to()).max(1.0) / 1e3;
        let place = (ms / from).ln() / (to / from).ln() * count(CELLS as u64);
        counts[(place.max(0.0) as usize).min(CELLS - 1)] += value.count_at_value();
    }
    let all = count(values.len()).max(1.0);
    counts.map(|here| (count(here) / all * 1e4).round() as u32).into()
}

#[expect(clippy::cast_precision_loss, reason = "an hour of microseconds is exact in an f64")]
fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(ms: impl IntoIterator<Item = u64>) -> Distribution<u64> {
        let mut values = Distribution::default();
        ms.into_iter().for_each(|ms| values.record(ms * 1000));
        values
    }

    #[test]
    fn every_request_lies_in_a_step_of_the_axis() {
        let side = Side::of(&values([1, 10, 100, 1_000, 100_000]), [10.0, 60_000.0]);
        assert_eq!((side.cells.len(), side.cells.iter().sum::<u32>()), (CELLS, 10_000));
        assert_eq!((side.cells[0], side.cells[CELLS - 1]), (4_000, 2_000), "beyond the ends");
        assert!(Side::of(&Distribution::default(), [1.0, 2.0]).cells.iter().all(|cell| *cell == 0));
    }

    #[test]
    fn a_quantile_has_an_upper_end_once_there_are_values_for_it() {
        let side = Side::of(&values(1..=400), [10.0, 60_000.0]);
        let [value, low, high] = side.quantiles[2];
        let (value, low, high) = (value.unwrap(), low.unwrap(), high.unwrap());
        assert!(low < value && value < high && (395.0..=401.0).contains(&value), "{value}");
        assert_eq!(side.quantiles[3][2], None, "p99.9 needs 3688");
        assert_eq!(Side::of(&values([7]), [1.0, 9.0]).quantiles[0][2], None);
    }
}
