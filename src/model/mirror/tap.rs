//! The tap of a service: where the data plane asks, and what it hands a copy to.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::MirrorRule;
use super::counts::{CopyOutcome, MirrorCounts};
use super::pace::Pace;
use crate::model::in_flight::{InFlight, InFlightGuard};

/// Takes requests out of a service's traffic. In its routing table while a candidate warms up, and the
/// same one in every table of that time.
#[derive(Debug)]
pub struct MirrorTap {
    rule: MirrorRule,
    /// Random numbers below this are the share.
    drawn_below: u64,
    epoch: Instant,
    requests: Pace,
    tokens: Option<Pace>,
    in_flight: Arc<InFlight>,
    counts: Arc<MirrorCounts>,
    sink: Box<dyn MirrorSink>,
}

/// Who sends the copies.
pub trait MirrorSink: fmt::Debug + Send + Sync {
    /// Takes a copy if there is room; false drops it. Must not wait: a request's core calls it.
    fn try_take(&self, copy: Mirrored) -> bool;
}

/// A request on its way to the candidate. Its place in flight is given back when it is dropped.
#[derive(Debug)]
pub struct Mirrored {
    /// What to send.
    pub request: MirroredRequest,
    /// To be held until the answer has ended.
    pub place: InFlightGuard,
}

/// A request as it may go to any upstream: hop-by-hop headers and what clients might forge are gone, and
/// nothing of one environment (its headers, models or path prefix) is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirroredRequest {
    /// The method.
    pub method: String,
    /// Path and query, as the client sent them.
    pub path_and_query: String,
    /// Headers without those that frame the body; names in lower case, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body, chunks joined.
    pub body: Vec<u8>,
    /// When its head had come.
    pub arrived: Instant,
}

/// Leave to copy one request. Unused, it is given back when it is dropped.
#[derive(Debug)]
pub struct MirrorPermit {
    tap: Arc<MirrorTap>,
    arrived: Instant,
    /// `None` once it was used.
    place: Option<InFlightGuard>,
}

/// A request as far as it decides whether it is copied.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its method.
    pub method: &'r str,
    /// Its path, without the query.
    pub path: &'r str,
    /// The length that its body announces, if any.
    pub announced: Option<u64>,
    /// A random number of its own.
    pub draw: u64,
}

impl MirrorTap {
    /// A tap that hands copies to `sink`.
    pub fn new(
        rule: MirrorRule,
        counts: Arc<MirrorCounts>,
        sink: Box<dyn MirrorSink>,
        now: Instant,
    ) -> Arc<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 0 to 1; the whole saturates"
        )]
        let drawn_below = (rule.share * 2_f64.powi(64)) as u64;
        Arc::new(Self {
            drawn_below,
            epoch: now,
            requests: Pace::per_second(rule.requests_per_second),
            tokens: rule.tokens_per_second.map(Pace::per_second),
            in_flight: Arc::default(),
            counts,
            sink,
            rule,
        })
    }

    /// Leave to copy a request, if it is one to copy and the budget allows it.
    pub fn wants(self: &Arc<Self>, request: Asked<'_>, now: Instant) -> Option<MirrorPermit> {
        if request.draw >= self.drawn_below || !self.rule.allows(request.method, request.path) {
            return None;
        }
        if request.announced.is_some_and(|length| length > self.rule.body_max) {
            self.counts.copied(CopyOutcome::BodyTooLong);
            return None;
        }
        let permit = self.permit(now);
        if permit.is_none() {
            self.counts.copied(CopyOutcome::OverBudget);
        }
        permit
    }

    /// Books what a copy has cost in tokens; until the pace has made up for it, nothing is copied.
    pub fn spend_tokens(&self, tokens: u64, now: Instant) {
        if let Some(pace) = &self.tokens {
            pace.spend(tokens, self.elapsed(now));
        }
    }

    /// How many copies are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.count()
    }

    fn permit(self: &Arc<Self>, arrived: Instant) -> Option<MirrorPermit> {
        let now = self.elapsed(arrived);
        if self.tokens.as_ref().is_some_and(|pace| !pace.is_due(now)) {
            return None;
        }
        // The pace first: most requests end there, and reading it takes nothing from other cores.
        let is_due = self.requests.is_due(now);
        let place = is_due.then(|| self.in_flight.try_enter(self.rule.in_flight_max))??;
        let is_taken = self.requests.take(now);
        is_taken.then(|| MirrorPermit { tap: Arc::clone(self), arrived, place: Some(place) })
    }

    fn elapsed(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }
}

impl MirrorPermit {
    /// When the head of its request had come.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Longest body that may be copied.
    pub fn body_max(&self) -> u64 {
        self.tap.rule.body_max
    }

    /// Hands the copy over; dropped, and counted, when there is no room.
    pub fn offer(mut self, request: MirroredRequest) {
        let Some(place) = self.place.take() else { return };
        let is_taken = self.tap.sink.try_take(Mirrored { request, place });
        let outcome = if is_taken { CopyOutcome::Offered } else { CopyOutcome::NotTaken };
        self.tap.counts.copied(outcome);
    }

    /// Gives it back: the body turned out longer than may be copied.
    pub fn too_long(mut self) {
        self.give_back(CopyOutcome::BodyTooLong);
    }

