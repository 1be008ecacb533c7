//! Distributions with bounded memory: HDR histograms, all with the same cells.
//!
//! 2 significant digits: a value read back is at most 1 % above the one recorded. 1 to 3.6 × 10⁹
//! covers a microsecond to an hour, and bodies up to 3.6 GB; what is larger counts as that much. A
//! histogram is 3328 cells: 13 KB on a core, 26 KB in a sum. It exists from its first value on, so a
//! quantity that an environment never shows costs eight bytes, and a quiet second allocates nothing.

use hdrhistogram::{Counter, Histogram};

use super::measure::Measure;

/// The largest value that is told apart.
pub const VALUE_MAX: u64 = 3_600_000_000;
/// Significant digits of every histogram.
const DIGITS: u8 = 2;
/// Cells of a histogram with these bounds; a test holds it.
pub const CELLS: usize = 3328;

/// The values of one measure.
#[derive(Debug, Clone)]
pub struct Distribution<C: Counter> {
    cells: Histogram<C>,
    /// The exact sum of the values; the histogram's own is within 1 %.
    sum: u64,
}

/// A distribution per measure, where there are values.
#[derive(Debug, Clone)]
pub struct Distributions<C: Counter> {
    by_measure: [Option<Box<Distribution<C>>>; Measure::COUNT],
}

/// A distribution at rest: the cells that hold something, in their order. Eight bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sparse {
    cells: Box<[(u32, u32)]>,
    sum: u64,
}

impl<C: Counter> Default for Distribution<C> {
    fn default() -> Self {
        let cells = Histogram::new_with_bounds(1, VALUE_MAX, DIGITS)
            .expect("bounds and digits are within what the histogram takes");
        Self { cells, sum: 0 }
    }
}

impl<C: Counter> Distribution<C> {
    /// One more value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.cells.saturating_record(value);
        self.sum = self.sum.saturating_add(value);
    }

    /// The cells, for quantiles, buckets and encodings.
    pub fn cells(&self) -> &Histogram<C> {
        &self.cells
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.cells.len()
    }

    /// The sum of the values, exactly.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

impl<C: Counter> Default for Distributions<C> {
    fn default() -> Self {
        Self { by_measure: [const { None }; Measure::COUNT] }
    }
}

impl<C: Counter> Distributions<C> {
    /// One more value.
    #[inline]
    pub fn record(&mut self, measure: Measure, value: u64) {
        self.of_mut(measure).record(value);
    }

    /// The values of a measure; `None` when there are none.
    pub fn of(&self, measure: Measure) -> Option<&Distribution<C>> {
        self.by_measure[measure as usize].as_deref()
    }

    /// A copy of these measures alone.
    #[must_use]
    pub fn only(&self, measures: &[Measure]) -> Self {
        let mut only = Self::default();
        for measure in measures {
            only.by_measure[*measure as usize].clone_from(&self.by_measure[*measure as usize]);
        }
        only
    }

    #[inline]
    fn of_mut(&mut self, measure: Measure) -> &mut Distribution<C> {
        self.by_measure[measure as usize].get_or_insert_default()
    }
}

impl Distributions<u64> {
    /// Adds what a core counted.
    pub fn add(&mut self, counted: &Distributions<u32>) {
        for measure in Measure::ALL {
            if let Some(values) = counted.of(measure) {
                let cells = values.cells.iter_recorded();
                let cells =
                    cells.map(|cell| (cell.value_iterated_to(), u64::from(cell.count_at_value())));
                self.add_cells(measure, cells, values.sum);
            }
        }
    }

    /// Adds what was at rest.
    pub fn add_sparse(&mut self, measure: Measure, values: &Sparse) {
        if !values.is_empty() {
            let cells =
                values.cells.iter().map(|(value, count)| (u64::from(*value), u64::from(*count)));
            self.add_cells(measure, cells, values.sum);
        }
    }

    fn add_cells(&mut self, measure: Measure, cells: impl Iterator<Item = (u64, u64)>, sum: u64) {
        let of = self.of_mut(measure);
        cells.for_each(|(value, count)| of.cells.saturating_record_n(value, count));
        of.sum = of.sum.saturating_add(sum);
    }
}

impl Sparse {
    /// Adds what a core counted.
    pub fn add(&mut self, values: &Distribution<u32>) {
        let cells = values.cells.iter_recorded().map(|cell| {
            let value = u32::try_from(cell.value_iterated_to()).unwrap_or(u32::MAX);
            (value, cell.count_at_value())
        });
        self.cells = merged(&self.cells, cells);
        self.sum = self.sum.saturating_add(values.sum);
    }

    /// Cells that hold something.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// Two rows of cells as one, both in their order.
fn merged(held: &[(u32, u32)], added: impl Iterator<Item = (u32, u32)>) -> Box<[(u32, u32)]> {
    let mut row = Vec::with_capacity(held.len() + added.size_hint().0);
    let mut held = held.iter().copied().peekable();
    for (value, count) in added {
        while let Some(cell) = held.next_if(|(earlier, _)| *earlier < value) {
            row.push(cell);
        }
        let here = held.next_if(|(same, _)| *same == value).map_or(0, |(_, count)| count);
        row.push((value, here.saturating_add(count)));
    }
    row.extend(held);
    row.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_the_cells_that_its_memory_is_stated_for() {
        let distribution = Distribution::<u32>::default();
        assert_eq!(distribution.cells().distinct_values(), CELLS);
        assert_eq!(size_of::<Option<Box<Distribution<u32>>>>(), 8);
    }

    #[test]
    fn a_value_read_back_is_at_most_one_percent_above() {
        for value in [0, 1, 199, 257, 1_000, 15_001, 250_000, 3_599_999_999] {
            let mut distribution = Distribution::<u64>::default();
            distribution.record(value);
            let read = distribution.cells().value_at_quantile(0.5);
            assert!(read >= value && read - value <= value / 100, "{value} {read}");
        }
    }

    #[test]
    fn a_sum_is_the_same_by_way_of_sparse_cells_or_not() {
        let (mut one, mut two) = (Distributions::<u32>::default(), Distributions::default());
        for n in 0..2_000_u64 {
            let part = if n % 3 == 0 { &mut one } else { &mut two };
            part.record(Measure::Gap, n * n);
        }
        two.record(Measure::Gap, u64::MAX / 4);
        let (mut direct, mut rested) = (Distributions::default(), Distributions::default());
        let mut sparse = Sparse::default();
        for part in [&one, &two] {
            direct.add(part);
            sparse.add(part.of(Measure::Gap).unwrap());
        }
        rested.add_sparse(Measure::Gap, &sparse);
        let (direct, rested) = (direct.of(Measure::Gap).unwrap(), rested.of(Measure::Gap).unwrap());
        assert_eq!(direct.cells(), rested.cells());
        assert_eq!((direct.count(), direct.sum()), (2_001, rested.sum()));
        assert!(sparse.len() < CELLS);
        assert!(two.of(Measure::Ttft).is_none());
    }
}
