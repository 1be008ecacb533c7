//! A distribution as an exponential histogram.
//!
//! The bounds of its buckets are powers of the fourth root of two, so a value read back is within 9 %,
//! from a microsecond to an hour in 127 buckets, and no bounds have to be chosen. Only the buckets
//! between the smallest and the largest value are sent.
//! <https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram>

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use crate::metrics::distribution::Distribution;

/// Buckets per doubling are two to the power of this.
const SCALE: i32 = 2;
/// The same as a factor.
const BUCKETS_PER_DOUBLING: f64 = 4.0;

/// The values, `unit` of which are one of what is sent. Times and attributes are left to the caller.
pub(super) fn point(values: &Distribution<u64>, unit: f64) -> ExponentialHistogramDataPoint {
    let (mut zeros, mut counts) = (0, BTreeMap::<i32, u64>::new());
    let cells = values.cells();
    for cell in cells.iter_recorded() {
        match cells.lowest_equivalent(cell.value_iterated_to()) {
            0 => zeros += cell.count_at_value(),
            value => {
                *counts.entry(index(number(value) / unit)).or_default() += cell.count_at_value();
            }
        }
    }
    ExponentialHistogramDataPoint {
        count: values.count(),
        sum: Some(number(values.sum()) / unit),
        scale: SCALE,
        zero_count: zeros,
        positive: buckets(&counts),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// Every bucket from the first to the last that holds something.
fn buckets(counts: &BTreeMap<i32, u64>) -> Option<Buckets> {
    let (first, last) = (*counts.keys().next()?, *counts.keys().next_back()?);
    let count = |index| counts.get(&index).copied().unwrap_or(0);
    Some(Buckets { offset: first, bucket_counts: (first..=last).map(count).collect() })
}

/// The bucket of a value above zero: its bound below is exclusive, the one above inclusive.
#[expect(clippy::cast_possible_truncation, reason = "logarithms of what a u64 holds are below 64")]
fn index(value: f64) -> i32 {
    (value.log2() * BUCKETS_PER_DOUBLING).ceil() as i32 - 1
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53, and within 10^-15 above")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for us in [1_u64, 2, 3, 999, 1_000, 65_536, 1_000_000, 3_600_000_000] {
            let mut values = Distribution::default();
            values.record(us);
            let point = point(&values, 1e6);
            let buckets = point.positive.unwrap();
            assert_eq!(buckets.bucket_counts, [1], "{us}");
            let bound = |index: i32| 2_f64.powf(f64::from(index) / BUCKETS_PER_DOUBLING);
            // The distribution itself rounds down by 1 % at most.
            let seconds = number(us) / 1e6;
            let (low, high) = (bound(buckets.offset), bound(buckets.offset + 1));
            assert!(low / 1.000_001 <= seconds && seconds <= high * 1.01, "{low} {seconds} {high}");
            assert_eq!(point.sum, Some(seconds));
        }
    }

    #[test]
    fn a_value_at_the_upper_bound_of_its_bucket_lies_in_it() {
        for power in [0, 10, 20, 30] {
            let mut values = Distribution::default();
            values.record(1 << power);
            let offset = point(&values, 1.0).positive.unwrap().offset;
            assert_eq!(offset, 4 * power - 1, "2^{power}");
        }
    }

    #[test]
    fn counts_stand_between_the_first_and_the_last_bucket() {
        let mut values = Distribution::default();
        for value in [0, 1, 2, 2, 16] {
            values.record(value);
        }
        let point = point(&values, 1.0);
        let buckets = point.positive.unwrap();
        assert_eq!((point.count, point.zero_count, point.sum), (5, 1, Some(21.0)));
        assert_eq!(buckets.offset, -1); // 1 is the upper bound of its bucket
        assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 4);
        assert_eq!(buckets.bucket_counts.len(), 17);
        assert_eq!((buckets.bucket_counts[0], buckets.bucket_counts[4]), (1, 2));
    }

    #[test]
    fn the_whole_range_fits_into_the_buckets_that_receivers_allow() {
        let mut values = Distribution::default();
        values.record(1);
        values.record(crate::metrics::distribution::VALUE_MAX);
        let buckets = point(&values, 1e6).positive.unwrap();
        assert!(buckets.bucket_counts.len() <= 160, "{}", buckets.bucket_counts.len());
    }
}
