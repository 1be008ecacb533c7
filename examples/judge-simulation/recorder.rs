//! Turns requests into the records that a judge is told: counts by arrival, read as requests reach each age.

use std::collections::VecDeque;
use std::time::Duration;

use cyan::judge::record::{
    Arrivals, Both, ErrorAge, ErrorCounts, ErrorReading, Hit, HitKind, LimitReading, Measure,
    Quantile, SlowCounts, SlowReading, TickRecord,
};
use cyan::judge::tick::Tick;

use crate::request::{End, LATENCY_LIMIT, Request};

const ERROR_AGES: [ErrorAge; 4] =
    [ErrorAge::Quarter, ErrorAge::Second, ErrorAge::FifteenSeconds, ErrorAge::Final];

/// Four ages, three quantiles of TTFT, the limit, three quantiles of the gap.
const QUESTIONS: usize = 11;

pub struct Recorder {
    ticks_per_record: u32,
    ages: [f64; 4],
    thresholds: [f64; 3],
    /// Of the gap between contents, if it is judged.
    gaps: Option<[f64; 3]>,
    cohorts: VecDeque<Cohort>,
    /// Cohorts that were read and forgotten.
    forgotten: usize,
    /// Per question: cohorts read so far.
    read: [usize; QUESTIONS],
    delays: [u32; QUESTIONS],
}

/// Requests that arrived together.
#[derive(Default)]
struct Cohort {
    from: Tick,
    until: Tick,
    n: Both<u32>,
    new_keys: Both<u32>,
    errors: [Both<ErrorCounts>; 4],
    error_hits: [Vec<Hit>; 4],
    slow: [Both<SlowCounts>; 3],
    slow_hits: [Vec<Hit>; 3],
    gaps: [Both<SlowCounts>; 3],
    gap_hits: [Vec<Hit>; 3],
    limit: Both<u32>,
    over: Both<u32>,
    over_hits: Vec<Hit>,
}

impl Recorder {
    pub fn new(
        ticks_per_record: u32,
        final_age: f64,
        thresholds: [f64; 3],
        gaps: Option<[f64; 3]>,
    ) -> Self {
        let ages = [0.25, 1.0, 15.0, final_age];
        let mut delays = [0; QUESTIONS];
        let slow = thresholds.iter().map(|threshold| threshold * 1.1);
        let seconds = ages.iter().copied().chain(slow).chain([LATENCY_LIMIT]);
        let seconds = seconds.chain([final_age; 3]);
        for (delay, seconds) in delays.iter_mut().zip(seconds) {
            *delay = Tick(0).after(Duration::from_secs_f64(seconds)).0;
        }
        let (cohorts, read) = (VecDeque::new(), [0; QUESTIONS]);
        Self { ticks_per_record, ages, thresholds, gaps, cohorts, forgotten: 0, read, delays }
    }

    /// What is known at the end of the cohort that began at `from`; `requests` are its arrivals.
    pub fn record(&mut self, from: Tick, requests: impl Iterator<Item = Request>) -> TickRecord {
        let until = Tick(from.0 + self.ticks_per_record);
        let mut cohort = Cohort { from, until, ..Cohort::default() };
        requests.for_each(|request| self.count(&mut cohort, &request));
        let mut record = TickRecord {
            now: until,
            arrivals: vec![Arrivals { from, until, n: cohort.n }],
            new_keys: Some(cohort.new_keys),
            final_age: Some(Duration::from_secs_f64(self.ages[3])),
            ..TickRecord::default()
        };
        self.cohorts.push_back(cohort);
        for question in 0..self.questions() {
            while self.is_due(question, until) {
                let cohort = &mut self.cohorts[self.read[question] - self.forgotten];
                read(question, cohort, &mut record);
                self.read[question] += 1;
            }
        }
        while self.read[..self.questions()].iter().all(|read| *read > self.forgotten) {
            self.cohorts.pop_front();
            self.forgotten += 1;
        }
        record
    }

    fn questions(&self) -> usize {
        if self.gaps.is_some() { QUESTIONS } else { QUESTIONS - 3 }
    }

