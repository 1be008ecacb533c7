//! Which keys have already had their say, in bounded memory.
//!
//! When there are too many, every key has the same chance to stay: those whose second hash falls into
//! the sampled share, which is halved each time the set is full. (First come, first kept, would keep
//! whoever asks most.) Whether a key is sampled depends on the key alone, never on its environment.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Keys held: some 100 KB.
const KEYS_MAX: usize = 4_096;

/// Keys, each with a set of small numbers (an age, a quantile) for which it has been counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeySet {
    keys: HashMap<u64, u8>,
    halvings: u32,
}

impl KeySet {
    /// Whether this key counts now for this number (0 to 7): it is sampled, and for the first time.
    pub fn is_first(&mut self, key: u64, number: usize) -> bool {
        if !self.samples(key) {
            return false;
        }
        let seen = self.keys.entry(key).or_insert(0);
        let bit = 1 << number;
        let is_first = *seen & bit == 0;
        *seen |= bit;
        while self.keys.len() > KEYS_MAX {
            self.halvings += 1;
            let halvings = self.halvings;
            self.keys.retain(|key, _| second_hash(*key).leading_zeros() >= halvings);
        }
        is_first
    }

    fn samples(&self, key: u64) -> bool {
        second_hash(key).leading_zeros() >= self.halvings
    }
}

/// Independent of the hash that chooses the environment (the finalizer of splitmix64, Steele et al. 2014).
fn second_hash(key: u64) -> u64 {
    let mixed = (key ^ (key >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_once_per_number() {
        let mut keys = KeySet::default();
        assert!(keys.is_first(7, 0) && keys.is_first(7, 2));
        assert!(!keys.is_first(7, 0) && !keys.is_first(7, 2));
    }

    #[test]
    fn memory_is_bounded_and_late_keys_are_sampled_like_early_ones() {
        let mut keys = KeySet::default();
        let counted = |keys: &mut KeySet, range: std::ops::Range<u64>| {
            range.filter(|key| keys.is_first(key.wrapping_mul(0x9E37_79B9_7F4A_7C15), 1)).count()
        };
        counted(&mut keys, 0..100_000);
        assert!(keys.keys.len() <= KEYS_MAX);
        let late = counted(&mut keys, 100_000..110_000);
        let share = 0.5_f64.powi(i32::try_from(keys.halvings).unwrap()) * 10_000.0;
        let late = f64::from(u32::try_from(late).unwrap());
        assert!(late > 0.4 * share && late < 1.3 * share, "{late} of about {share}");
    }
}
