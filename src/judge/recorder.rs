//! Makes the judge's records from live traffic: who began in which tick, and what had become of them at
//! each age (`record` says what a recorder owes, `docs/judge.md` how it is done).
//!
//! Cores hand over notes when they are asked, each in its own order. Nothing here depends on how they
//! were split or which core was first: a tick is settled when every core has reported beyond it, and read
//! when every core has reported beyond the age. Pure: no clock, and no chance but the seed.
//!
//! Memory, for one rollout: cohorts of at most 33 min, 3 MB; requests whose times have not been read,
//! `REQUESTS_MAX`, 10 MB; failures that wait for an age, `FAILURES_MAX`, 6 MB; keys served since the last
//! change, 5 MB; keys told of, 3 MB; scores and changes, less.

mod asking;
mod baseline;
mod changes;
mod cohort;
mod cores;
mod draw;
mod hits;
mod keys;
mod reading;
mod returning;
#[cfg(test)]
mod tests;
mod times;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use asking::Asking;
pub use baseline::Baseline;
use baseline::Rules;
use changes::Changes;
use cohort::{Cohort, Happened};
use cores::{Cores, first_whole};
use draw::draw;
use keys::{ServedKeys, UsersOfHour};
use reading::{Cohorts, Reading};
use returning::Returning;
use times::Seen;

use super::record::{Arrivals, Both, Change, Record, Score, Side, TickRecord};
use super::tick::Tick;
use crate::model::note::{Note, What, quarter, quarter_begins};
use crate::model::plan::LatencySignal;

/// Requests remembered until their times are read. When there are more, the ticks that bring them have no
/// times, on either side.
const REQUESTS_MAX: usize = 1 << 17;
/// Failures remembered until they are read at the last age. When there are more, half of them go by lot.
const FAILURES_MAX: usize = 1 << 16;
/// Scores that wait for the next record.
const SCORES_MAX: usize = 4_096;
/// After so many ticks bodies have come as far as they say how they want the answer: a second.
const ASKED_BY: u32 = 4;
/// How many ticks cores may be ahead of the slowest: a minute.
const AHEAD_MAX: u32 = 240;

/// What is settled before the first note.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How many cores there are.
    pub cores: usize,
    /// When it begins, since the epoch of the notes.
    pub began: Duration,
    /// The first tick: 0, or the next one of a rollout that goes on after a restart.
    pub first: Tick,
    /// The candidate's users of the last hour, where it goes on after a restart; `None` where it begins.
    pub users_before: Option<u32>,
    /// The candidate's share; 0 before the rollout.
    pub share: f64,
    /// The absolute limit on latency.
    pub latency_max: Duration,
    /// Which time is compared and limited.
    pub signal: LatencySignal,
    /// Draws the samples. Any number, a new one for each rollout.
    pub seed: u64,
}

/// What could not be told, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Losses {
    /// Notes and scores for which there was no room.
    pub lost: u64,
    /// Ticks left out on both sides, because something of them was lost.
    pub ticks_left_out: u64,
    /// Ticks without a core that did not report in time.
    pub ticks_without_core: u64,
    /// Ticks whose times were not measured, because there were too many.
    pub ticks_untimed: u64,
}

/// Turns notes into records.
#[derive(Debug)]
pub struct Recorder {
    origin: u32,
    setup: Setup,
    baseline: Baseline,
    rules: Arc<Rules>,
    asking: Asking,
    returning: Returning,
    cores: Cores,
    cohorts: Cohorts,
    reading: Reading,
    /// The tick that is settled next.
    next: Tick,
    changes: Changes,
    changed: Tick,
    served: ServedKeys,
    /// Whether `served` knows everybody since the change. After a restart it does not, and users whom the
    /// split check has counted would count again.
    is_served_whole: bool,
    users: UsersOfHour,
    users_told: u32,
    final_age: Option<Duration>,
    scores: Vec<Score>,
    timed: usize,
    /// Times of ticks before this were read.
    timed_from: Tick,
    failures: usize,
    halvings: u32,
    losses: Losses,
}

impl Recorder {
    /// Before the first note.
    pub fn new(setup: Setup) -> Self {
        let baseline = Baseline::default();
        let rules = Rules::new(&baseline, setup.latency_max, setup.signal, false);
        let first = setup.first;
        Self {
            origin: first_whole(setup.began),
            baseline,
            rules: Arc::new(rules),
            asking: Asking::default(),
            returning: Returning::default(),
            cores: Cores::new(setup.cores, setup.began),
            cohorts: Cohorts { first, all: VecDeque::new() },
            reading: Reading::new(first, setup.seed),
            next: first,
            changes: Changes::default(),
            changed: first,
            served: ServedKeys::new(setup.seed),
            is_served_whole: setup.users_before.is_none(),
            users: UsersOfHour::new(first, setup.users_before.unwrap_or(0)),
            users_told: 0,
            final_age: None,
            scores: Vec::new(),
            timed: 0,
            timed_from: first,
            failures: 0,
            halvings: 0,
            losses: Losses::default(),
            setup,
        }
    }

