//! Upstreams at work: what is known of each right now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::addresses::Addresses;
use super::in_flight::InFlight;
use super::progress::{Progress, StreamGuard};
pub use super::upstream_spec::{UpstreamAddress, UpstreamError, UpstreamSpec};

/// What active probes say of an upstream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Probe {
    /// Not probed, or not often enough yet. Counts as usable: no opinion is no refusal.
    Unknown = 0,
    /// The last probes passed.
    Up = 1,
    /// The last probes failed.
    Down = 2,
}

/// What is thought of an upstream's word that it is well, when its streams say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Trust {
    /// Nothing speaks against it.
    Trusted = 0,
    /// Its streams are open and bring nothing. Others are chosen while there are any.
    Suspect = 1,
    /// It was suspect and there is no evidence left: one request at a time finds out.
    Trial = 2,
}

/// When failures of connections take an upstream out by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectionSpec {
    /// Consecutive failures to connect, or connections lost before any answer. Default 3; 0 is never.
    pub failures: u32,
    /// First time out. It doubles with each ejection in a row. Default 1 s.
    pub backoff: Duration,
    /// Longest time out. Default 30 s.
    pub backoff_max: Duration,
}

impl Default for EjectionSpec {
    fn default() -> Self {
        Self { failures: 3, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(30) }
    }
}

/// While an upstream is back from an ejection and has not answered since, it is tried no more often than this.
/// A model may need minutes to answer, and one request in all of that time would be a long way back.
const TRIAL_PAUSE: Duration = Duration::from_secs(1);

/// Identifies an upstream for pools and metrics while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u32);

/// An upstream at work: its address and what both planes know of it. Kept over table changes as long
/// as its environment lists the same address.
#[derive(Debug)]
pub struct Upstream {
    /// Number for pools and metrics.
    pub id: UpstreamId,
    /// What was written.
    pub spec: UpstreamSpec,
    /// Exchanges it is working on.
    pub in_flight: Arc<InFlight>,
    /// Resolved addresses; empty until a name was resolved for the first time. Unused for unix sockets.
    pub addresses: Addresses,
    epoch: Instant,
    probe: AtomicU8,
    progress: Arc<Progress>,
    trust: AtomicU8,
    failures_in_row: AtomicU32,
    ejections_in_row: AtomicU32,
    ejected_until_ms: AtomicU64,
    /// From when on it may be tried again; 0 unless it has yet to answer after an ejection.
    trial_at_ms: AtomicU64,
    returned_at_ms: AtomicU64,
}

impl Upstream {
    /// A new upstream of which nothing is known yet. A literal address is resolved at once.
    pub fn new(id: UpstreamId, spec: UpstreamSpec, now: Instant) -> Self {
        let literal = match &spec.address {
            UpstreamAddress::Tcp { host, port } => {
                host.parse().ok().map(|address| SocketAddr::new(address, *port))
            }
            UpstreamAddress::Unix(_) => None,
        };
        Self {
            id,
            spec,
            in_flight: Arc::default(),
            addresses: Addresses::new(literal.into_iter().collect()),
            epoch: now,
            probe: AtomicU8::new(Probe::Unknown as u8),
            progress: Arc::new(Progress::new(now)),
            trust: AtomicU8::new(Trust::Trusted as u8),
            failures_in_row: AtomicU32::new(0),
            ejections_in_row: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
            trial_at_ms: AtomicU64::new(0),
            returned_at_ms: AtomicU64::new(0),
        }
    }

    // All orderings below are relaxed: each value is an opinion that stands alone.

    /// What active probes say.
    pub fn probe(&self) -> Probe {
        match self.probe.load(Ordering::Relaxed) {
            1 => Probe::Up,
            2 => Probe::Down,
            _ => Probe::Unknown,
        }
    }

    /// Takes note of the probes' opinion. One that comes back from `Down` starts slowly.
    pub fn set_probe(&self, probe: Probe, now: Instant) {
        let before = self.probe.swap(probe as u8, Ordering::Relaxed);
        if before == Probe::Down as u8 && probe == Probe::Up {
            self.failures_in_row.store(0, Ordering::Relaxed);
            self.ejected_until_ms.store(0, Ordering::Relaxed);
            self.trial_at_ms.store(0, Ordering::Relaxed);
            self.returned_at_ms.store(self.ms(now).max(1), Ordering::Relaxed);
        }
    }

