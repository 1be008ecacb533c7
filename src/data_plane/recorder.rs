//! The one place where an exchange is recorded, one per core.
//!
//! It belongs to its core: counting needs no lock. What leaves the core (reports, records of single
//! exchanges) goes through bounded channels, and what does not fit is counted as lost rather than
//! waited for.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client_rates::ClientRates;
use super::conversations::Conversations;
use super::observed::Observed;
use super::panics;
use super::retries::Retries;
use crate::link::CoreReport;
use crate::metrics::cohort::Mark;
use crate::metrics::exchange_record::ExchangeRecord;
use crate::metrics::feed::Feed;
use crate::metrics::shard::{Ended, ShardReport};
use crate::model::environment::EnvironmentId;
use crate::model::name::Name;
use crate::model::note;
use crate::model::sticky::StickyKey;
use crate::model::verdict::Verdict;

/// Takes a report; false when there is no room.
pub type Sink<T> = Box<dyn Fn(T) -> bool>;

/// Where the exchanges of one core are counted, reported and logged.
pub struct Recorder {
    epoch: Instant,
    shard: RefCell<ShardReport>,
    /// Exchanges that are noted one by one, for judges.
    pub observed: Observed,
    /// How many requests may be tried again.
    pub retries: Retries,
    /// How many requests clients have sent lately, on all cores.
    pub rates: Arc<ClientRates>,
    /// Who gave which answer, on all cores.
    pub conversations: Arc<Conversations>,
    random: RefCell<fastrand::Rng>,
    reports: Sink<CoreReport>,
    listeners: Vec<Box<dyn Listener>>,
    trace_share: Option<f64>,
}

/// Somebody who is told of single exchanges, as a core sees it. Nothing here may wait.
pub trait Listener {
    /// Whether it wants to hear of anything now. Asked when an exchange begins and when it ends.
    fn is_listening(&self) -> bool {
        true
    }

    /// Whether it wants to hear of one exchange. One that `matters` was forced, refused or did not end
    /// well; `dice` is a random number from 0 to 1.
    fn wants(&self, matters: bool, dice: f64) -> bool;

    /// An exchange that it wants has ended.
    fn tell(&self, record: &Arc<ExchangeRecord>);

    /// Log lines that were lost since this was last asked, by any core.
    fn take_lost(&self) -> u64 {
        0
    }
}

impl Listener for Feed {
    fn is_listening(&self) -> bool {
        self.is_watched()
    }

    fn wants(&self, _matters: bool, _dice: f64) -> bool {
        true
    }

    fn tell(&self, record: &Arc<ExchangeRecord>) {
        Self::tell(self, record);
    }
}

impl Recorder {
    /// A recorder with empty counts. Seconds of arrival are counted from `epoch`, the same on all cores.
    pub fn new(
        epoch: Instant,
        random: fastrand::Rng,
        reports: Sink<CoreReport>,
        listeners: Vec<Box<dyn Listener>>,
    ) -> Self {
        let shard = RefCell::default();
        let (observed, retries) = (Observed::default(), Retries::default());
        let rates = Arc::new(ClientRates::new(epoch, 0));
        let conversations = Arc::default();
        let random = RefCell::new(random);
        let trace_share = None;
        Self {
            epoch,
            shard,
            observed,
            retries,
            rates,
            conversations,
            random,
            reports,
            listeners,
            trace_share,
        }
    }

    /// The same, with what clients send and who answered them known to all cores together.
    #[must_use]
    pub fn sharing(mut self, rates: Arc<ClientRates>, conversations: Arc<Conversations>) -> Self {
        (self.rates, self.conversations) = (rates, conversations);
        self
    }

    /// The same, with traces exported: `share` of those begun here are recorded.
    #[must_use]
    pub fn tracing(mut self, share: f64) -> Self {
        self.trace_share = Some(share);
        self
    }

    /// Share of the traces begun here that are recorded; `None` while none are.
    pub fn trace_share(&self) -> Option<f64> {
        self.trace_share
    }

    /// A recorder that only counts, for tests and benches.
    pub fn counting(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self::new(Instant::now(), random, Box::new(|_| true), Vec::new())
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
        let second = self.second(arrived);
        self.shard.borrow_mut().marks.add(environment, second, mark, age);
    }

    /// The quarter of a second that it is now, if exchanges of this environment are to be noted. Asked when
    /// an exchange is given its environment, for a judge compares those that were given theirs together.
    pub fn noted_from(&self, environment: EnvironmentId) -> Option<u32> {
        let now = || note::quarter(self.epoch.elapsed());
        self.observed.has(environment).then(now)
    }

    /// An exchange with this sticky key failed.
    pub fn key_failed(&self, environment: EnvironmentId, key: u64, arrived: Instant) {
        let second = self.second(arrived);
        self.shard.borrow_mut().failed_keys.of(environment).see(key, second);
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

    /// A request was not tried again, because too many were.
    pub fn retry_withheld(&self) {
        self.shard.borrow_mut().retries_withheld += 1;
    }

    /// A client had as many connections as it may.
    pub fn connection_refused(&self) {
        self.shard.borrow_mut().connections_refused += 1;
    }

    /// Nobody is let in for the moment.
    pub fn accepting_paused(&self, reason: &'static str) {
        *self.shard.borrow_mut().accept_pauses.entry(reason).or_default() += 1;
    }

    /// Counts a TLS handshake that failed.
    pub fn handshake_failed(&self) {
        self.shard.borrow_mut().handshakes_failed += 1;
    }

    /// Counts an HTTP/2 connection that was cut for its frames.
    pub fn flooded(&self) {
        self.shard.borrow_mut().floods += 1;
    }

    /// Whether anybody is told of exchanges: if not, nothing needs to be remembered for it.
    pub fn is_logging(&self) -> bool {
        self.listeners.iter().any(|listener| listener.is_listening())
    }

    /// Tells of an exchange. One that `matters` is never left out by sampling. The record is made once,
    /// and only if somebody wants it.
    pub fn log(&self, matters: bool, record: impl FnOnce() -> ExchangeRecord) {
        let dice = self.random.borrow_mut().f64();
        let listening = self.listeners.iter().filter(|listener| listener.is_listening());
        let mut wanting = listening.filter(|listener| listener.wants(matters, dice)).peekable();
        if wanting.peek().is_some() {
            let record = Arc::new(record());
            wanting.for_each(|listener| listener.tell(&record));
        }
    }

    /// The counts so far; they begin anew.
    pub fn collect(&self, now: Instant) -> ShardReport {
        let mut report = self.shard.take();
        report.collected_at = Some(now);
        self.observed.expire(now);
        report.panics += panics::take();
        report.log_lines_lost += self.listeners.iter().map(|l| l.take_lost()).sum::<u64>();
        report
    }

    /// The second in which something arrived, since the epoch.
    fn second(&self, arrived: Instant) -> u32 {
        let since = arrived.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(since).unwrap_or(u32::MAX)
    }
}
