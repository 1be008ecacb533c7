//! HTTP/2 connections that are being made, so that a burst of requests shares one.
//!
//! A connection carries several requests, but only once it stands. Without this, each request of a burst
//! would make one of its own, and all but the first would rest hardly used.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::data_plane::exchange::Stage;
use crate::model::upstream::UpstreamId;

/// After an address could not be connected to, before a request tries again that could do without.
const SPREAD_AGAIN: Duration = Duration::from_secs(10);

/// The dials of one core.
#[derive(Default)]
pub struct Dialing {
    dials: RefCell<HashMap<UpstreamId, Vec<Rc<Dial>>>>,
    /// Until when no connection is made that is wanted for its address only, after one failed.
    unspread: RefCell<HashMap<UpstreamId, Instant>>,
}

/// A connection being made, for whoever waits for it.
#[derive(Default)]
pub struct Dial {
    /// Who has a place on it, the one who makes it included.
    taken: Cell<u32>,
    end: RefCell<Option<DialEnd>>,
    ended: Notify,
}

/// Whose failure it is that a connection was not made, and a text for people.
pub type Unmade = (Stage, String);

/// How a dial has ended.
#[derive(Debug, Clone)]
pub enum DialEnd {
    /// The connection stands, with those before it.
    Made,
    /// It could not be made, for this reason. Who waited has failed with it.
    Failed(Unmade),
    /// Whoever made it has left. Somebody else has to.
    Left,
}

/// Held by the one who makes a connection. Dropped, it lets those who wait go on.
pub struct Dialer<'d> {
    dialing: &'d Dialing,
    upstream: UpstreamId,
    dial: Rc<Dial>,
}

impl Dialing {
    /// A dial to this upstream that has a place left, where connections have this many.
    pub fn join(&self, upstream: UpstreamId, places: u32) -> Option<Rc<Dial>> {
        let dials = self.dials.borrow();
        let dial = dials.get(&upstream)?.iter().find(|dial| dial.taken.get() < places)?;
        dial.taken.set(dial.taken.get() + 1);
        Some(Rc::clone(dial))
    }

    /// Whether a connection to this upstream is being made.
    pub fn is_under_way(&self, upstream: UpstreamId) -> bool {
        self.dials.borrow().contains_key(&upstream)
    }

    /// Whether a connection may be made while others have room, for the sake of another address.
    pub fn may_spread(&self, upstream: UpstreamId, now: Instant) -> bool {
        self.unspread.borrow().get(&upstream).is_none_or(|until| now >= *until)
    }

    /// One that was made for that has failed: requests share what stands for a while.
    pub fn spread_failed(&self, upstream: UpstreamId, now: Instant) {
        let mut unspread = self.unspread.borrow_mut();
        unspread.retain(|_, until| now < *until);
        unspread.insert(upstream, now + SPREAD_AGAIN);
    }

    /// Begins a dial that others may join.
    pub fn begin(&self, upstream: UpstreamId) -> Dialer<'_> {
        let dial = Rc::new(Dial::default());
        dial.taken.set(1);
        self.dials.borrow_mut().entry(upstream).or_default().push(Rc::clone(&dial));
        Dialer { dialing: self, upstream, dial }
    }
}

impl Dial {
    /// Waits for its end. Cancel safe.
    pub async fn ended(&self) -> DialEnd {
        loop {
            let ended = self.ended.notified();
            if let Some(end) = &*self.end.borrow() {
                return end.clone();
            }
            ended.await;
        }
    }
}

impl Dialer<'_> {
    /// Tells those who wait how it has ended.
    pub fn end(self, end: DialEnd) {
        *self.dial.end.borrow_mut() = Some(end);
    }
}

impl Drop for Dialer<'_> {
    fn drop(&mut self) {
        self.dial.end.borrow_mut().get_or_insert(DialEnd::Left);
        self.dial.ended.notify_waiters();
        let mut dials = self.dialing.dials.borrow_mut();
        if let Some(of_upstream) = dials.get_mut(&self.upstream) {
            of_upstream.retain(|dial| !Rc::ptr_eq(dial, &self.dial));
            if of_upstream.is_empty() {
                dials.remove(&self.upstream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPSTREAM: UpstreamId = UpstreamId(7);
    const PLACES: u32 = 16;

    #[tokio::test]
    async fn those_who_join_share_the_end() {
        let dialing = Dialing::default();
        assert!(dialing.join(UPSTREAM, PLACES).is_none(), "nobody dials yet");
        let dialer = dialing.begin(UPSTREAM);
        let joined: Vec<_> = (1..PLACES).map(|_| dialing.join(UPSTREAM, PLACES).unwrap()).collect();
        assert!(dialing.join(UPSTREAM, PLACES).is_none(), "it is full");
        let waiting = joined[0].ended();
        dialer.end(DialEnd::Failed((Stage::Connect, "refused".to_owned())));
        for end in [waiting.await, joined[1].ended().await] {
            assert!(matches!(end, DialEnd::Failed((Stage::Connect, why)) if why == "refused"));
        }
        assert!(dialing.dials.borrow().is_empty());
    }

    #[test]
    fn a_spread_that_failed_is_tried_again_later() {
        let (dialing, now) = (Dialing::default(), Instant::now());
        assert!(dialing.may_spread(UPSTREAM, now));
        dialing.spread_failed(UPSTREAM, now);
        assert!(!dialing.may_spread(UPSTREAM, now + SPREAD_AGAIN / 2));
        assert!(dialing.may_spread(UpstreamId(8), now), "it is not about others");
        assert!(dialing.may_spread(UPSTREAM, now + SPREAD_AGAIN));
    }

    #[tokio::test]
    async fn who_leaves_lets_others_dial() {
        let dialing = Dialing::default();
        let dialer = dialing.begin(UPSTREAM);
        let joined = dialing.join(UPSTREAM, PLACES).unwrap();
        drop(dialer);
        assert!(matches!(joined.ended().await, DialEnd::Left));
        assert!(dialing.join(UPSTREAM, PLACES).is_none());
    }
}
