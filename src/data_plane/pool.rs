//! Connections to upstreams that rest between two requests, one pool per core.
//!
//! A shared pool would need a lock, and Cyan has few cores and few upstreams. What the pool guards
//! against is the race that every keep-alive pool has: an upstream closes a resting connection just when
//! we use it. So connections rest shorter than the usual servers keep them (uvicorn and llama-server:
//! 5 s), are looked at for a FIN before use when that is likely, and wait 10 ms first when something may still
//! come: llama-server closes after each stream without saying so, and servers that are not careful send the
//! body of an answer that has none.

use std::time::{Duration, Instant};

use crate::model::addresses::Destination;
use crate::model::environment::Environment;
use crate::model::upstream::{Upstream, UpstreamId};

/// How long a connection that may bring something unasked rests before it is looked at and used again.
const REST_IN_DOUBT: Duration = Duration::from_millis(10);
/// A connection that rested longer than this is looked at for a FIN: the event loop may not have seen
/// it yet. Below it the look would cost more than the rare replay.
const REST_UNSEEN: Duration = Duration::from_millis(50);

/// A connection that can rest in a pool.
pub trait Pooled {
    /// Whether it can take a request now, as far as the event loop knows.
    fn is_ready(&self) -> bool;

    /// Whether it is closed, as far as the event loop knows.
    fn is_closed(&self) -> bool;

    /// Whether the peer has sent a FIN or unasked bytes: one system call.
    fn was_closed_by_peer(&self) -> bool;

    /// Where it leads.
    fn destination(&self) -> &Destination;
}

/// The connections at rest of one core.
#[derive(Debug)]
pub struct Pool<C> {
    /// By upstream id, which are small numbers; the youngest last.
    resting: Vec<Vec<Resting<C>>>,
    count: usize,
}

#[derive(Debug)]
struct Resting<C> {
    connection: C,
    since: Instant,
    until: Instant,
    is_doubtful: bool,
}

/// How a connection comes to rest.
#[derive(Debug, Clone, Copy)]
pub struct Rest {
    /// How long it may rest.
    pub idle: Duration,
    /// Most connections resting beside it, itself included.
    pub idle_max: usize,
    /// After its last answer something may still come.
    pub is_doubtful: bool,
}

impl Rest {
    /// How a connection may rest after an answer of this environment, whose upstream promised to keep
    /// it for some time, or did not say.
    pub fn of(environment: &Environment, keep_alive: Option<Duration>, is_doubtful: bool) -> Self {
        // One second less than promised, so that the upstream does not close while we write.
        let promised =
            keep_alive.map_or(Duration::MAX, |kept| kept.saturating_sub(Duration::from_secs(1)));
        Self {
            idle: environment.spec.pool_idle.min(promised),
            idle_max: environment.spec.pool_idle_max as usize,
            is_doubtful,
        }
    }
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self { resting: Vec::new(), count: 0 }
    }
}

impl<C: Pooled> Pool<C> {
    /// A connection that can take a request now. The youngest first, so that old ones expire. None to an
    /// address that the upstream has no longer.
    pub fn take(&mut self, upstream: &Upstream, now: Instant) -> Option<C> {
        let resting = self.resting.get_mut(upstream.id.0 as usize)?;
        let mut index = resting.len();
        while index > 0 {
            index -= 1;
            let entry = &resting[index];
            let leads_there = upstream.addresses.has(entry.connection.destination());
            if !leads_there || entry.connection.is_closed() || entry.until <= now {
                resting.remove(index);
                self.count -= 1;
                continue;
            }
            let rested = now.saturating_duration_since(entry.since);
            if !entry.connection.is_ready() || (entry.is_doubtful && rested < REST_IN_DOUBT) {
                continue;
            }
            let is_suspect = entry.is_doubtful || rested > REST_UNSEEN;
            let is_dead = is_suspect && entry.connection.was_closed_by_peer();
            let entry = resting.remove(index);
            self.count -= 1;
            if !is_dead {
                return Some(entry.connection);
            }
        }
        None
    }

    /// Lets a connection rest, unless the upstream's addresses have become others.
    pub fn put(&mut self, upstream: &Upstream, connection: C, rest: Rest, now: Instant) {
        if !upstream.addresses.may_rest(connection.destination()) {
            return;
        }
        let index = upstream.id.0 as usize;
        if self.resting.len() <= index {
            self.resting.resize_with(index + 1, Vec::new);
        }
        let resting = &mut self.resting[index];
        if resting.len() >= rest.idle_max {
            return;
        }
        let (since, until) = (now, now + rest.idle);
        resting.push(Resting { connection, since, until, is_doubtful: rest.is_doubtful });
        self.count += 1;
    }

