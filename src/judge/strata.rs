//! Cuts the stream of arrivals into strata, within which the two sides are compared.
//!
//! A stratum is a cohort of arrivals: whose requests they are was settled before anything became of
//! them. It closes by counts of arrivals alone, never by outcomes, and what it brings is read later, as
//! its requests reach each age. (Counting at completion accuses every healthy candidate that grows:
//! errors end at once, good answers stream for long.)

use std::collections::VecDeque;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::record::{Arrivals, Both};
use super::tick::Tick;

/// A stratum closes at the first full second with as many arrivals on both sides.
const ARRIVALS_MIN: u32 = 5;
/// ... or after this many ticks, if the candidate had any.
const TICKS_MAX: u32 = 60 * Tick::PER_SECOND;
/// Closed strata that wait to be read: an hour of one per second, twice the longest age.
const WAITING_MAX: usize = 3_600;

/// A closed stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// First tick of arrival.
    pub from: Tick,
    /// The tick after the last.
    pub until: Tick,
    /// Whether both sides had arrivals: else there is nothing to compare.
    pub compares: bool,
}

/// The stratum that is open, and the closed ones that some question has still to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Strata {
    waiting: VecDeque<Stratum>,
    /// The number of the first that waits.
    first: u64,
    open_from: Tick,
    open: Both<u32>,
}

impl Strata {
    /// Adds arrivals, and closes the open stratum if that is enough.
    pub fn arrive(&mut self, arrivals: &Arrivals) {
        let Both { active, candidate } = arrivals.n;
        self.open.active = self.open.active.saturating_add(active);
        self.open.candidate = self.open.candidate.saturating_add(candidate);
        if !arrivals.until.begins_second() {
            return;
        }
        let Both { active, candidate } = self.open;
        let is_old = arrivals.until.0.saturating_sub(self.open_from.0) >= TICKS_MAX;
        if active.min(candidate) >= ARRIVALS_MIN || (is_old && candidate >= 1) {
            self.close(arrivals.until);
        }
    }

    /// The weight changed: nothing before and after is in one stratum.
    pub fn change(&mut self, at: Tick) {
        self.close(at);
    }

    fn close(&mut self, until: Tick) {
        if until > self.open_from {
            let compares = self.open.active > 0 && self.open.candidate > 0;
            self.waiting.push_back(Stratum { from: self.open_from, until, compares });
        }
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.first += 1;
        }
        (self.open_from, self.open) = (until, Both::default());
    }

    /// Forgets the strata that everybody has read who reads from `next` on.
    pub fn forget_before(&mut self, next: u64) {
        while self.first < next && self.waiting.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn of(&self, number: u64) -> Option<&Stratum> {
        let index = number.checked_sub(self.first)?;
        self.waiting.get(usize::try_from(index).ok()?)
    }
}

/// One question's way through the strata: sums its readings until a stratum is complete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reader<C> {
    next: u64,
    sum: Both<C>,
}

impl<C: Copy + Default + AddAssign> Reader<C> {
    /// Adds the reading of `from..until`; calls `complete` for each stratum that is then read.
    pub fn read(
        &mut self,
        strata: &Strata,
        (from, until): (Tick, Tick),
        counts: Both<C>,
        mut complete: impl FnMut(&Stratum, Both<C>),
    ) {
        self.next = self.next.max(strata.first);
        while let Some(stratum) = strata.of(self.next).filter(|stratum| stratum.until <= from) {
            self.finish(stratum, &mut complete);
        }
        self.sum += counts;
        if let Some(stratum) = strata.of(self.next).filter(|stratum| stratum.until <= until) {
            self.finish(stratum, &mut complete);
        }
    }

    fn finish(&mut self, stratum: &Stratum, complete: &mut impl FnMut(&Stratum, Both<C>)) {
        let sum = std::mem::take(&mut self.sum);
        self.next += 1;
        if stratum.compares {
            complete(stratum, sum);
        }
    }

    /// The stratum that is read next.
    pub fn next(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(second: u32, active: u32, candidate: u32) -> Arrivals {
        let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
        Arrivals { from, until, n: Both { active, candidate } }
    }

    fn seconds(strata: &Strata) -> Vec<(u32, u32, bool)> {
        let all = strata.waiting.iter();
        all.map(|s| (s.from.second(), s.until.second(), s.compares)).collect()
    }

    #[test]
    fn closes_by_counts_by_age_and_by_change() {
        let mut strata = Strata::default();
        for second in 0..5 {
            strata.arrive(&arrivals(second, 20, 2));
        }
        assert_eq!(seconds(&strata), [(0, 3, true)], "5 of the candidate after 3 s");
        for second in 5..90 {
            strata.arrive(&arrivals(second, 1, u32::from(second == 80)));
        }
        assert_eq!(seconds(&strata)[1], (3, 63, true), "old, and the candidate had 4");
        strata.change(Tick::of_second(90));
        strata.change(Tick::of_second(90));
        strata.arrive(&arrivals(90, 9, 0));
        strata.change(Tick::of_second(91));
        assert_eq!(seconds(&strata)[2..], [(63, 90, true), (90, 91, false)]);
    }

    #[test]
    fn readings_are_summed_per_stratum_also_when_they_come_before_it_closes() {
        let mut strata = Strata::default();
        let mut reader = Reader::default();
        let mut read = vec![];
        let mut hear = |strata: &Strata, second: u32, count: u32| {
            let counts = Both { active: 10 * count, candidate: count };
            let span = (Tick::of_second(second), Tick::of_second(second + 1));
            reader.read(strata, span, counts, |stratum, sum| {
                read.push((stratum.from.second(), sum.candidate, sum.active));
            });
        };
        strata.arrive(&arrivals(0, 9, 3));
        hear(&strata, 0, 1);
        strata.arrive(&arrivals(1, 9, 3));
        hear(&strata, 1, 2);
        strata.arrive(&arrivals(2, 9, 5));
        strata.arrive(&arrivals(3, 9, 5));
        hear(&strata, 2, 4);
        hear(&strata, 3, 8);
        assert_eq!(read, [(0, 3, 30), (2, 4, 40), (3, 8, 80)]);
    }
}
