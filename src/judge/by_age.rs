//! Evidence on failures, refusals and watched ends, by comparison.
//!
//! Each is read at three ages and the three are averaged. A failure after the first content counts at the
//! last age only: a faster candidate reaches the ends of its streams, and its honest share of broken
//! ones, sooner.

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::e_process::Tally;
use super::likelihood::{ODDS, Relative};
use super::record::{Both, ErrorAge, ErrorCounts, ErrorReading};
use super::start_weights::StartWeights;
use super::strata::{Reader, Strata, Stratum};
use super::tick::Tick;

/// Ages at which sides are compared.
const AGES: [ErrorAge; 3] = [ErrorAge::Second, ErrorAge::FifteenSeconds, ErrorAge::Final];

/// The number of an age among those at which sides are compared.
pub fn age_index(age: ErrorAge) -> Option<usize> {
    AGES.iter().position(|compared| *compared == age)
}

/// The three comparisons, at three ages each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByAge {
    readers: Vec<Reader<ErrorCounts>>,
    /// Failures.
    pub errors: Average,
    /// 4xx.
    pub refused: Average,
    /// Ends that may hold a rollout and never roll back.
    pub watched: Average,
    tolerance: f64,
}

impl ByAge {
    /// Before anything was seen.
    pub fn new(planned_steps: u32, tolerance: f64) -> Self {
        let starts = StartWeights::of_rollout(planned_steps);
        let average = Average::new(AGES.len(), ODDS.len(), &starts);
        Self {
            readers: vec![Reader::default(); AGES.len()],
            errors: average.clone(),
            refused: average.clone(),
            watched: average,
            tolerance,
        }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        for average in [&mut self.errors, &mut self.refused, &mut self.watched] {
            average.change(at, planned);
        }
    }

    /// Takes in a reading, if it is of an age that is compared.
    pub fn read(&mut self, strata: &Strata, reading: &ErrorReading) {
        let Some(index) = age_index(reading.age) else { return };
        let Self { readers, errors, refused, watched, tolerance } = self;
        let is_final = reading.age == ErrorAge::Final;
        let span = (reading.from, reading.until);
        readers[index].read(strata, span, reading.counts, |stratum, counts| {
            let failed = |c: ErrorCounts| c.early + if is_final { c.late } else { 0 };
            compare(errors, index, stratum, counts, *tolerance, failed);
            compare(refused, index, stratum, counts, 1.0, |c| c.refused);
            compare(watched, index, stratum, counts, 1.0, |c| c.watched);
        });
    }

    /// The first stratum that is still needed.
    pub fn next(&self) -> u64 {
        self.readers.iter().map(Reader::next).min().unwrap_or(0)
    }
}

fn compare(
    average: &mut Average,
    part: usize,
    stratum: &Stratum,
    counts: Both<ErrorCounts>,
    tolerance: f64,
    hits: impl Fn(ErrorCounts) -> u32,
) {
    let counted = counts.map(|c| Tally { n: c.n, hits: hits(c), clear_hits: 0 });
    let Both { active, candidate } = counted;
    if active.n == 0 || candidate.n == 0 {
        return;
    }
    let hits = active.hits + candidate.hits;
    let bet = Relative {
        candidate_hits: f64::from(candidate.hits),
        hits: f64::from(hits),
        share: f64::from(candidate.n) / f64::from(active.n + candidate.n),
        tolerance,
    };
    let factor = |bettor: usize| if hits > 0 { bet.log_factor(ODDS[bettor]) } else { 0.0 };
    average.part(part).observe(stratum.from, counted, factor);
}

#[cfg(test)]
mod tests {
    use super::super::record::Arrivals;
    use super::*;

    fn reading(age: ErrorAge, second: u32, counts: Both<ErrorCounts>) -> ErrorReading {
        let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
        ErrorReading { age, from, until, counts, hits: vec![] }
    }

    /// Values of errors, refused, watched after 60 s in which the candidate alone had `counts`.
    fn after(age: ErrorAge, counts: ErrorCounts) -> [f64; 3] {
        let (mut strata, mut by_age) = (Strata::default(), ByAge::new(5, 1.0));
        by_age.change(Tick(0), true);
        for second in 0..60 {
            let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
            strata.arrive(&Arrivals { from, until, n: Both { active: 50, candidate: 5 } });
            let active = ErrorCounts { n: 50, ..ErrorCounts::default() };
            by_age.read(&strata, &reading(age, second, Both { active, candidate: counts }));
        }
        [&by_age.errors, &by_age.refused, &by_age.watched].map(Average::value)
    }

    #[test]
    fn late_failures_count_at_the_last_age_only() {
        let counts = ErrorCounts { n: 5, late: 1, ..ErrorCounts::default() };
        assert!(after(ErrorAge::FifteenSeconds, counts)[0] <= 1.0 + 1e-9);
        assert!(after(ErrorAge::Final, counts)[0] > 1e6);
        assert!((after(ErrorAge::Quarter, counts)[0] - 1.0).abs() < 1e-12, "not compared");
    }

    #[test]
    fn each_kind_speaks_for_itself() {
        let n = ErrorCounts { n: 5, ..ErrorCounts::default() };
        for (counts, kind) in [
            (ErrorCounts { early: 1, ..n }, 0),
            (ErrorCounts { refused: 1, ..n }, 1),
            (ErrorCounts { watched: 1, ..n }, 2),
        ] {
            for (index, value) in after(ErrorAge::Second, counts).into_iter().enumerate() {
                assert_eq!(value > 1e6, index == kind, "{counts:?}: {index} is {value}");
            }
        }
    }
}
