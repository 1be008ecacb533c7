//! What is counted since the start, as metrics of OTLP. `docs/reference/otlp.md` lists them, and a test
//! holds it against this list.
//!
//! Names are those of `/metrics` with dots. Where the conventions for generative AI have a name, it is
//! that one. Labels are names that the operator chose and words of Cyan's own, never a client's.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric,
    NumberDataPoint, Sum,
};

use super::attributes::Attributes;
use super::exponential;
use super::spans::nanos;
use crate::control_plane::command::ServiceView;
use crate::control_plane::totals::{EnvironmentTotals, Totals};
use crate::metrics::measure::{Measure, Unit};
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// A distribution: its name, its measure, and the type of token where it counts tokens.
type Timed = (&'static str, Measure, Option<&'static str>);

/// Every distribution. Those of one name stand together.
#[rustfmt::skip] // one a line
const DISTRIBUTIONS: [Timed; 11] = [
    ("gen_ai.server.request.duration", Measure::Total, None),
    ("gen_ai.server.time_to_first_token", Measure::Ttft, None),
    ("gen_ai.server.time_per_output_token", Measure::Tpot, None),
    ("gen_ai.client.operation.time_per_output_chunk", Measure::Gap, None),
    ("gen_ai.client.token.usage", Measure::InputTokens, Some("input")),
    ("gen_ai.client.token.usage", Measure::OutputTokens, Some("output")),
    ("cyan.response_head", Measure::ResponseHead, None),
    ("cyan.connect", Measure::Connect, None),
    ("cyan.tunnel.duration", Measure::Tunnel, None),
    ("cyan.request.size", Measure::RequestSize, None),
    ("cyan.response.size", Measure::ResponseSize, None),
];

/// What is pushed at one moment.
pub(super) struct Seen {
    pub(super) totals: Arc<Totals>,
    pub(super) services: Vec<ServiceView>,
    /// Spans that were lost.
    pub(super) spans_lost: u64,
    /// Since when the process is counted, and now. Each environment has a start of its own.
    pub(super) times: (SystemTime, SystemTime),
}