    /// The share will change, on one core after the other, from this moment on. To be called before any core
    /// has it; what arrives from then on is left out until `change` says when it was everywhere.
    pub fn announce_change(&mut self, from: Duration) {
        let from = self.tick(quarter(from)).unwrap_or(self.setup.first);
        self.changes.announce(from);
    }

    /// The share has changed between two moments since the epoch. What arrived between them may have been
    /// given its environment by either, and is left out.
    pub fn change(&mut self, share: f64, planned: bool, during: Range<Duration>) {
        let from = self.tick(quarter(during.start)).unwrap_or(self.next);
        let at = self.tick(quarter(during.end)).map_or(self.next, |tick| Tick(tick.0 + 1));
        self.changes.tell(from, Change { at: at.max(self.next), share, planned });
    }

    /// What is usual on the active side, for requests that begin from now on.
    pub fn baseline(&mut self, baseline: &Baseline) {
        self.baseline = baseline.clone();
        self.make_rules();
    }

    fn make_rules(&mut self) {
        let Setup { latency_max, signal, .. } = self.setup;
        let are_told = self.asking.are_told();
        let rules = Rules::new(&self.baseline, latency_max, signal, are_told);
        let are_strangers = self.returning.are_strangers();
        self.rules = Arc::new(if are_strangers { rules.counting_cold() } else { rules });
    }

    /// A core hands over what it saw between two moments since the epoch. To be called before its notes.
    pub fn hear(&mut self, core: usize, span: Range<Duration>) {
        self.cores.hear(core, span.start, span.end);
    }

    /// One of a core's notes, in the order in which the core wrote them.
    pub fn note(&mut self, core: usize, side: Side, note: &Note) {
        let Some(tick) = self.tick(note.arrived) else { return };
        if self.cores.has_gap(core, note.arrived) || !self.reach(tick) {
            return;
        }
        let Some(cohort) = self.cohorts.of_mut(tick) else { return };
        if cohort.is_left_out || cohort.missing.contains(&core) {
            return;
        }
        let (exchange, key) = (note.exchange, note.key());
        let happened = Happened { side, exchange, key, what: note.what, age_ms: note.age_ms };
        let timed = cohort.times.len();
        let failure = cohort.happen(&happened, draw(self.setup.seed, exchange));
        if note.what == What::Left {
            self.failures -= cohort.failures.take_back(exchange);
        }
        if let Some(failure) =
            failure.filter(|failure| failure.age_ms <= cohort.rules.error_ages_ms[3])
        {
            self.failures += cohort.failures.add(failure);
        }
        self.timed = self.timed + cohort.times.len() - timed;
        self.make_room(tick);
    }

    /// Notes about these quarters of arrival were lost.
    pub fn lose(&mut self, quarters: Range<u32>, count: u64) {
        self.losses.lost += count;
        for quarter in quarters.start.max(self.origin)..quarters.end {
            let Some(tick) = self.tick(quarter).filter(|tick| self.reach(*tick)) else { continue };
            self.lose_tick(tick);
        }
    }

    /// Somebody has scored an answer to a request that arrived at a moment since the epoch.
    pub fn score(&mut self, side: Side, key: Option<u64>, arrived: Duration, value: f64) {
        if self.scores.len() == SCORES_MAX {
            self.losses.lost += 1;
            return;
        }
        let arrived = self.tick(quarter(arrived)).unwrap_or(self.setup.first);
        self.scores.push(Score { side, key, arrived, value: value.clamp(0.0, 1.0) });
    }

    /// The next record, if it can be made by now, since the epoch. To be called until there is none.
    pub fn take(&mut self, now: Duration) -> Option<Record> {
        if let Some(change) = self.changes.due(self.next) {
            return Some(Record::Change(self.begin_step(change)));
        }
        let frontier = self.cores.frontier(now)?;
        let is_known = self.quarter(self.next) < frontier;
        is_known.then(|| Record::Tick(self.next_tick()))
    }

    /// Until when everything has been told.
    pub fn now(&self) -> Tick {
        self.next
    }

    /// The same as a time since the epoch.
    pub fn seen_until(&self) -> Duration {
        quarter_begins(self.quarter(self.next))
    }

    /// The candidate's share at present.
    pub fn share(&self) -> f64 {
        self.setup.share
    }

    /// The candidate's users of the last hour.
    pub fn users(&self) -> u32 {
        self.users_told
    }

    /// Whether keys are known not to come back: then times are not compared.
    pub fn are_strangers(&self) -> bool {
        self.returning.are_strangers()
    }

    /// Goes on with what was known of keys before a restart.
    pub fn go_on(&mut self, are_strangers: bool) {
        self.returning = Returning::known(are_strangers);
        self.make_rules();
    }

