//! How many requests each client has sent lately, over all cores, without a lock.
//!
//! Of a client one number is kept: the time at which it will have earned back all that it took (GCRA, the
//! token bucket without a clock of its own). One that has rested needs no place at all. The table is of a fixed
//! size: 65 536 clients that have not rested, 512 KiB, made when the first service has a limit. A client may
//! stand in any of eight places that a keyed hash gives it; when all are taken, the one that is next to have
//! rested is forgotten. So a full table forgives, and never refuses one client for what others did.
//!
//! A place is one atomic word: 16 bits that tell clients apart, 48 bits of microseconds. Two clients of the
//! same eight places are taken for one once in 65 536.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::client_rate::ClientRate;

/// Places in which a client may stand.
const WAYS: usize = 8;
/// Groups of them; a power of two.
const GROUPS: usize = 1 << 13;
/// Bits of a word that are time: nine years in microseconds.
const TIME_BITS: u32 = 48;
const TIME_MAX: u64 = (1 << TIME_BITS) - 1;
/// A place that others change each time we look is left to them: then the request passes.
const ATTEMPTS_MAX: usize = 32;

/// What clients have sent lately.
#[derive(Debug)]
pub struct ClientRates {
    places: OnceLock<Box<[AtomicU64]>>,
    epoch: Instant,
    seed: u64,
}

impl ClientRates {
    /// Nobody has sent anything. Nobody who does not know the seed can choose with whom to share places.
    pub fn new(epoch: Instant, seed: u64) -> Self {
        Self { places: OnceLock::new(), epoch, seed }
    }

    /// Counts a request of a client of a service.
    ///
    /// # Errors
    /// When it has sent as many as it may: how long until it may send the next.
    pub fn take(
        &self,
        service: &str,
        client: u64,
        rate: &ClientRate,
        now: Instant,
    ) -> Result<(), Duration> {
        let hash = xxh3_64_with_seed(service.as_bytes(), self.seed ^ client);
        let tag = hash >> TIME_BITS << TIME_BITS;
        let group = self.group(hash);
        let now = micros(now.saturating_duration_since(self.epoch));
        let interval = micros(rate.interval()).max(1);
        let room = interval.saturating_mul(u64::from(rate.burst - 1));
        for _ in 0..ATTEMPTS_MAX {
            let (place, word) = place_of(group, tag, now);
            let is_own = word & !TIME_MAX == tag;
            let rested_at = if is_own { (word & TIME_MAX).max(now) } else { now };
            if let Some(wait) = rested_at.checked_sub(now + room).filter(|wait| *wait > 0) {
                return Err(Duration::from_micros(wait));
            }
            let next = tag | rested_at.saturating_add(interval).min(TIME_MAX);
            // Relaxed: the word is all there is, it orders nothing else.
            let (relaxed, place) = (Ordering::Relaxed, &group[place]);
            if place.compare_exchange_weak(word, next, relaxed, relaxed).is_ok() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The places that a hash gives a client; all are made when the first is asked for.
    fn group(&self, hash: u64) -> &[AtomicU64] {
        let new = || (0..GROUPS * WAYS).map(|_| AtomicU64::new(0)).collect();
        let number = usize::try_from(hash % GROUPS as u64).expect("a remainder of 8192");
        &self.places.get_or_init(new)[number * WAYS..][..WAYS]
    }
}

/// The client's place, or the one of whoever has rested longest or will have first; and what stands in it.
fn place_of(group: &[AtomicU64], tag: u64, now: u64) -> (usize, u64) {
    let mut best = (0, u64::MAX, 0);
    for (place, word) in group.iter().enumerate() {
        let word = word.load(Ordering::Relaxed);
        let rested_at = word & TIME_MAX;
        if word & !TIME_MAX == tag && rested_at > now {
            return (place, word);
        }
        if rested_at < best.1 {
            best = (place, rested_at, word);
        }
    }
    (best.0, best.2)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(TIME_MAX).min(TIME_MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn rate(per_second: f64, burst: u32) -> ClientRate {
        ClientRate { burst, ..ClientRate::new(per_second) }
    }

    /// How many of so many requests at one time pass.
    fn passed(rates: &ClientRates, client: u64, rate: &ClientRate, now: Instant) -> usize {
        (0..100).filter(|_| rates.take("chat", client, rate, now).is_ok()).count()
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let (rates, rate) = (ClientRates::new(start, 7), rate(10.0, 20));
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(passed(&rates, 1, &rate, at(0)), 20);
        assert_eq!(rates.take("chat", 1, &rate, at(40)), Err(Duration::from_millis(60)));
        assert_eq!(passed(&rates, 1, &rate, at(100)), 1);
        assert_eq!(passed(&rates, 1, &rate, at(650)), 5);
        assert_eq!(passed(&rates, 1, &rate, at(60_000)), 20, "it has rested");
    }

    #[test]
    fn clients_and_services_have_their_own() {
        let start = Instant::now();
        let (rates, rate) = (ClientRates::new(start, 7), rate(1.0, 1));
        for client in 0..100 {
            assert_eq!(passed(&rates, client, &rate, start), 1, "client {client}");
        }
        assert!(rates.take("images", 1, &rate, start).is_ok());
    }

    #[test]
    fn a_full_table_forgives_and_refuses_nobody_new() {
        let start = Instant::now();
        let (rates, rate) = (ClientRates::new(start, 7), rate(0.01, 1));
        let everybody = 4 * (GROUPS * WAYS) as u64;
        let refused = (0..everybody).filter(|c| rates.take("chat", *c, &rate, start).is_err());
        // Two in one place of eight, once in 65 536 pairs.
        assert!(refused.count() < 200);
    }

    #[test]
    fn cores_count_together() {
        let start = Instant::now();
        let (rates, rate) = (Arc::new(ClientRates::new(start, 7)), rate(0.01, 50));
        let core = || {
            let (rates, rate) = (Arc::clone(&rates), rate.clone());
            std::thread::spawn(move || passed(&rates, 1, &rate, start))
        };
        let cores = [core(), core()];
        let passed: usize = cores.into_iter().map(|core| core.join().unwrap()).sum();
        assert_eq!(passed, 50);
    }
}