    /// The head of a stream has come from it: counts the stream until the guard is dropped.
    pub fn stream_opened(&self) -> StreamGuard {
        self.progress.stream_opened()
    }

    /// It has generated something in an answer that is no stream; a stream tells its guard.
    pub fn content_seen(&self, now: Instant) {
        self.progress.content_seen(now);
    }

    /// What is known of its streams.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether its streams give a reason to doubt it.
    pub fn trust(&self) -> Trust {
        match self.trust.load(Ordering::Relaxed) {
            1 => Trust::Suspect,
            2 => Trust::Trial,
            _ => Trust::Trusted,
        }
    }

    /// Takes note of what its streams say. One that is trusted again starts slowly.
    pub fn set_trust(&self, trust: Trust, now: Instant) {
        let before = self.trust.swap(trust as u8, Ordering::Relaxed);
        if before != Trust::Trusted as u8 && trust == Trust::Trusted {
            self.returned_at_ms.store(self.ms(now).max(1), Ordering::Relaxed);
        }
    }

    /// Whether it may be chosen: not out, and not suspect; one on trial only while nothing else is tried
    /// on it.
    pub fn is_usable(&self, now: Instant) -> bool {
        let is_trusted = match self.trust() {
            Trust::Trusted => true,
            Trust::Suspect => false,
            Trust::Trial => self.in_flight.count() == 0,
        };
        is_trusted && !self.is_out(now)
    }

    /// Whether it is known not to answer: found down by probes, or ejected. A suspect one does answer.
    pub fn is_out(&self, now: Instant) -> bool {
        self.probe() == Probe::Down || self.is_ejected(now)
    }

    /// Whether failures have taken it out for the moment.
    pub fn is_ejected(&self, now: Instant) -> bool {
        self.ejected_until_ms.load(Ordering::Relaxed) > self.ms(now)
    }

    /// A connection failed, or was lost before an answer. Tells whether this ejected it just now.
    pub fn failed(&self, ejection: &EjectionSpec, now: Instant) -> bool {
        let failures = self.failures_in_row.fetch_add(1, Ordering::Relaxed) + 1;
        if ejection.failures == 0 || failures < ejection.failures || self.is_ejected(now) {
            return false;
        }
        self.eject(ejection, now);
        true
    }

    /// Takes it out for a while, as failures in a row do; one more is enough when it comes back.
    pub fn eject(&self, ejection: &EjectionSpec, now: Instant) {
        if ejection.failures == 0 {
            return;
        }
        self.failures_in_row.fetch_max(ejection.failures, Ordering::Relaxed);
        let times = self.ejections_in_row.fetch_add(1, Ordering::Relaxed).min(16);
        let out = ejection.backoff.saturating_mul(1 << times).min(ejection.backoff_max);
        let until = self.ms(now + out).max(1);
        self.ejected_until_ms.store(until, Ordering::Relaxed);
        self.trial_at_ms.store(until, Ordering::Relaxed);
        self.returned_at_ms.store(0, Ordering::Relaxed);
    }

    /// Whether it is back from an ejection, has not answered since, and a request is finding out about it.
    pub fn is_being_tried(&self, now: Instant) -> bool {
        self.trial_at_ms.load(Ordering::Relaxed) > self.ms(now)
    }

    /// Sends it a request, which is a trial if it is back from an ejection. False when another request, of any
    /// core, has become that trial.
    pub fn try_it(&self, now: Instant) -> bool {
        let at = self.trial_at_ms.load(Ordering::Relaxed);
        if at == 0 {
            return true;
        }
        let (now, next) = (self.ms(now), self.ms(now + TRIAL_PAUSE));
        let (relaxed, trial) = (Ordering::Relaxed, &self.trial_at_ms);
        at <= now && trial.compare_exchange(at, next, relaxed, relaxed).is_ok()
    }

    /// It answered. After an ejection this is its return, and it starts slowly.
    pub fn answered(&self, now: Instant) {
        if self.failures_in_row.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.failures_in_row.store(0, Ordering::Relaxed);
        self.ejections_in_row.store(0, Ordering::Relaxed);
        if self.trial_at_ms.swap(0, Ordering::Relaxed) != 0 {
            self.returned_at_ms.store(self.ms(now).max(1), Ordering::Relaxed);
        }
    }