    fn is_due(&self, question: usize, now: Tick) -> bool {
        let cohort = self.cohorts.get(self.read[question] - self.forgotten);
        cohort.is_some_and(|cohort| cohort.until.0 + self.delays[question] <= now.0)
    }

    fn count(&self, cohort: &mut Cohort, request: &Request) {
        let side = request.side;
        *cohort.n.of(side) += 1;
        *cohort.new_keys.of(side) += u32::from(request.is_new);
        for (index, age) in self.ages.iter().enumerate() {
            let counts = cohort.errors[index].of(side);
            counts.n += 1;
            let (kind, count) = match request.end {
                End::FailedEarly(at) if at <= *age => (HitKind::Early, &mut counts.early),
                End::FailedLate(at) if at <= *age => (HitKind::Late, &mut counts.late),
                End::Refused(at) if at <= *age => (HitKind::Refused, &mut counts.refused),
                End::Watched(at) if at <= *age => (HitKind::Watched, &mut counts.watched),
                _ => continue,
            };
            *count += 1;
            cohort.error_hits[index].push(Hit { side, key: request.key, kind });
        }
        if request.is_warm && matches!(request.end, End::Good | End::FailedLate(_)) {
            self.count_slow(cohort, request);
        }
        if let Some(gaps) = self.gaps.filter(|_| request.is_warm) {
            count_gap(cohort, request, gaps);
        }
    }

    fn count_slow(&self, cohort: &mut Cohort, request: &Request) {
        let side = request.side;
        let hit = Hit { side, key: request.key, kind: HitKind::Slow };
        for (index, threshold) in self.thresholds.iter().enumerate() {
            let counts = cohort.slow[index].of(side);
            counts.n += 1;
            if request.ttft > *threshold {
                counts.slow += 1;
                counts.slow_by_tenth += u32::from(request.ttft > 1.1 * threshold);
                cohort.slow_hits[index].push(hit);
            }
        }
        *cohort.limit.of(side) += 1;
        if request.ttft > LATENCY_LIMIT {
            *cohort.over.of(side) += 1;
            cohort.over_hits.push(hit);
        }
    }
}

/// Whoever did not break is known to have ended by the last age.
fn count_gap(cohort: &mut Cohort, request: &Request, gaps: [f64; 3]) {
    if !matches!(request.end, End::Good) {
        return;
    }
    let side = request.side;
    for (index, threshold) in gaps.into_iter().enumerate() {
        let counts = cohort.gaps[index].of(side);
        counts.n += 1;
        if request.gap > threshold {
            counts.slow += 1;
            counts.slow_by_tenth += u32::from(request.gap > 1.1 * threshold);
            let hit = Hit { side, key: request.key, kind: HitKind::Slow };
            cohort.gap_hits[index].push(hit);
        }
    }
}

/// Takes the answer to a question out of a cohort, into the record.
fn read(question: usize, cohort: &mut Cohort, record: &mut TickRecord) {
    let (from, until) = (cohort.from, cohort.until);
    match question {
        0..4 => record.errors.push(ErrorReading {
            age: ERROR_AGES[question],
            from,
            until,
            counts: cohort.errors[question],
            hits: std::mem::take(&mut cohort.error_hits[question]),
        }),
        4..7 => record.slow.push(SlowReading {
            measure: Measure::Ttft,
            quantile: Quantile::ALL[question - 4],
            from,
            until,
            counts: cohort.slow[question - 4],
            hits: std::mem::take(&mut cohort.slow_hits[question - 4]),
        }),
        7 => record.limit.push(LimitReading {
            from,
            until,
            n: cohort.limit,
            over: cohort.over,
            hits: std::mem::take(&mut cohort.over_hits),
        }),
        _ => record.slow.push(SlowReading {
            measure: Measure::Latency,
            quantile: Quantile::ALL[question - 8],
            from,
            until,
            counts: cohort.gaps[question - 8],
            hits: std::mem::take(&mut cohort.gap_hits[question - 8]),
        }),
    }
}
