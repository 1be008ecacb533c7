//! Scores as what their mean and variance need. Sums can be added to each other, so that any time is the
//! sum of its parts.

/// Scores: how many there are, their sum and the sum of their squares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ScoreSum {
    n: u64,
    sum: f64,
    squares: f64,
}

impl ScoreSum {
    /// What was written down.
    pub const fn of(n: u64, sum: f64, squares: f64) -> Self {
        Self { n, sum, squares }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.n
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The sum of their squares.
    pub fn squares(&self) -> f64 {
        self.squares
    }

    /// Their mean; `None` of none.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / count(self.n))
    }

    /// Their variance as a sample's; `None` of fewer than two.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean().filter(|_| self.n > 1)?;
        // Values lie in 0 to 1, so that little is lost in the difference; it must not go below zero.
        Some(((self.squares - self.sum * mean) / count(self.n - 1)).max(0.0))
    }

    /// Adds a score that so many have.
    pub fn add(&mut self, value: f64, times: u32) {
        self.n += u64::from(times);
        self.sum += value * f64::from(times);
        self.squares += value * value * f64::from(times);
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^52 scores it is exact")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_values() {
        let sum = |values: &[f64]| {
            let mut sum = ScoreSum::default();
            values.iter().for_each(|value| sum.add(*value, 1));
            sum
        };
        assert_eq!((sum(&[]).mean(), sum(&[]).variance()), (None, None));
        assert_eq!((sum(&[0.4]).mean(), sum(&[0.4]).variance()), (Some(0.4), None));
        let four = sum(&[1.0, 0.0, 1.0, 1.0]);
        assert_eq!((four.mean(), four.variance()), (Some(0.75), Some(0.25)));
        let mut cases = ScoreSum::default();
        cases.add(1.0, 3);
        cases.add(0.0, 1);
        assert_eq!(cases, four);
        let same = sum(&[0.1; 1_000]).variance().unwrap();
        assert!((0.0..1e-12).contains(&same), "{same}");
    }
}
