//! What an emulated server has seen. Counted once per request, never per token; every list is bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Most different users that are counted by name; later ones are counted together.
const USERS_MAX: usize = 20_000;

/// Arrivals that are remembered; older ones are forgotten.
const ARRIVALS_MAX: usize = 4096;

/// What an emulated server has seen since it started. The answer of `GET /mock/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests by path; unknown paths are `other`, the server's own `/mock/…` is left out.
    pub requests: BTreeMap<String, u64>,
    /// Requests for text or embeddings whose answer is not finished.
    pub in_flight: u64,
    /// Those whose client left before the end.
    pub cancelled: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Requests by user: the value of the first sticky header that a request had.
    pub users: HashMap<String, u64>,
    /// Requests of users beyond the first 20 000.
    pub users_uncounted: u64,
    /// The last 4096 requests, oldest first.
    pub arrivals: Vec<Arrival>,
}

/// When a request arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// When its first byte was read, in unix nanoseconds. For HTTP/2, and for requests that came while
    /// another was being answered on the same connection, when its head was complete.
    pub first_byte_unix_ns: u64,
    /// Its path, as in `requests`.
    pub path: String,
}

impl Stats {
    /// All requests.
    pub fn requests_total(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// Nanoseconds since 1970. The wall clock, because stamps are compared between processes.
pub(super) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The counters behind [`Stats`]. Single numbers are atomics (relaxed: each stands for itself); what
/// belongs to one request is changed together under a lock that is held for a few map operations.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) in_flight: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connections_open: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: BTreeMap<&'static str, u64>,
    users: HashMap<String, u64>,
    users_uncounted: u64,
    arrivals: VecDeque<(u64, &'static str)>,
}

impl Counters {
    /// Counts a request; tells whether it is the first one of its user. Users beyond those counted
    /// are never new.
    pub(super) fn request(
        &self,
        path: &'static str,
        first_byte_unix_ns: u64,
        user: Option<&str>,
    ) -> bool {
        let mut seen = self.seen();
        *seen.requests.entry(path).or_default() += 1;
        if seen.arrivals.len() == ARRIVALS_MAX {
            seen.arrivals.pop_front();
        }
        seen.arrivals.push_back((first_byte_unix_ns, path));
        let Some(user) = user else { return false };
        if let Some(count) = seen.users.get_mut(user) {
            *count += 1;
            return false;
        }
        let is_new = seen.users.len() < USERS_MAX;
        if is_new {
            seen.users.insert(user.to_owned(), 1);
        } else {
            seen.users_uncounted += 1;
        }
        is_new
    }

    pub(super) fn report(&self) -> Stats {
        let seen = self.seen();
        let arrival = |&(first_byte_unix_ns, path): &(u64, &'static str)| Arrival {
            first_byte_unix_ns,
            path: path.to_owned(),
        };
        Stats {
            requests: seen.requests.iter().map(|(path, n)| ((*path).to_owned(), *n)).collect(),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            cancelled: self.cancelled.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            connections_open: self.connections_open.load(Ordering::Relaxed),
            users: seen.users.clone(),
            users_uncounted: seen.users_uncounted,
            arrivals: seen.arrivals.iter().map(arrival).collect(),
        }
    }

    /// A panic while counting cannot leave the counts in a state worse than one request off.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stay_bounded() {
        let counters = Counters::default();
        for n in 0..USERS_MAX + 10 {
            let is_first = counters.request("/health", n as u64, Some(&n.to_string()));
            assert_eq!(is_first, n < USERS_MAX);
        }
        assert!(
            !counters.request("/health", 0, Some("0")) && !counters.request("/health", 0, None)
        );
        let stats = counters.report();
        assert_eq!(stats.users.len(), USERS_MAX);
        assert_eq!(stats.users_uncounted, 10);
        assert_eq!(stats.arrivals.len(), ARRIVALS_MAX);
        assert_eq!(stats.arrivals[ARRIVALS_MAX - 3].first_byte_unix_ns, (USERS_MAX + 9) as u64);
        assert_eq!(stats.requests_total(), (USERS_MAX + 12) as u64);
    }
}