    /// Closes what has rested too long or was closed.
    pub fn expire(&mut self, now: Instant) {
        for resting in &mut self.resting {
            resting.retain(|entry| entry.until > now && !entry.connection.is_closed());
        }
        self.count = self.resting.iter().map(Vec::len).sum();
    }

    /// Closes everything that rests for an upstream.
    pub fn close(&mut self, upstream: UpstreamId) {
        if let Some(resting) = self.resting.get_mut(upstream.0 as usize) {
            self.count -= resting.len();
            resting.clear();
        }
    }

    /// How many rest.
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone)]
    struct Fake {
        name: u32,
        closed: Rc<Cell<bool>>,
        fin: Rc<Cell<bool>>,
        destination: Destination,
    }

    impl Pooled for Fake {
        fn is_ready(&self) -> bool {
            true
        }
        fn is_closed(&self) -> bool {
            self.closed.get()
        }
        fn was_closed_by_peer(&self) -> bool {
            self.fin.get()
        }
        fn destination(&self) -> &Destination {
            &self.destination
        }
    }

    const REST: Rest = Rest { idle: Duration::from_secs(4), idle_max: 2, is_doubtful: false };

    fn upstream() -> Upstream {
        Upstream::new(UpstreamId(3), "http://10.0.0.1".parse().unwrap(), Instant::now())
    }

    /// A connection to the upstream's first address.
    fn named(name: u32, upstream: &Upstream) -> Fake {
        let addresses = upstream.addresses.load();
        let destination = addresses.destination(addresses.first().copied());
        Fake { name, closed: Rc::default(), fin: Rc::default(), destination }
    }

    #[test]
    fn the_youngest_is_taken_and_old_ones_expire() {
        let (mut pool, upstream, now) = (Pool::default(), &upstream(), Instant::now());
        pool.put(upstream, named(1, upstream), REST, now);
        pool.put(upstream, named(2, upstream), REST, now + Duration::from_secs(1));
        pool.put(upstream, named(3, upstream), REST, now); // one too many
        assert_eq!(pool.take(upstream, now + Duration::from_secs(2)).unwrap().name, 2);
        assert_eq!(pool.count(), 1);
        assert!(pool.take(upstream, now + Duration::from_secs(4)).is_none());
        assert_eq!(pool.count(), 0);
    }

    #[test]
    fn in_doubt_it_rests_and_is_looked_at() {
        let (mut pool, upstream, now) = (Pool::default(), &upstream(), Instant::now());
        let fake = named(1, upstream);
        let in_doubt = Rest { is_doubtful: true, ..REST };
        pool.put(upstream, fake.clone(), in_doubt, now);
        assert!(pool.take(upstream, now + Duration::from_millis(9)).is_none());
        assert_eq!(pool.count(), 1);
        fake.fin.set(true);
        assert!(pool.take(upstream, now + Duration::from_millis(10)).is_none());
        assert_eq!(pool.count(), 0);
    }

    #[test]
    fn a_closed_one_is_never_taken() {
        let (mut pool, upstream, now) = (Pool::default(), &upstream(), Instant::now());
        let fake = named(1, upstream);
        pool.put(upstream, fake.clone(), REST, now);
        fake.closed.set(true);
        assert!(pool.take(upstream, now).is_none());
        pool.put(upstream, named(2, upstream), REST, now);
        pool.close(upstream.id);
        assert_eq!(pool.count(), 0);
    }

    #[test]
    fn what_leads_to_a_removed_address_is_neither_taken_nor_put() {
        let (mut pool, upstream, now) = (Pool::default(), &upstream(), Instant::now());
        pool.put(upstream, named(1, upstream), REST, now);
        let in_use = named(2, upstream);
        upstream.addresses.store(vec!["10.0.0.2:80".parse().unwrap()]);
        assert!(pool.take(upstream, now).is_none());
        pool.put(upstream, in_use, REST, now);
        assert_eq!(pool.count(), 0);
        pool.put(upstream, named(3, upstream), REST, now);
        assert_eq!(pool.take(upstream, now).unwrap().name, 3);
    }

    #[test]
    fn what_is_older_than_an_added_address_is_used_once_more() {
        let (mut pool, upstream, now) = (Pool::default(), &upstream(), Instant::now());
        pool.put(upstream, named(1, upstream), REST, now);
        let one = upstream.addresses.load()[0];
        upstream.addresses.store(vec![one, "10.0.0.2:80".parse().unwrap()]);
        let taken = pool.take(upstream, now).unwrap();
        pool.put(upstream, taken, REST, now);
        assert_eq!(pool.count(), 0);
    }
}
