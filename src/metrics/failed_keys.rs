//! The sticky keys of exchanges that failed, as a fair sample in bounded memory.
//!
//! Users are unequal: one with a broken prompt fails a hundred times. So a judge also counts keys, each
//! once. When there are too many to hold, every key has the same chance to stay: those whose second
//! hash falls into the sampled share, which is halved each time the set is full. (Keeping the first to
//! come would fill the set with whoever asks most.) Whether a key is in the sample depends on the key
//! alone, so both environments and all cores sample the same users.

use std::collections::HashMap;

/// Keys held: 34 KB, per environment on every core and once more in the log of cohorts. Twice what a
/// judge of users needs to see a doubling of failures.
const KEYS_MAX: usize = 1024;

/// Keys that failed, with the second in which the first failed exchange of each began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedKeys {
    keys: HashMap<u64, u32>,
    halvings: u32,
}

impl FailedKeys {
    /// An exchange with this key failed that began in this second.
    pub fn see(&mut self, key: u64, second: u32) {
        if second_hash(key).leading_zeros() < self.halvings {
            return;
        }
        let first = self.keys.entry(key).or_insert(second);
        *first = second.min(*first);
        while self.keys.len() > KEYS_MAX {
            self.halve_to(self.halvings + 1);
        }
    }

    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.halve_to(self.halvings.max(other.halvings));
        for (key, second) in &other.keys {
            self.see(*key, *second);
        }
    }

    /// The sampled keys, each with the second in which its first failed exchange began.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.keys.iter().map(|(key, second)| (*key, *second))
    }

    /// The share of all keys that is sampled, 0 to 1.
    pub fn sampled_share(&self) -> f64 {
        0.5_f64.powi(i32::try_from(self.halvings).unwrap_or(i32::MAX))
    }

    /// Whether a key would be in the sample if it failed: what to count as users in its comparison.
    pub fn samples(&self, key: u64) -> bool {
        second_hash(key).leading_zeros() >= self.halvings
    }

    fn halve_to(&mut self, halvings: u32) {
        if halvings > self.halvings {
            self.halvings = halvings;
            self.keys.retain(|key, _| second_hash(*key).leading_zeros() >= halvings);
        }
    }
}

/// Independent of the hash by which a key is given its environment: the finisher of `SplitMix64` (Steele
/// et al., 2014), whose every output bit depends on every input bit.
fn second_hash(key: u64) -> u64 {
    let mut mixed = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_set_keeps_a_fair_share_and_not_the_first() {
        let mut keys = FailedKeys::default();
        (0..100_000).for_each(|key| keys.see(key, 1));
        assert!(keys.keys.len() <= KEYS_MAX && keys.keys.len() > KEYS_MAX / 4);
        let late = keys.iter().filter(|(key, _)| *key >= 50_000).count();
        let half = keys.keys.len() / 2;
        assert!(late.abs_diff(half) < half / 4, "{late} of {}", keys.keys.len());
        #[expect(clippy::cast_precision_loss, reason = "a thousand keys")]
        let estimate = keys.keys.len() as f64 / keys.sampled_share();
        assert!((80_000.0..=120_000.0).contains(&estimate), "{estimate}");
    }

    #[test]
    fn a_full_set_is_as_large_as_is_said() {
        let mut keys = FailedKeys::default();
        (0..100_000).for_each(|key| keys.see(key, 1));
        // Slots are a power of two, of which a part stays free, and each has a byte beside it.
        let slots = keys.keys.capacity().next_power_of_two();
        assert_eq!(slots * (size_of::<(u64, u32)>() + 1), 34_816);
    }

    #[test]
    fn the_sample_does_not_depend_on_who_saw_a_key_or_when() {
        let mut all = FailedKeys::default();
        (0..5_000).for_each(|key| all.see(key, 9 - u32::try_from(key % 7).unwrap()));
        let mut parts = [FailedKeys::default(), FailedKeys::default(), FailedKeys::default()];
        for key in (0..5_000).rev() {
            let part = &mut parts[usize::try_from(key % 3).unwrap()];
            part.see(key, 9);
            part.see(key, 9 - u32::try_from(key % 7).unwrap());
        }
        let mut merged = FailedKeys::default();
        parts.iter().for_each(|part| merged.merge(part));
        assert_eq!(merged, all);
        assert!(merged.iter().all(|(key, _)| merged.samples(key)));
    }
}
