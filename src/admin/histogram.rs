//! `…/histogram`: a whole distribution, as buckets or in `HdrHistogram`'s own form.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer, V2Serializer};

use super::api::SCHEMA;
use super::api::stats::{Bucket, Buckets, EncodedHistogram};
use super::measured_query::{Encoding, OfHistogram};
use super::params::Params;
use super::path::OfEnvironment;
use super::problem::Problem;
use super::state::Admin;
use super::stats::seconds;
use crate::metrics::distribution::Distribution;

/// The distribution of a metric in a window.
pub(super) async fn show(
    State(admin): State<Admin>,
    OfEnvironment(service, environment): OfEnvironment,
    Params(query): Params<OfHistogram>,
) -> Result<Response, Problem> {
    let (measure, window, encoding) = (query.measure()?, query.window()?, query.encoding()?);
    let measured = admin.measured(&service, &environment, window)?;
    let nothing = Distribution::default();
    let values = measured.counts.distributions.of(measure).unwrap_or(&nothing);
    let (metric, window) = (measure.label().to_owned(), window.label().to_owned());
    let (unit, covers_s) = (measure.unit().label().to_owned(), seconds(measured.covers));
    if encoding == Encoding::Buckets {
        let (count, sum, buckets) = (values.count(), values.sum(), buckets(values.cells()));
        let schema = SCHEMA;
        let answer = Buckets { schema, metric, window, covers_s, unit, count, sum, buckets };
        return Ok(Json(answer).into_response());
    }
    Ok(Json(EncodedHistogram {
        schema: SCHEMA,
        metric,
        window,
        covers_s,
        unit,
        encoding: encoding.label().to_owned(),
        base64: STANDARD.encode(encoded(values.cells(), encoding)),
    })
    .into_response())
}

fn buckets(cells: &Histogram<u64>) -> Vec<Bucket> {
    let bucket = |cell: hdrhistogram::iterators::IterationValue<u64>| {
        let to = cell.value_iterated_to();
        Bucket { from: cells.lowest_equivalent(to), to, count: cell.count_at_value() }
    };
    cells.iter_recorded().map(bucket).collect()
}

fn encoded(cells: &Histogram<u64>, encoding: Encoding) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = match encoding {
        Encoding::HdrV2Deflate => {
            V2DeflateSerializer::new().serialize(cells, &mut bytes).map_err(|e| e.to_string())
        }
        Encoding::HdrV2 | Encoding::Buckets => {
            V2Serializer::new().serialize(cells, &mut bytes).map_err(|e| e.to_string())
        }
    };
    written.expect("a buffer takes everything, and counts are below 2^63");
    bytes
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;

    use super::*;

    #[test]
    fn what_is_encoded_can_be_read_back() {
        let mut values = Distribution::<u64>::default();
        [0, 1, 199, 15_000, 15_001, 3_000_000_000].into_iter().for_each(|us| values.record(us));
        for encoding in [Encoding::HdrV2, Encoding::HdrV2Deflate] {
            let bytes = encoded(values.cells(), encoding);
            let read: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            assert_eq!(&read, values.cells(), "{encoding:?}");
        }
        let buckets = buckets(values.cells());
        assert_eq!(buckets.len(), 5);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 6);
        assert_eq!(buckets[3].count, 2, "told apart to 1 %");
        assert!(buckets.iter().all(|bucket| bucket.from <= bucket.to));
    }
}
