//! Evidence that the candidate is slower, by counts above the active environment's own quantiles.
//!
//! Four bets are averaged, one at each of three quantiles, and one on all of them together: the median is
//! known soonest, the last hundredth sees what only some requests meet, all together see everything get a
//! little slower. That a request is slow is known while it still runs.

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::e_process::Tally;
use super::joint_slowness::JointSlowness;
use super::likelihood::{ODDS, TwoSample};
use super::record::{Both, Quantile, SlowCounts, SlowReading};
use super::start_weights::StartWeights;
use super::strata::{Reader, Strata, Stratum};
use super::tick::Tick;

/// One measure at three quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slowness {
    readers: Vec<Reader<SlowCounts>>,
    joint: JointSlowness,
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
            joint: JointSlowness::default(),
            evidence: Average::new(quantiles + 1, ODDS.len(), &starts),
        }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        self.evidence.change(at, planned);
    }

    /// Takes in a reading of this measure.
    pub fn read(&mut self, strata: &Strata, reading: &SlowReading) {
        let Self { readers, joint, evidence } = self;
        let span = (reading.from, reading.until);
        let quantile = reading.quantile;
        readers[quantile as usize].read(strata, span, reading.counts, |stratum, counts| {
            compare(evidence, quantile, stratum, counts);
            if let Some(at_all) = joint.read(stratum.from, quantile, counts) {
                let part = evidence.part(Quantile::ALL.len());
                let counted = at_all.above_median().map(tally);
                part.observe(stratum.from, counted, |bettor| at_all.log_factor(ODDS[bettor]));
            }
        });
    }

    /// The first stratum that is still needed.
    pub fn next(&self) -> u64 {
        self.readers.iter().map(Reader::next).min().unwrap_or(0)
    }
}

fn compare(average: &mut Average, quantile: Quantile, stratum: &Stratum, counts: Both<SlowCounts>) {
    let counted = counts.map(tally);
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

fn tally(counts: SlowCounts) -> Tally {
    Tally { n: counts.n, hits: counts.slow, clear_hits: counts.slow_by_tenth }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Arrivals, Measure};
    use super::*;

    fn after(candidate_slow: u32) -> f64 {
        let (mut strata, mut slowness) = (Strata::default(), Slowness::new(5));
        slowness.change(Tick(0), true);
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