    fn give_back(&mut self, outcome: CopyOutcome) {
        if self.place.take().is_some() {
            self.tap.requests.give_back();
            self.tap.counts.copied(outcome);
        }
    }
}

impl Drop for MirrorPermit {
    fn drop(&mut self) {
        self.give_back(CopyOutcome::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Keeps what fits.
    #[derive(Debug, Clone)]
    struct Shelf {
        kept: Arc<Mutex<Vec<Mirrored>>>,
        room: usize,
    }

    impl MirrorSink for Shelf {
        fn try_take(&self, copy: Mirrored) -> bool {
            let mut kept = self.kept.lock().unwrap();
            let has_room = kept.len() < self.room;
            if has_room {
                kept.push(copy);
            }
            has_room
        }
    }

    fn tap(change: impl FnOnce(&mut MirrorRule)) -> (Arc<MirrorTap>, Shelf, Instant) {
        let mut rule = MirrorRule {
            share: 1.0,
            requests_per_second: 1e9,
            paths: vec!["/v1".into()],
            ..MirrorRule::default()
        };
        change(&mut rule);
        let (shelf, now) = (Shelf { kept: Arc::default(), room: 2 }, Instant::now());
        (MirrorTap::new(rule, Arc::default(), Box::new(shelf.clone()), now), shelf, now)
    }

    fn asked(draw: u64) -> Asked<'static> {
        Asked { method: "POST", path: "/v1/x", announced: Some(10), draw }
    }

    fn request(arrived: Instant) -> MirroredRequest {
        MirroredRequest {
            method: "POST".into(),
            path_and_query: "/v1/x".into(),
            headers: Vec::new(),
            body: b"0123456789".to_vec(),
            arrived,
        }
    }

    #[test]
    fn the_share_is_drawn_and_long_bodies_are_not_wanted() {
        let (tap, _, now) = tap(|rule| {
            rule.share = 0.25;
            rule.body_max = 9;
        });
        assert!(tap.wants(asked(u64::MAX / 4 + 2), now).is_none());
        assert!(tap.wants(asked(0), now).is_none());
        let unknown = Asked { announced: None, ..asked(u64::MAX / 4 - 2) };
        tap.wants(unknown, now).unwrap().too_long();
        assert_eq!(tap.counts.copies(CopyOutcome::BodyTooLong), 2);
        assert_eq!(tap.in_flight(), 0);
    }

    #[test]
    fn copies_in_flight_per_second_and_in_tokens_stay_within_the_budget() {
        let (tap, shelf, now) = tap(|rule| {
            rule.in_flight_max = 1;
            rule.requests_per_second = 10.0;
            rule.tokens_per_second = Some(100.0);
        });
        let at = |ms| now + Duration::from_millis(ms);
        tap.wants(asked(0), now).unwrap().offer(request(now));
        assert!(tap.wants(asked(0), at(500)).is_none(), "one is in flight");
        shelf.kept.lock().unwrap().clear();
        assert!(tap.wants(asked(0), at(99)).is_none(), "ten a second");
        assert!(tap.wants(asked(0), at(100)).is_some(), "this one is given back");
        tap.spend_tokens(50, at(100));
        assert!(tap.wants(asked(0), at(599)).is_none(), "fifty tokens at a hundred a second");
        assert!(tap.wants(asked(0), at(600)).is_some());
        assert_eq!(tap.counts.copies(CopyOutcome::OverBudget), 3);
    }

    #[test]
    fn what_finds_no_room_is_dropped_with_its_place() {
        let (tap, shelf, now) = tap(|_| {});
        let at = |n| now + Duration::from_millis(n);
        (0..3).for_each(|n| tap.wants(asked(0), at(n)).unwrap().offer(request(now)));
        let counted = [CopyOutcome::Offered, CopyOutcome::NotTaken].map(|o| tap.counts.copies(o));
        assert_eq!((counted, tap.in_flight()), ([2, 1], 2));
        shelf.kept.lock().unwrap().clear();
        assert_eq!(tap.in_flight(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        /// However requests end, as many places are free in the end as before: 10 000 ends in all.
        #[test]
        fn no_permit_is_ever_lost(ends in prop::collection::vec(0..5_u8, 500)) {
            let (tap, shelf, now) = tap(|rule| rule.in_flight_max = 3);
            let mut held = Vec::new();
            for (ms, end) in (0..).zip(&ends) {
                let permit = tap.wants(asked(0), now + Duration::from_millis(ms));
                prop_assert!(permit.is_some() || tap.in_flight() == 3);
                match (end, permit) {
                    (0, Some(permit)) => permit.offer(request(now)),
                    (1, Some(permit)) => permit.too_long(),
                    (2, Some(permit)) => held.push(permit),
                    (3, _) => held.clear(),
                    (4, _) => shelf.kept.lock().unwrap().clear(),
                    (_, permit) => drop(permit),
                }
                prop_assert!(tap.in_flight() <= 3);
            }
            held.clear();
            shelf.kept.lock().unwrap().clear();
            prop_assert_eq!(tap.in_flight(), 0);
            let counted: u64 = CopyOutcome::ALL.into_iter().map(|o| tap.counts.copies(o)).sum();
            prop_assert_eq!(counted, ends.len() as u64);
        }
    }
}
