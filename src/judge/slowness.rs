//! Evidence that the candidate is slower, by counts above the active environment's own quantiles.
//!
//! Three quantiles are averaged: the median sees everything get slower, the last hundredth sees what
//! only some requests meet. That a request is slow is known while it still runs.

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::e_process::Tally;
use super::likelihood::{ODDS, TwoSample};
use super::record::{Both, Quantile, SlowCounts, SlowReading};
use super::start_weights::StartWeights;
use super::strata::{Reader, Strata, Stratum};

/// One measure at three quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slowness {
    readers: Vec<Reader<SlowCounts>>,
    /// What was won.
    pub evidence: Average,
}

impl Slowness {
    /// Before anything was seen.
    pub fn new(planned_steps: u32) -> Self {
        let starts = StartWeights::of_rollout(planned_steps);
        let quantiles = Quantile::ALL.len();
        Self {
            readers: vec![Reader::default(); quantiles],
            evidence: Average::new(quantiles, ODDS.len(), &starts),
        }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, planned: bool) {
        self.evidence.change(planned);
    }

    /// Takes in a reading of this measure.
    pub fn read(&mut self, strata: &Strata, reading: &SlowReading) {
        let Self { readers, evidence } = self;
        let span = (reading.from, reading.until);
        let quantile = reading.quantile;
        readers[quantile as usize].read(strata, span, reading.counts, |stratum, counts| {
            compare(evidence, quantile, stratum, counts);
        });
    }

    /// The first stratum that is still needed.
    pub fn next(&self) -> u64 {
        self.readers.iter().map(Reader::next).min().unwrap_or(0)
    }
}

fn compare(average: &mut Average, quantile: Quantile, stratum: &Stratum, counts: Both<SlowCounts>) {
    let counted = counts.map(|c| Tally { n: c.n, hits: c.slow, clear_hits: c.slow_by_tenth });
    if counted.active.n == 0 || counted.candidate.n == 0 {
        return;
    }
    let side = |tally: Tally| (f64::from(tally.n), f64::from(tally.hits));
    let bet = TwoSample {
        active: side(counted.active),
        candidate: side(counted.candidate),
        expected: quantile.share_above(),
    };
    let part = average.part(quantile as usize);
    part.observe(stratum.from, counted, |bettor| bet.log_factor(ODDS[bettor]));
}

#[cfg(test)]
mod tests {
    use super::super::record::{Arrivals, Measure};
    use super::super::tick::Tick;
    use super::*;

    fn after(candidate_slow: u32) -> f64 {
        let (mut strata, mut slowness) = (Strata::default(), Slowness::new(5));
        slowness.change(true);
        for second in 0..60 {
            let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
            strata.arrive(&Arrivals { from, until, n: Both { active: 10, candidate: 10 } });
            let counts = |slow| SlowCounts { n: 10, slow, slow_by_tenth: slow };
            let counts = Both { active: counts(5), candidate: counts(candidate_slow) };
            let (measure, quantile) = (Measure::Ttft, Quantile::P50);
            let reading = SlowReading { measure, quantile, from, until, counts, hits: vec![] };
            slowness.read(&strata, &reading);
        }
        slowness.evidence.value()
    }

    #[test]
    fn slower_wins_and_alike_or_faster_does_not() {
        assert!(after(8) > 1e6);
        assert!(after(5) < 1.5);
        assert!(after(2) < 1.0);
    }
}