    /// How much of its share it takes while it starts slowly after a return: 0.1 rising to 1.
    pub fn readiness(&self, slow_start: Duration, now: Instant) -> f64 {
        let returned = self.returned_at_ms.load(Ordering::Relaxed);
        if returned == 0 || slow_start.is_zero() {
            return 1.0;
        }
        let since = Duration::from_millis(self.ms(now).saturating_sub(returned));
        (since.as_secs_f64() / slow_start.as_secs_f64()).clamp(0.1, 1.0)
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_eject_with_back_off_and_the_return_is_slow() {
        let start = Instant::now();
        let upstream = Upstream::new(UpstreamId(1), "http://127.0.0.1:1".parse().unwrap(), start);
        let ejection = EjectionSpec::default();
        assert!(!upstream.failed(&ejection, start) && !upstream.failed(&ejection, start));
        assert!(upstream.failed(&ejection, start));
        let s = Duration::from_secs;
        assert!(!upstream.is_usable(start + Duration::from_millis(999)));
        assert!(upstream.is_usable(start + s(1)));
        assert!(
            upstream.failed(&ejection, start + s(1)),
            "one more failure is enough after a return"
        );
        assert!(!upstream.is_usable(start + Duration::from_millis(2_999)));
        assert!((upstream.readiness(s(10), start + s(4)) - 1.0).abs() < 1e-9, "trials are few");
        upstream.answered(start + s(5));
        assert!((upstream.readiness(s(10), start + s(10)) - 0.5).abs() < 1e-9);
        assert!(!upstream.failed(&ejection, start + s(20)));
    }

    #[test]
    fn one_that_is_back_is_tried_once_a_second_until_it_answers_or_a_probe_passes() {
        let start = Instant::now();
        let upstream = Upstream::new(UpstreamId(1), "http://a".parse().unwrap(), start);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(upstream.try_it(start) && upstream.try_it(start), "nothing speaks against it");
        upstream.eject(&EjectionSpec::default(), start);
        assert!(!upstream.is_being_tried(at(1_000)) && upstream.try_it(at(1_000)));
        assert!(upstream.is_being_tried(at(1_999)) && !upstream.try_it(at(1_999)));
        assert!(upstream.is_usable(at(1_999)), "where there is no other");
        assert!(upstream.try_it(at(2_000)) && !upstream.try_it(at(2_000)));
        upstream.answered(at(2_100));
        assert!(upstream.try_it(at(2_100)) && upstream.try_it(at(2_100)));
        upstream.eject(&EjectionSpec::default(), at(3_000));
        upstream.set_probe(Probe::Down, at(3_000));
        upstream.set_probe(Probe::Up, at(4_000));
        assert!(upstream.try_it(at(4_000)) && upstream.try_it(at(4_000)));
    }

    #[test]
    fn one_that_is_suspect_is_not_usable_and_on_trial_it_takes_one_at_a_time() {
        let start = Instant::now();
        let upstream = Upstream::new(UpstreamId(1), "http://a".parse().unwrap(), start);
        upstream.set_trust(Trust::Suspect, start);
        assert!(!upstream.is_usable(start));
        upstream.set_trust(Trust::Trial, start);
        assert!(upstream.is_usable(start));
        let trial = upstream.in_flight.enter();
        assert!(!upstream.is_usable(start));
        drop(trial);
        assert!(upstream.is_usable(start));
        upstream.set_trust(Trust::Trusted, start);
        let _busy = upstream.in_flight.enter();
        assert!(upstream.is_usable(start));
        assert!(upstream.readiness(Duration::from_secs(10), start) < 0.2);
    }

    #[test]
    fn a_probe_that_passes_again_ends_an_ejection() {
        let start = Instant::now();
        let upstream = Upstream::new(UpstreamId(1), "http://a".parse().unwrap(), start);
        upstream.set_probe(Probe::Down, start);
        assert!(!upstream.is_usable(start));
        upstream.set_probe(Probe::Up, start);
        assert!(upstream.is_usable(start));
        assert!(upstream.readiness(Duration::from_secs(10), start) < 0.2);
    }
}
