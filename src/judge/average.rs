//! Several e-processes that share a metric's coin equally: the ages of errors, the quantiles of latency.
//!
//! An average of e-processes is one, however they depend on each other.

use serde::{Deserialize, Serialize};

use super::e_process::{EProcess, Onset};
use super::start_weights::StartWeights;
use super::tick::Tick;

/// Equal shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Average(Vec<EProcess>);

impl Average {
    /// So many parts with so many bettors each.
    pub fn new(parts: usize, bettors: usize, starts: &StartWeights) -> Self {
        Self(vec![EProcess::new(bettors, starts.clone()); parts])
    }

    /// One of them.
    pub fn part(&mut self, index: usize) -> &mut EProcess {
        &mut self.0[index]
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        self.0.iter_mut().for_each(|part| part.change(at, planned));
    }

    /// What the coin has become.
    pub fn value(&self) -> f64 {
        let parts = u32::try_from(self.0.len()).map_or(1.0, f64::from);
        self.0.iter().map(EProcess::value).sum::<f64>() / parts
    }

    /// The part that has won most, by its number.
    pub fn strongest(&self) -> usize {
        let parts = self.0.iter().enumerate();
        parts.max_by(|a, b| a.1.value().total_cmp(&b.1.value())).map_or(0, |(index, _)| index)
    }

    /// When the trouble most probably began, by the part that has won most.
    pub fn onset(&self) -> Onset {
        self.0.get(self.strongest()).map_or_else(Onset::default, EProcess::onset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Both;
    use super::*;

    #[test]
    fn is_the_mean_and_points_at_its_strongest_part() {
        let mut average = Average::new(2, 1, &StartWeights::of_step());
        average.part(1).observe(Tick(3), Both::default(), |_| 3.0);
        let parts = [average.part(0).value(), average.part(1).value()];
        assert!((average.value() - f64::midpoint(parts[0], parts[1])).abs() < 1e-12);
        assert_eq!((average.strongest(), average.onset().since), (1, Tick(3)));
    }
}
