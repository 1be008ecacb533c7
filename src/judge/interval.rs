//! 95 % intervals of what was counted: of a share, of a quantile, of a difference.
//!
//! None assumes a distribution of the values: shares have Wilson's interval, quantiles that of their order
//! statistics. An end that the data do not give is `None`, never a guess.

use std::ops::Sub;

/// The two-sided 95 % quantile of the normal distribution.
pub const Z: f64 = 1.96;
/// Up to here the ranks of a quantile's interval are exact. Beyond, the normal distribution gives the same
/// ranks within one where 500 values or more lie above the quantile, as for a p99.
const EXACT_MAX: f64 = 50_000.0;

/// A value and its interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// As measured.
    pub value: Option<f64>,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

impl Estimate {
    /// So many of so many, as a share (Wilson 1927).
    pub fn share(hits: f64, n: f64) -> Self {
        if n <= 0.0 {
            return Self::default();
        }
        let share = hits / n;
        let middle = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let [low, high] = [(middle - spread) / scale, (middle + spread) / scale];
        Self { value: Some(share), low: Some(low.max(0.0)), high: Some(high.min(1.0)) }
    }

    /// The quantile above which the share `above` of `n` values lies; `at_rank` finds the value of a rank,
    /// counted from 1.
    pub fn quantile(n: f64, above: f64, at_rank: impl Fn(f64) -> Option<f64>) -> Self {
        let at_rank = |rank: f64| if rank >= 1.0 { at_rank(rank) } else { None };
        let (few, many) = ranks_above(n, above);
        Self {
            value: at_rank((n * (1.0 - above)).ceil()),
            low: at_rank(n - many),
            high: few.and_then(|few| at_rank(n - few)),
        }
    }

    /// The same, each number changed alike; the change must rise.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let Self { value, low, high } = self;
        Self { value: value.map(&change), low: low.map(&change), high: high.map(&change) }
    }
}

/// The interval of a difference from those of its sides (Zou and Donner 2008, "square and add").
impl Sub for Estimate {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let value = self.value.zip(other.value).map(|(mine, its)| mine - its);
        let spread = |mine: Option<f64>, its: Option<f64>| -> Option<f64> {
            Some((mine? - self.value?).hypot(its? - other.value?))
        };
        let low = value.zip(spread(self.low, other.high)).map(|(d, spread)| d - spread);
        let high = value.zip(spread(self.high, other.low)).map(|(d, spread)| d + spread);
        Self { value, low, high }
    }
}

/// Of `n` values, how many lie above the true quantile at least and at most, each but for 2.5 %.
/// (Binomial.) `None` while it may well be that none does.
fn ranks_above(n: f64, above: f64) -> (Option<f64>, f64) {
    if n > EXACT_MAX {
        let spread = Z * (n * above * (1.0 - above)).sqrt();
        return (Some((n * above - spread).floor()), (n * above + spread).ceil());
    }
    let (mut few, mut k) = (None, 0.0_f64);
    // As logarithms: of many values half of which lie above, the first chances are too small to be written.
    let mut ln_chance = n * (1.0 - above).ln();
    let mut at_most_k = ln_chance.exp();
    while at_most_k < 0.975 && k < n {
        if at_most_k <= 0.025 {
            few = Some(k);
        }
        k += 1.0;
        ln_chance += ((n - k + 1.0) / k * above / (1.0 - above)).ln();
        at_most_k += ln_chance.exp();
    }
    (few, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the values 1 to `n`.
    fn quantile(n: u32, above: f64) -> [Option<f64>; 3] {
        let Estimate { value, low, high } = Estimate::quantile(f64::from(n), above, Some);
        [low, value, high].map(|end| end.map(f64::round))
    }

    #[test]
    fn a_p99_has_the_interval_of_its_order_statistics() {
        // From tables of the binomial distribution with p = 0.99.
        assert_eq!(quantile(0, 0.01), [None; 3]);
        assert_eq!(quantile(1, 0.01), [Some(1.0), Some(1.0), None]);
        assert_eq!(quantile(367, 0.01)[2], None);
        assert_eq!(quantile(368, 0.01), [Some(360.0), Some(365.0), Some(368.0)]);
        assert_eq!(quantile(1_000, 0.01), [Some(983.0), Some(990.0), Some(997.0)]);
        let (few, many) = ranks_above(EXACT_MAX, 0.01);
        let (few_normal, many_normal) = ranks_above(EXACT_MAX + 1.0, 0.01);
        assert!((few.unwrap() - few_normal.unwrap()).abs() <= 1.0);
        assert!((many - many_normal).abs() <= 1.0);
    }

    #[test]
    fn an_upper_end_needs_so_many_values() {
        for (above, needed) in [(0.5, 6), (0.1, 36), (0.01, 368), (0.001, 3_688)] {
            assert_eq!(quantile(needed - 1, above)[2], None, "{above}");
            assert!(quantile(needed, above)[2].is_some(), "{above}");
        }
        let [low, _, high] = quantile(40_000, 0.5).map(Option::unwrap);
        assert!((low - 19_804.0).abs() <= 1.0 && (high - 20_196.0).abs() <= 1.0, "{low} {high}");
    }

    #[test]
    fn a_share_lies_within_its_interval_and_nothing_is_no_share() {
        let Estimate { value, low, high } = Estimate::share(31.0, 1_204.0);
        assert_eq!(value, Some(31.0 / 1_204.0));
        assert!((low.unwrap() - 0.0182).abs() < 1e-4 && (high.unwrap() - 0.0363).abs() < 1e-4);
        assert_eq!(Estimate::share(0.0, 10.0).low, Some(0.0));
        assert_eq!(Estimate::share(0.0, 0.0), Estimate::default());
    }

    #[test]
    fn a_difference_is_as_wide_as_its_sides_together() {
        let side = |value: f64| Estimate {
            value: Some(value),
            low: Some(value - 3.0),
            high: Some(value + 4.0),
        };
        let difference = side(12.0) - side(10.0);
        assert_eq!(difference, Estimate { value: Some(2.0), low: Some(-3.0), high: Some(7.0) });
        let open = Estimate { high: None, ..side(12.0) } - side(10.0);
        assert_eq!((open.low, open.high), (Some(-3.0), None));
    }
}
