//! What became of the requests that began in the same second.
//!
//! A comparison of environments must not count by the time of the end: errors end fast and good answers
//! stream for long, so counting ends accuses every healthy environment whose traffic grows. So each
//! event of an exchange is counted for the second in which the exchange *began*, with the age it had.
//!
//! A core keeps no exchange for this: it counts (environment, second of arrival, mark, class of age), and
//! hands the counts over at each collection. `cohort_log` puts them together.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::age::AgeClass;
use super::near_map::NearMap;
use crate::model::environment::EnvironmentId;

/// Different counts that a core holds between two collections: 1.7 MB when all are of one environment,
/// 2 MB however they are spread over several. What the present second brings fills some hundreds; as old
/// exchanges end there is one more for each second that they began in.
const ENTRIES_MAX: usize = 1 << 16;

/// What happened to an exchange, as its cohort counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mark {
    /// It entered its environment (age 0).
    Began,
    /// It left again for another environment before anything was sent: as if it had never begun.
    Withdrawn,
    /// First content of a streamed answer; last byte of any other good one.
    FirstContent,
    /// It failed before its first content.
    FailedEarly,
    /// It failed after its first content.
    FailedLate,
    /// The upstream refused the request (4xx but 408, 429, 499).
    Refused,
    /// It ended in a way that holds a rollout when it becomes more frequent.
    Watched,
    /// The client left. (It is `Watched` too.)
    Left,
    /// It ended, however, after its first content.
    Ended,
    /// It ended, however, and there had been no first content.
    EndedEarly,
}

impl Mark {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Began,
        Self::Withdrawn,
        Self::FirstContent,
        Self::FailedEarly,
        Self::FailedLate,
        Self::Refused,
        Self::Watched,
        Self::Left,
        Self::Ended,
        Self::EndedEarly,
    ];
}

/// A mark and a class of age as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkAtAge(u16);

/// Bits for the class of age: there are fewer than 512.
const AGE_BITS: u32 = 9;

impl MarkAtAge {
    /// This mark at this age.
    pub fn new(mark: Mark, age: AgeClass) -> Self {
        Self((mark as u16) << AGE_BITS | age.number())
    }

    /// The mark.
    pub fn mark(self) -> Mark {
        Mark::ALL[usize::from(self.0 >> AGE_BITS)]
    }

    /// The class of age.
    pub fn age(self) -> AgeClass {
        AgeClass(self.0 & ((1 << AGE_BITS) - 1))
    }
}

/// By second of arrival.
type MarkCounts = HashMap<(u32, MarkAtAge), u32, BuildHasherDefault<Mix>>;

/// What one core saw since it was last collected.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    environments: NearMap<EnvironmentId, MarkCounts>,
    entries: usize,
    lost: u64,
}

impl Marks {
    /// Counts a mark of an exchange that arrived in this second.
    pub fn add(&mut self, environment: EnvironmentId, second: u32, mark: Mark, age: Duration) {
        let code = MarkAtAge::new(mark, AgeClass::of(age));
        let key = (second, code);
        let counts = self.environments.of(environment);
        if let Some(count) = counts.get_mut(&key) {
            *count = count.saturating_add(1);
        } else if self.entries < ENTRIES_MAX {
            counts.insert(key, 1);
            self.entries += 1;
        } else {
            self.lost += 1;
        }
    }

    /// Every count: environment, second of arrival, mark at age, how often.
    pub fn iter(&self) -> impl Iterator<Item = (EnvironmentId, u32, MarkAtAge, u32)> {
        self.environments.iter().flat_map(|(environment, counts)| {
            counts.iter().map(move |((second, code), count)| (environment, *second, *code, *count))
        })
    }

    /// Marks that found no place.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Spreads the bits of a key that nobody outside can choose; twice as fast as the hash made for keys
/// that somebody can.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // The odd constant is 2^64 over the golden ratio (Knuth's multiplicative hashing); the table takes
        // its index from the low bits, and turning brings the well-mixed high ones down there.
        let product = (self.0.rotate_left(20) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_list_and_codes_keep_both_halves() {
        for (index, mark) in Mark::ALL.iter().enumerate() {
            assert_eq!(*mark as usize, index);
            for age in [0, 1, 313].map(AgeClass) {
                let code = MarkAtAge::new(*mark, age);
                assert_eq!((code.mark(), code.age()), (*mark, age));
            }
        }
    }

    #[test]
    fn what_a_core_holds_is_bounded_and_the_rest_is_counted() {
        let mut marks = Marks::default();
        for second in 0..100_000 {
            marks.add(EnvironmentId(1), second, Mark::Ended, Duration::from_secs(1));
            marks.add(EnvironmentId(1), 5, Mark::Ended, Duration::from_secs(1));
        }
        assert_eq!(marks.iter().count(), ENTRIES_MAX);
        assert_eq!(marks.lost(), 100_000 - ENTRIES_MAX as u64);
        let fifth = marks.iter().find(|(_, second, ..)| *second == 5).unwrap();
        assert_eq!((fifth.2.mark(), fifth.3), (Mark::Ended, 100_001));
        // Slots are a power of two, of which a part stays free, and each has a byte beside it.
        let slots = marks.environments.of(EnvironmentId(1)).capacity().next_power_of_two();
        assert_eq!(slots * (size_of::<((u32, MarkAtAge), u32)>() + 1), 1_703_936);
    }
}