impl Seen {
    /// Every metric.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let totals = &self.totals;
        let mut metrics = self.distributions();
        metrics.extend([
            sum("cyan.requests", "{request}", self.verdicts()),
            sum("cyan.refused", "{request}", self.by_reason(&totals.refused)),
            sum("cyan.requests.received", "{request}", self.number(totals.requests)),
            sum("cyan.log_lines.lost", "{line}", self.number(totals.log_lines_lost)),
            sum("cyan.otlp.spans.lost", "{span}", self.number(self.spans_lost)),
            gauge("cyan.in_flight", "{request}", self.views(|(_, in_flight)| in_flight)),
            gauge("cyan.environment.weight", "1", self.views(|(weight, _)| weight)),
            gauge("cyan.client.connections", "{connection}", self.number(totals.connections())),
        ]);
        metrics
    }

    /// Distributions of one name are points of one metric.
    fn distributions(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for (name, measure, token) in DISTRIBUTIONS {
            let points = self.distribution(measure, token);
            match metrics.last_mut() {
                Some(Metric {
                    name: last, data: Some(Data::ExponentialHistogram(more)), ..
                }) if last == name => {
                    more.data_points.extend(points);
                }
                _ => metrics.push(metric(
                    name,
                    unit(measure.unit()).0,
                    Data::ExponentialHistogram(ExponentialHistogram {
                        data_points: points,
                        aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    }),
                )),
            }
        }
        metrics
    }

    fn distribution(
        &self,
        measure: Measure,
        token: Option<&str>,
    ) -> Vec<ExponentialHistogramDataPoint> {
        let now = nanos(self.times.1);
        let point = |of: &EnvironmentTotals| {
            let values = of.counts.distributions.of(measure)?;
            Some(ExponentialHistogramDataPoint {
                attributes: place(&of.service, &of.environment)
                    .text_if("gen_ai.token.type", token)
                    .finish(),
                start_time_unix_nano: nanos(of.since),
                time_unix_nano: now,
                ..exponential::point(values, unit(measure.unit()).1)
            })
        };
        self.totals.environments.values().filter_map(|totals| point(totals)).collect()
    }

    fn verdicts(&self) -> Vec<NumberDataPoint> {
        let mut points = Vec::new();
        for of in self.totals.environments.values() {
            for verdict in Verdict::ALL {
                let count = of.counts.tallies.verdicts[verdict as usize];
                let mut attributes = place(&of.service, &of.environment);
                attributes.text("cyan.verdict", verdict.label());
                let start_time_unix_nano = nanos(of.since);
                let point = self.point(attributes.finish(), whole(count));
                points.push(NumberDataPoint { start_time_unix_nano, ..point });
            }
        }
        points
    }

    fn by_reason<'a>(
        &self,
        counts: impl IntoIterator<Item = (&'a &'static str, &'a u64)>,
    ) -> Vec<NumberDataPoint> {
        let point = |(reason, count): (&&str, &u64)| {
            let mut attributes = Attributes::default();
            attributes.text("cyan.reason", *reason);
            self.point(attributes.finish(), whole(*count))
        };
        counts.into_iter().map(point).collect()
    }

    /// One number per environment, of its weight and its exchanges in flight.
    fn views(&self, value: fn((Value, Value)) -> Value) -> Vec<NumberDataPoint> {
        let mut points = Vec::new();
        for service in &self.services {
            for environment in &service.environments {
                let weight = Value::AsDouble(environment.weight.percent() / 100.0);
                let in_flight = whole(environment.in_flight.into());
                let attributes = place(&service.name, &environment.name).finish();
                points.push(self.point(attributes, value((weight, in_flight))));
            }
        }
        points
    }

    fn number(&self, number: u64) -> Vec<NumberDataPoint> {
        vec![self.point(Vec::new(), whole(number))]
    }

    fn point(&self, attributes: Vec<KeyValue>, value: Value) -> NumberDataPoint {
        let (since, now) = self.times;
        NumberDataPoint {
            attributes,
            start_time_unix_nano: nanos(since),
            time_unix_nano: nanos(now),
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }
}

/// A count that only rises.
fn sum(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let sum = Sum { data_points, aggregation_temporality, is_monotonic: true };
    metric(name, unit, Data::Sum(sum))
}

fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    let (name, unit) = (name.to_owned(), unit.to_owned());
    Metric { name, unit, data: Some(data), ..Metric::default() }
}

fn place(service: &Name, environment: &Name) -> Attributes {
    let mut attributes = Attributes::default();
    attributes
        .text("cyan.service", service.as_str())
        .text("cyan.environment", environment.as_str());
    attributes
}

fn whole(number: u64) -> Value {
    Value::AsInt(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The unit that is sent, and how many counted ones it is.
fn unit(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::Micros => ("s", 1e6),
        Unit::Bytes => ("By", 1.0),
        Unit::Tokens => ("{token}", 1.0),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn every_metric_is_documented_with_its_unit_and_no_other() {
        let now = (UNIX_EPOCH, UNIX_EPOCH);
        let totals = Arc::new(Totals::new(1));
        let seen = Seen { totals, services: Vec::new(), spans_lost: 0, times: now };
        let listed = seen.metrics();
        let listed: Vec<_> = listed.iter().map(|m| (m.name.as_str(), m.unit.as_str())).collect();
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/otlp.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, page) = page.split_once("\n## Metrics\n").unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let cells = |line: &'_ str| -> Vec<String> { line.split('`').map(str::to_owned).collect() };
        let documented: Vec<_> = rows.map(cells).collect();
        let documented: Vec<_> = documented.iter().map(|row| (&*row[1], &*row[3])).collect();
        assert_eq!(documented, listed);
    }
}
