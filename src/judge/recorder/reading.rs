//! Reads cohorts when their requests have reached an age: the answers to the judge's questions.
//!
//! A question is read in the order of arrival, without gaps. Failures are read tick by tick, because
//! absolute limits are looked at as often; times second by second, split where a share changed, because
//! they are only compared stratum by stratum.

use std::collections::VecDeque;

use super::super::record::{
    Both, ErrorReading, Hit, HitKind, LimitReading, Measure, Quantile, SlowCounts, SlowReading,
    TickRecord,
};
use super::super::tick::Tick;
use super::baseline::{ERROR_AGES, LIMIT, Rules, TIMINGS};
use super::cohort::Cohort;
use super::draw::draw;
use super::hits::{Told, epoch_of, lowest};

/// Ages of failures, then questions about time.
const QUESTIONS: usize = ERROR_AGES.len() + TIMINGS;

/// How far each question has been read.
#[derive(Debug)]
pub struct Reading {
    seed: u64,
    next: [Tick; QUESTIONS],
    told: [Told; QUESTIONS],
}

/// The cohorts that are kept, one for each tick from `first`.
#[derive(Debug)]
pub struct Cohorts {
    /// The tick of the first.
    pub first: Tick,
    /// In the order of arrival.
    pub all: VecDeque<Cohort>,
}

/// Requests slower than a threshold.
#[derive(Default)]
struct Slow {
    counts: Both<SlowCounts>,
    hits: Vec<(u64, Hit)>,
}

impl Cohorts {
    /// The cohort of a tick.
    pub fn of(&self, tick: Tick) -> Option<&Cohort> {
        self.all.get(tick.0.checked_sub(self.first.0)? as usize)
    }

    /// The same, to add to it.
    pub fn of_mut(&mut self, tick: Tick) -> Option<&mut Cohort> {
        self.all.get_mut(tick.0.checked_sub(self.first.0)? as usize)
    }

    fn settled(&self, tick: Tick) -> Option<&Cohort> {
        self.of(tick).filter(|cohort| cohort.is_settled)
    }
}

impl Reading {
    /// Nothing was read before this tick.
    pub fn new(first: Tick, seed: u64) -> Self {
        Self { seed, next: [first; QUESTIONS], told: std::array::from_fn(|_| Told::default()) }
    }

    /// Reads what is due at the record's moment.
    pub fn read(&mut self, cohorts: &Cohorts, record: &mut TickRecord) {
        for age in 0..ERROR_AGES.len() {
            while let Some(cohort) =
                due(cohorts, self.next[age], record.now, |rules| Some(rules.error_ages_ms[age]))
            {
                record.errors.push(self.errors(age, cohort));
                self.next[age].0 += 1;
            }
        }
        for timing in 0..TIMINGS {
            while let Some(until) = self.second_due(timing, cohorts, record.now) {
                self.time(timing, cohorts, until, record);
                self.next[ERROR_AGES.len() + timing] = until;
            }
        }
    }

    /// The first tick that some question has still to read.
    pub fn read_before(&self) -> Tick {
        self.next.into_iter().min().unwrap_or_default()
    }

    /// The first tick whose times some question has still to read.
    pub fn timed_before(&self) -> Tick {
        self.next[ERROR_AGES.len()..].iter().copied().min().unwrap_or_default()
    }

    fn errors(&mut self, age: usize, cohort: &Cohort) -> ErrorReading {
        let (from, until) = (self.next[age], Tick(self.next[age].0 + 1));
        let mut drawn: Vec<_> = cohort.failures.by_age(cohort.rules.error_ages_ms[age]).collect();
        // Whether everybody fails, and whether many do after the switch, is asked of all hits.
        if age > 0 && !cohort.is_switched() {
            self.told[age].keep_news(epoch_of(from, cohort.changed), &mut drawn);
        }
        let (age, counts) = (ERROR_AGES[age], cohort.errors_at(age));
        ErrorReading { age, from, until, counts, hits: lowest(drawn) }
    }

    /// The end of the next second of a question about time, if all of it is due.
    fn second_due(&self, timing: usize, cohorts: &Cohorts, now: Tick) -> Option<Tick> {
        let mut tick = self.next[ERROR_AGES.len() + timing];
        loop {
            due(cohorts, tick, now, |rules| rules.timings[timing].map(|t| t.read_ms))?;
            tick.0 += 1;
            if tick.begins_second() || cohorts.settled(tick)?.changed == tick {
                return Some(tick);
            }
        }
    }

    fn time(&mut self, timing: usize, cohorts: &Cohorts, until: Tick, record: &mut TickRecord) {
        let question = ERROR_AGES.len() + timing;
        let from = self.next[question];
        let ticks = (from.0..until.0).filter_map(|tick| cohorts.of(Tick(tick)));
        let mut slow: Option<Slow> = None;
        for cohort in ticks.clone() {
            slow = self.slow(timing, cohort, slow);
        }
        let (Some(mut slow), Some(first)) = (slow, cohorts.of(from)) else { return };
        if !first.is_switched() {
            self.told[question].keep_news(epoch_of(from, first.changed), &mut slow.hits);
        }
        let (counts, hits) = (slow.counts, lowest(slow.hits));
        if timing == LIMIT {
            let (n, over) = (counts.map(|c| c.n), counts.map(|c| c.slow));
            record.limit.push(LimitReading { from, until, n, over, hits });
        } else {
            let (measure, quantile) = measure_of(timing);
            record.slow.push(SlowReading { measure, quantile, from, until, counts, hits });
        }
    }

    /// Adds a tick's requests, if there is a threshold for them.
    fn slow(&self, timing: usize, cohort: &Cohort, sum: Option<Slow>) -> Option<Slow> {
        let Some(threshold) = &cohort.rules.timings[timing] else { return sum };
        let mut sum = sum.unwrap_or_default();
        for (exchange, request) in cohort.times.iter() {
            let Some(compared) = request.compare(threshold) else { continue };
            let counts = sum.counts.of(request.side);
            counts.n += 1;
            if compared.is_slow {
                counts.slow += 1;
                counts.slow_by_tenth += u32::from(compared.is_slow_by_tenth);
                let hit = Hit { side: request.side, key: request.key, kind: HitKind::Slow };
                sum.hits.push((draw(self.seed, exchange), hit));
            }
        }
        Some(sum)
    }
}

/// A cohort whose requests have all reached an age; where there is no age there is nothing to wait for.
fn due(
    cohorts: &Cohorts,
    tick: Tick,
    now: Tick,
    age_ms: impl Fn(&Rules) -> Option<u32>,
) -> Option<&Cohort> {
    let cohort = cohorts.settled(tick)?;
    let wait = age_ms(&cohort.rules).map_or(0, Rules::ticks);
    (tick.0 + 1 + wait <= now.0).then_some(cohort)
}

fn measure_of(timing: usize) -> (Measure, Quantile) {
    let quantiles = Quantile::ALL.len();
    let measure = if timing < quantiles { Measure::Ttft } else { Measure::Latency };
    (measure, Quantile::ALL[timing % quantiles])
}