    /// What could not be told.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    fn tick(&self, quarter: u32) -> Option<Tick> {
        quarter.checked_sub(self.origin).map(|since| Tick(self.setup.first.0.saturating_add(since)))
    }

    fn quarter(&self, tick: Tick) -> u32 {
        self.origin + (tick.0 - self.setup.first.0)
    }

    /// Makes sure that there is a cohort for a tick, unless it was read or lies too far ahead.
    fn reach(&mut self, tick: Tick) -> bool {
        if tick < self.cohorts.first || tick.0 > self.next.0 + AHEAD_MAX {
            return false;
        }
        while self.cohorts.of(tick).is_none() {
            self.cohorts.all.push_back(Cohort::new(Arc::clone(&self.rules)));
        }
        true
    }

    fn begin_step(&mut self, change: Change) -> Change {
        self.setup.share = change.share;
        self.changed = self.next;
        self.served.forget();
        self.is_served_whole = true;
        Change { at: self.next, ..change }
    }

    fn next_tick(&mut self) -> TickRecord {
        let (from, until) = (self.next, Tick(self.next.0 + 1));
        self.reach(from);
        let mut record = TickRecord { now: until, ..TickRecord::default() };
        let seen = self.settle(from);
        self.next = until;
        if let Some(cohort) = self.cohorts.of(from) {
            record.arrivals.push(Arrivals { from, until, n: cohort.n });
            let age = Some(cohort.rules.final_age);
            record.final_age = age.filter(|_| self.final_age != age);
            self.final_age = age;
        }
        self.learn_asking(from);
        self.returning.see(from, self.changed, &seen);
        if self.returning.learn() {
            self.make_rules();
        }
        self.reading.read(&self.cohorts, &mut record);
        record.new_keys =
            Some(seen.new).filter(|new| self.is_served_whole && *new != Both::default());
        let users = self.users.count(from);
        record.keys_of_hour = (users != self.users_told).then_some(users);
        self.users_told = users;
        // A score may be told of before its tick is settled.
        let told = |score: Score| Score { arrived: score.arrived.min(from), ..score };
        record.scores = self.scores.drain(..).map(told).collect();
        self.forget();
        record
    }

    /// Bodies of earlier ticks have come by now: who of them told what it asks for?
    fn learn_asking(&mut self, now: Tick) {
        let earlier = now.0.checked_sub(ASKED_BY).and_then(|tick| self.cohorts.of(Tick(tick)));
        earlier.into_iter().for_each(|cohort| self.asking.see(cohort));
        if self.asking.learn() {
            self.make_rules();
        }
    }

    /// All requests of a tick are known.
    fn settle(&mut self, tick: Tick) -> Seen {
        let missing = self.cores.missing(self.quarter(tick));
        if missing.is_partial {
            self.lose_tick(tick);
        } else if self.changes.is_within(tick) {
            self.leave_out(tick);
        }
        self.losses.ticks_without_core += u64::from(!missing.cores.is_empty());
        let (changed, share) = (self.changed, self.setup.share);
        let Some(cohort) = self.cohorts.of_mut(tick) else { return Seen::default() };
        cohort.is_settled = true;
        cohort.missing = missing.cores;
        (cohort.changed, cohort.share) = (changed, share);
        let seen = cohort.times.settle(&mut self.served);
        let users = cohort.times.iter().filter(|(_, request)| request.side == Side::Candidate);
        users.for_each(|(_, request)| self.users.see(tick, request.key));
        seen
    }

    fn lose_tick(&mut self, tick: Tick) {
        self.losses.ticks_left_out += u64::from(self.leave_out(tick));
    }

    /// Leaves a tick out; answers whether it was not yet.
    fn leave_out(&mut self, tick: Tick) -> bool {
        let Some(cohort) = self.cohorts.of_mut(tick).filter(|cohort| !cohort.is_left_out) else {
            return false;
        };
        self.timed -= cohort.times.len();
        self.failures -= cohort.failures.len();
        cohort.leave_out();
        true
    }

    /// Keeps memory bounded, without asking what became of whom or on which side.
    fn make_room(&mut self, tick: Tick) {
        if self.timed > REQUESTS_MAX
            && let Some(cohort) = self.cohorts.of_mut(tick)
        {
            self.timed -= cohort.times.len();
            cohort.leave_untimed();
            self.losses.ticks_untimed += 1;
        }
        if self.failures > FAILURES_MAX {
            self.halvings += 1;
            let halvings = self.halvings;
            let all = self.cohorts.all.iter_mut();
            self.failures = all.map(|cohort| cohort.failures.thin(halvings)).sum();
        }
    }

    fn forget(&mut self) {
        while self.timed_from < self.reading.timed_before() {
            if let Some(cohort) = self.cohorts.of_mut(self.timed_from) {
                self.timed -= cohort.times.len();
                cohort.times.clear();
            }
            self.timed_from.0 += 1;
        }
        let read = self.reading.read_before();
        while self.cohorts.first < read
            && let Some(cohort) = self.cohorts.all.pop_front()
        {
            self.timed -= cohort.times.len();
            self.failures -= cohort.failures.len();
            self.cohorts.first.0 += 1;
        }
    }
}
