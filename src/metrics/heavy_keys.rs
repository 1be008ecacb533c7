//! Finds sticky keys that carry much of a service's traffic, in bounded memory (Misra and Gries, 1982).
//!
//! A key is one user for Cyan and is never split. If one key carries 41 % of the requests, because all
//! of a company comes through one session id, a step of 5 % cannot be kept: the key is on one side or
//! on the other. Somebody has to be told.

/// Counters. What is said of a key's share is too low by at most one part in this many.
const COUNTERS: usize = 128;

/// Keys seen, and the heaviest of them.
#[derive(Debug, Clone)]
pub struct HeavyKeys {
    keys: Box<[u64; COUNTERS]>,
    counts: Box<[u64; COUNTERS]>,
    seen: u64,
}

impl Default for HeavyKeys {
    fn default() -> Self {
        Self { keys: Box::new([0; COUNTERS]), counts: Box::new([0; COUNTERS]), seen: 0 }
    }
}

impl HeavyKeys {
    /// A request with this key; `None` for one without.
    pub fn see(&mut self, key: Option<u64>) {
        self.seen += 1;
        if let Some(key) = key {
            self.add(key, 1);
        }
    }

    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.seen += other.seen;
        for (key, count) in other.keys.iter().zip(other.counts.iter()) {
            if *count > 0 {
                self.add(*key, *count);
            }
        }
    }

    /// The share of the heaviest key, at least; 0 to 1.
    pub fn heaviest(&self) -> f64 {
        let most = self.counts.iter().max().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a share needs two digits")]
        let share = most as f64 / self.seen.max(1) as f64;
        share
    }

    /// Requests seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    fn add(&mut self, key: u64, count: u64) {
        let known = self.keys.iter().zip(self.counts.iter());
        let known = known.into_iter().position(|(known, count)| *known == key && *count > 0);
        if let Some(at) = known.or_else(|| self.counts.iter().position(|count| *count == 0)) {
            self.keys[at] = key;
            self.counts[at] += count;
            return;
        }
        // No counter is free: everybody pays, and whoever has nothing left makes room.
        let least = self.counts.iter().min().copied().unwrap_or(0).min(count);
        self.counts.iter_mut().for_each(|held| *held -= least);
        if count > least {
            self.add(key, count - least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_key_is_found_among_many_light_ones() {
        let (mut one, mut two) = (HeavyKeys::default(), HeavyKeys::default());
        for n in 0..20_000_u64 {
            let key = if n % 10 < 4 { 7 } else { 1000 + n };
            if n % 2 == 0 { &mut one } else { &mut two }.see(Some(key));
        }
        one.merge(&two);
        assert_eq!(one.seen(), 20_000);
        let share = one.heaviest();
        assert!((0.4 - 2.0 / 128.0..=0.4).contains(&share), "{share}");
    }

    #[test]
    fn many_light_keys_and_none_at_all_are_not_heavy() {
        let mut keys = HeavyKeys::default();
        (0..10_000).for_each(|n| keys.see(Some(n)));
        (0..10_000).for_each(|_| keys.see(None));
        assert!(keys.heaviest() < 0.01, "{}", keys.heaviest());
    }
}
