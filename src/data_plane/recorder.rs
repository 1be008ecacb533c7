//! The one place where an exchange is recorded, one per core.
//!
//! It belongs to its core: counting needs no lock. What leaves the core (reports, log lines) goes
//! through bounded channels, and what does not fit is counted as lost rather than waited for.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::link::CoreReport;
use crate::metrics::cohort::Mark;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::metrics::shard::{Ended, ShardReport};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::sticky::StickyKey;
use crate::model::verdict::Verdict;

/// Takes a report or a log line; false when there is no room.
pub type Sink<T> = Box<dyn Fn(T) -> bool>;

/// Where the exchanges of one core are counted, reported and logged.
pub struct Recorder {
    shard: RefCell<ShardReport>,
    random: RefCell<fastrand::Rng>,
    reports: Sink<CoreReport>,
    log: Option<Log>,
}

/// Who is told of single exchanges, as a core sees it.
pub struct Log {
    /// Where records go.
    pub records: Sink<ExchangeRecord>,
    /// Share of the requests that are told of, 0 to 1.
    pub sample: f64,
}

impl Recorder {
    /// A recorder with empty counts.
    pub fn new(random: fastrand::Rng, reports: Sink<CoreReport>, log: Option<Log>) -> Self {
        let shard = RefCell::default();
        Self { shard, random: RefCell::new(random), reports, log }
    }

    /// A recorder that only counts, for tests and benches.
    pub fn counting(seed: u64) -> Self {
        Self::new(fastrand::Rng::with_seed(seed), Box::new(|_| true), None)
    }

    /// A random number of this core.
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// A request began.
    pub fn began(&self) {
        self.shard.borrow_mut().requests += 1;
    }

    /// Something happened to an exchange that arrived at `arrived`, when it was `age` old.
    pub fn mark(&self, environment: EnvironmentId, arrived: Instant, mark: Mark, age: Duration) {
        let _ = (environment, arrived, mark, age);
    }

    /// An exchange with this sticky key failed.
    pub fn key_failed(&self, environment: EnvironmentId, key: u64, arrived: Instant) {
        let _ = (environment, key, arrived);
    }

    /// An exchange that is still open has a verdict already.
    pub fn judged(&self, environment: EnvironmentId, verdict: Verdict) {
        self.shard.borrow_mut().judged(environment, verdict);
    }

    /// Content came in a stream, so long after the content before it.
    pub fn gap(&self, environment: EnvironmentId, gap: Duration) {
        self.shard.borrow_mut().gap(environment, gap);
    }

    /// A request ended that had reached an environment.
    pub fn ended(&self, ended: &Ended) {
        self.shard.borrow_mut().ended(ended);
    }

    /// A request ended that had reached none.
    pub fn refused(&self, reason: &'static str) {
        *self.shard.borrow_mut().refused.entry(reason).or_default() += 1;
    }

    /// A key was not found where it was looked for.
    pub fn key_missed(&self, reason: &'static str) {
        *self.shard.borrow_mut().key_missed.entry(reason).or_default() += 1;
    }

    /// A request of a service was given its key.
    pub fn key_seen(&self, service: &Name, key: StickyKey) {
        let mut shard = self.shard.borrow_mut();
        let known = key.source.map(|_| key.hash);
        match shard.keys.get_mut(service) {
            Some(keys) => keys.see(known),
            None => shard.keys.entry(service.clone()).or_default().see(known),
        }
    }

    /// Tells the control plane.
    pub fn report(&self, report: CoreReport) {
        if !(self.reports)(report) {
            self.shard.borrow_mut().reports_lost += 1;
        }
    }

    /// Counts a panic that was caught.
    pub fn panicked(&self) {
        self.shard.borrow_mut().panics += 1;
    }

    /// Whether anything is logged at all: if not, nothing needs to be remembered for it.
    pub fn is_logging(&self) -> bool {
        self.log.is_some()
    }

    /// Tells of an exchange. One that `matters` is never left out by sampling.
    pub fn log(&self, matters: bool, record: impl FnOnce() -> ExchangeRecord) {
        if let Some(log) = &self.log
            && (matters || log.sample >= 1.0 || self.random.borrow_mut().f64() < log.sample)
            && !(log.records)(record())
        {
            self.shard.borrow_mut().log_lines_lost += 1;
        }
    }

    /// The counts so far; they begin anew.
    pub fn collect(&self) -> ShardReport {
        self.shard.take()
    }
}
