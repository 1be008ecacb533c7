//! Keys that an environment has served since the weight last changed, and the users of the last hour.
//!
//! Memory: 450 000 keys of 8 bytes in a table of at most 2^19 places, 5 MB. When it is full every key has
//! the same chance to stay. Of a key that is not in the sample nobody knows whether its cache is warm, so
//! its times are left out, on both sides.

use std::collections::HashSet;

use super::super::record::Side;
use super::super::tick::Tick;
use super::draw::{draw, is_sampled};

/// Keys in the table.
const KEYS_MAX: usize = 450_000;
/// Users who are told apart in half an hour; nobody asks whether there are more.
const USERS_MAX: usize = 1_024;
/// The older half of the hour ends where the younger begins.
const HALF_HOUR: u32 = 30 * 60 * Tick::PER_SECOND;

/// Keys served since the last change.
#[derive(Debug)]
pub struct ServedKeys {
    seed: u64,
    keys: HashSet<u64>,
    halvings: u32,
}

impl ServedKeys {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, keys: HashSet::new(), halvings: 0 }
    }

    /// The weight changed: every cache may be cold.
    pub fn forget(&mut self) {
        self.keys.clear();
        self.halvings = 0;
    }

    /// Whether this side has served the key before. A request without a key is always taken as served.
    pub fn has(&self, side: Side, key: Option<u64>) -> bool {
        key.is_none_or(|key| self.keys.contains(&fingerprint(side, key)))
    }

    /// This side serves the key. Answers whether that is the first time, as far as one can know.
    pub fn add(&mut self, side: Side, key: u64) -> bool {
        let fingerprint = fingerprint(side, key);
        let is_new = self.samples(side, key) && self.keys.insert(fingerprint);
        while self.keys.len() > KEYS_MAX {
            self.halvings += 1;
            let (seed, halvings) = (self.seed, self.halvings);
            self.keys.retain(|kept| is_sampled(draw(seed, kept & !1), halvings));
        }
        is_new
    }

    /// Whether one can know of a key if it was served before.
    pub fn samples(&self, side: Side, key: u64) -> bool {
        is_sampled(draw(self.seed, fingerprint(side, key) & !1), self.halvings)
    }
}

/// A key and whose it is, in 64 bits. Whether it is sampled depends on the key alone.
fn fingerprint(side: Side, key: u64) -> u64 {
    key & !1 | u64::from(side == Side::Candidate)
}

/// The candidate's users of the last half hour to hour.
#[derive(Debug)]
pub struct UsersOfHour {
    /// How many there were before a restart, and when it was. Who has come since is few at first.
    before: u32,
    first: Tick,
    begun: Tick,
    young: Users,
    old: Users,
}

#[derive(Debug, Default)]
struct Users {
    keys: HashSet<u64>,
    without_key: usize,
}

impl UsersOfHour {
    /// From this tick on; so many were there before.
    pub fn new(first: Tick, before: u32) -> Self {
        let (young, old) = (Users::default(), Users::default());
        Self { before, first, begun: first, young, old }
    }

    /// A request of the candidate.
    pub fn see(&mut self, now: Tick, key: Option<u64>) {
        if now.0.saturating_sub(self.begun.0) >= HALF_HOUR {
            self.old = std::mem::take(&mut self.young);
            self.begun = now;
        }
        let users = &mut self.young;
        if users.keys.len() + users.without_key < USERS_MAX {
            match key {
                Some(key) => drop(users.keys.insert(key)),
                None => users.without_key += 1,
            }
        }
    }

    /// How many there are. A request without a key is a user of its own.
    pub fn count(&self, now: Tick) -> u32 {
        let both = self.young.keys.union(&self.old.keys).count();
        let all = both + self.young.without_key + self.old.without_key;
        let is_whole = now.0.saturating_sub(self.first.0) >= HALF_HOUR;
        let before = if is_whole { 0 } else { self.before };
        u32::try_from(all).unwrap_or(u32::MAX).max(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well spread, as hashes are.
    fn key(number: u64) -> u64 {
        draw(99, number)
    }

    #[test]
    fn a_key_is_warm_where_it_was_served_since_the_change() {
        let mut keys = ServedKeys::new(1);
        assert!(!keys.has(Side::Active, Some(8)) && keys.has(Side::Active, None));
        assert!(keys.add(Side::Active, 8) && !keys.add(Side::Active, 8));
        assert!(keys.has(Side::Active, Some(8)) && !keys.has(Side::Candidate, Some(8)));
        keys.forget();
        assert!(!keys.has(Side::Active, Some(8)));
    }

    #[test]
    fn a_full_table_keeps_late_keys_as_well_as_early_ones() {
        let mut keys = ServedKeys::new(1);
        for number in 0..600_000 {
            keys.add(Side::Active, key(number));
        }
        assert!(keys.keys.len() <= KEYS_MAX && keys.keys.len() > KEYS_MAX / 3);
        let kept = |numbers: std::ops::Range<u64>| {
            numbers.filter(|number| keys.has(Side::Active, Some(key(*number)))).count()
        };
        let (early, late) = (kept(0..100_000), kept(500_000..600_000));
        assert!(early.abs_diff(late) < 2_000, "{early} of the first, {late} of the last");
    }

    #[test]
    fn users_of_the_last_hour_are_counted_once() {
        let mut users = UsersOfHour::new(Tick(0), 0);
        for key in [Some(1), Some(1), Some(2), None, None] {
            users.see(Tick(0), key);
        }
        assert_eq!(users.count(Tick(0)), 4);
        users.see(Tick(HALF_HOUR), Some(2));
        assert_eq!(users.count(Tick(HALF_HOUR)), 4);
        users.see(Tick(2 * HALF_HOUR), Some(3));
        assert_eq!(users.count(Tick(2 * HALF_HOUR)), 2, "of the last half hour and this one");
        (0..5_000).for_each(|key| users.see(Tick(2 * HALF_HOUR), Some(key)));
        assert!(users.count(Tick(2 * HALF_HOUR)) <= 2 * u32::try_from(USERS_MAX).unwrap());
    }

    #[test]
    fn users_before_a_restart_count_until_half_an_hour_is_seen() {
        let mut users = UsersOfHour::new(Tick(100), 40);
        users.see(Tick(100), Some(1));
        assert_eq!(users.count(Tick(99 + HALF_HOUR)), 40);
        assert_eq!(users.count(Tick(100 + HALF_HOUR)), 1);
        (0..50).for_each(|key| users.see(Tick(200), Some(key)));
        assert_eq!(users.count(Tick(200)), 50, "more have come since");
    }
}
