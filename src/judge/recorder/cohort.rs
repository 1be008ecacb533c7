//! The requests that were given their environment in one tick, and what became of them.

use std::sync::Arc;

use super::super::record::{Both, ErrorCounts, Hit, HitKind, Side};
use super::super::tick::Tick;
use super::baseline::{ERROR_AGES, Rules};
use super::hits::{Failure, Failures};
use super::times::Times;
use crate::model::note::What;

/// Everything that is known of one tick.
#[derive(Debug)]
pub struct Cohort {
    /// What its requests are measured by.
    pub rules: Arc<Rules>,
    /// Those that began.
    pub n: Both<u32>,
    /// By age: what had failed, and as `n` those whose client had left.
    by_age: [Both<ErrorCounts>; ERROR_AGES.len()],
    /// Failures by key.
    pub failures: Failures,
    /// How long they took.
    pub times: Times,
    /// Cores of which nothing is heard.
    pub missing: Vec<usize>,
    /// All that began are known.
    pub is_settled: bool,
    /// It says nothing: a change fell into it, or something of it is lost.
    pub is_left_out: bool,
    /// Its times are not known, because there were too many.
    pub is_untimed: bool,
    /// The first tick under the present share.
    pub changed: Tick,
    /// The candidate's share.
    pub share: f64,
}

/// One note, without what the cohort knows.
#[derive(Debug, Clone, Copy)]
pub struct Happened {
    /// To whose request.
    pub side: Side,
    /// The request's number.
    pub exchange: u64,
    /// Its key.
    pub key: Option<u64>,
    /// What.
    pub what: What,
    /// At which age.
    pub age_ms: u32,
}

impl Cohort {
    /// Nobody yet.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            n: Both::default(),
            by_age: [Both::default(); ERROR_AGES.len()],
            failures: Failures::default(),
            times: Times::default(),
            missing: Vec::new(),
            is_settled: false,
            is_left_out: false,
            is_untimed: false,
            changed: Tick(0),
            share: 0.0,
        }
    }

    /// Whether all users are the candidate's.
    pub fn is_switched(&self) -> bool {
        self.share >= 1.0
    }

    /// From now on it says nothing.
    pub fn leave_out(&mut self) {
        self.is_left_out = true;
        self.n = Both::default();
        self.by_age = [Both::default(); ERROR_AGES.len()];
        self.failures = Failures::default();
        self.times.clear();
    }

    /// Its times will not be known.
    pub fn leave_untimed(&mut self) {
        self.is_untimed = true;
        self.times.clear();
    }

    /// Takes a note in; answers a failure to remember.
    pub fn happen(&mut self, happened: &Happened, drawn: u64) -> Option<Failure> {
        let Happened { side, exchange, key, what, age_ms } = *happened;
        match what {
            What::Began => self.begin(happened),
            What::Withdrawn => self.withdraw(happened),
            _ => self.times.happen(exchange, what, age_ms),
        }
        if what == What::Left {
            self.count(side, age_ms, |counts| {
                counts.n += 1;
                counts.watched = counts.watched.saturating_sub(1);
            });
        }
        let kind = kind_of(what)?;
        self.count(side, age_ms, |counts| *count_of(counts, kind) += 1);
        Some(Failure { drawn, exchange, age_ms, hit: Hit { side, key, kind } })
    }

    fn begin(&mut self, happened: &Happened) {
        *self.n.of(happened.side) += 1;
        if !self.is_untimed {
            self.times.begin(happened.exchange, happened.side, happened.key);
        }
    }

    /// A request that went elsewhere before anything was sent. If it was told of already, it is as one
    /// whose client left at once.
    fn withdraw(&mut self, happened: &Happened) {
        self.times.withdraw(happened.exchange);
        if self.is_settled {
            self.count(happened.side, 0, |counts| counts.n += 1);
        } else {
            let n = self.n.of(happened.side);
            *n = n.saturating_sub(1);
        }
    }

    fn count(&mut self, side: Side, age_ms: u32, mut count: impl FnMut(&mut ErrorCounts)) {
        for (counts, until_ms) in self.by_age.iter_mut().zip(self.rules.error_ages_ms) {
            if age_ms <= until_ms {
                count(counts.of(side));
            }
        }
    }

    /// What had become of its requests at an age, by its number.
    pub fn errors_at(&self, age: usize) -> Both<ErrorCounts> {
        let Both { active, candidate } = self.by_age[age];
        let of =
            |n: u32, counts: ErrorCounts| ErrorCounts { n: n.saturating_sub(counts.n), ..counts };
        Both { active: of(self.n.active, active), candidate: of(self.n.candidate, candidate) }
    }
}

fn kind_of(what: What) -> Option<HitKind> {
    match what {
        What::FailedEarly => Some(HitKind::Early),
        What::FailedLate => Some(HitKind::Late),
        What::Refused => Some(HitKind::Refused),
        What::Watched => Some(HitKind::Watched),
        _ => None,
    }
}

fn count_of(counts: &mut ErrorCounts, kind: HitKind) -> &mut u32 {
    match kind {
        HitKind::Early | HitKind::Slow => &mut counts.early,
        HitKind::Late => &mut counts.late,
        HitKind::Refused => &mut counts.refused,
        HitKind::Watched => &mut counts.watched,
    }
}
