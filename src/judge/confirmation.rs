//! When a rollback needs no confirmation by users, and what takes its place after the switch.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::quality::Shortfall;
use super::record::{ErrorReading, Hit, HitKind, Side};

/// Requests that are looked at.
const REQUESTS_MIN: u32 = 10;
/// Of these, the share that must have failed.
const FAILED_MIN: f64 = 0.9;
/// ... of so many users at least.
const USERS_MIN: usize = 3;
/// Users behind the failures after the switch.
const USERS_AFTER_SWITCH_MIN: usize = 5;

/// Whether the candidate fails for everybody: its last requests, as they were at the age of 250 ms. To
/// wait for more users would be to give it more users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TotalFailure {
    recent: VecDeque<Recent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recent {
    n: u32,
    failed: u32,
    /// Users behind the failures, no more than are asked for.
    users: Vec<Option<u64>>,
}

impl TotalFailure {
    /// Takes in a reading at the age of 250 ms.
    pub fn read(&mut self, reading: &ErrorReading) {
        let counts = reading.counts.candidate;
        if counts.n == 0 {
            return;
        }
        let users = reading.hits.iter().filter(|hit| is_failure(hit));
        let users = users.map(|hit| hit.key).take(USERS_MIN * 4).collect();
        self.recent.push_back(Recent { n: counts.n, failed: counts.early + counts.late, users });
        let mut n: u32 = self.recent.iter().map(|recent| recent.n).sum();
        while let Some(first) = self.recent.front().filter(|first| n - first.n >= REQUESTS_MIN) {
            n -= first.n;
            self.recent.pop_front();
        }
    }

    /// Whether nine in ten of the last requests failed, of three users at least.
    pub fn is_total(&self) -> bool {
        let sum = |of: fn(&Recent) -> u32| self.recent.iter().map(of).sum::<u32>();
        let (n, failed) = (sum(|recent| recent.n), sum(|recent| recent.failed));
        n >= REQUESTS_MIN
            && f64::from(failed) >= FAILED_MIN * f64::from(n)
            && self.users() >= USERS_MIN
    }

    fn users(&self) -> usize {
        let users = || self.recent.iter().flat_map(|recent| &recent.users);
        let keys: HashSet<u64> = users().filter_map(|key| *key).collect();
        keys.len() + users().filter(|key| key.is_none()).count()
    }

    /// The share changed: what was before says nothing about now.
    pub fn forget(&mut self) {
        self.recent.clear();
    }
}

fn is_failure(hit: &Hit) -> bool {
    hit.side == Side::Candidate && matches!(hit.kind, HitKind::Early | HitKind::Late)
}

/// Whether failures come from several users, none of whom has most of them. Where fewer users than that
/// were there at all, fewer are enough.
pub fn comes_from_many(hits: impl Iterator<Item = Option<u64>>, users_seen: Option<u32>) -> bool {
    is_of_many(hits.map(|key| (key, 1.0)), users_seen)
}

/// The same of scores: whether several users' fall short of the limit, and none of them has most of what all
/// users together fall short. (Of healthy scores many are below the limit, and more are above: to count
/// those below would take the low scores of one user for everybody's.)
pub fn falls_short_for_many(
    shortfalls: impl Iterator<Item = Shortfall>,
    users_seen: Option<u32>,
) -> bool {
    is_of_many(shortfalls.map(|shortfall| (shortfall.key, shortfall.points)), users_seen)
}

/// Whether amounts, which may be negative, are those of several users.
fn is_of_many(amounts: impl Iterator<Item = (Option<u64>, f64)>, users_seen: Option<u32>) -> bool {
    let mut by_key: HashMap<u64, f64> = HashMap::new();
    let (mut all, mut keyless) = (0.0, 0_usize);
    for (key, amount) in amounts {
        all += amount;
        match key {
            Some(key) => *by_key.entry(key).or_default() += amount,
            None => keyless += usize::from(amount > 0.0),
        }
    }
    let seen = users_seen.and_then(|seen| usize::try_from(seen).ok()).unwrap_or(usize::MAX);
    let needed = USERS_AFTER_SWITCH_MIN.min(seen.max(1));
    let largest = by_key.values().copied().fold(0.0, f64::max);
    // Of two users, one always has half.
    let is_spread = needed < 3 || largest * 2.0 <= all;
    let users = by_key.values().filter(|amount| **amount > 0.0).count();
    users + keyless >= needed && is_spread
}

#[cfg(test)]
mod tests {
    use super::super::record::{Both, ErrorAge, ErrorCounts};
    use super::super::tick::Tick;
    use super::*;

    fn reading(n: u32, failed_keys: &[Option<u64>]) -> ErrorReading {
        let early = u32::try_from(failed_keys.len()).unwrap();
        let candidate = ErrorCounts { n, early, ..ErrorCounts::default() };
        let hit =
            |key: &Option<u64>| Hit { side: Side::Candidate, key: *key, kind: HitKind::Early };
        ErrorReading {
            age: ErrorAge::Quarter,
            from: Tick(0),
            until: Tick(1),
            counts: Both { active: ErrorCounts::default(), candidate },
            hits: failed_keys.iter().map(hit).collect(),
        }
    }

    #[test]
    fn total_failure_needs_ten_requests_nine_failures_three_users() {
        let of = |users: u64, failed: u64| -> Vec<Option<u64>> {
            (0..failed).map(|index| Some(index % users)).collect()
        };
        for (n, failed, total) in [
            (9, of(3, 9), false),
            (10, of(3, 9), true),
            (10, of(2, 10), false),
            (10, of(3, 8), false),
            (10, vec![None; 9], true),
        ] {
            let mut failure = TotalFailure::default();
            failure.read(&reading(n, &failed));
            assert_eq!(failure.is_total(), total, "{failed:?} of {n}");
        }
    }

    #[test]
    fn a_healthy_past_is_forgotten_after_ten_requests() {
        let mut failure = TotalFailure::default();
        (0..1_000).for_each(|_| failure.read(&reading(1, &[])));
        (0..10).for_each(|key| failure.read(&reading(1, &[Some(key)])));
        assert!(failure.is_total());
        assert!(failure.recent.len() <= 10);
    }

    #[test]
    fn many_means_five_users_or_all_there_are() {
        let keys = |counts: &[usize]| -> Vec<Option<u64>> {
            let each = (0..).zip(counts);
            each.flat_map(|(key, count)| vec![Some(key); *count]).collect()
        };
        for (hits, seen, many) in [
            (keys(&[1, 1, 1, 1, 1]), None, true),
            (keys(&[1, 1, 1, 1]), None, false),
            (keys(&[9, 1, 1, 1, 1]), None, false),
            (vec![None; 5], None, true),
            (keys(&[2, 2, 2]), Some(3), true),
            (keys(&[7, 2]), Some(2), true),
            (keys(&[7]), Some(1), true),
            (keys(&[]), Some(1), false),
        ] {
            assert_eq!(comes_from_many(hits.iter().copied(), seen), many, "{hits:?} of {seen:?}");
        }
    }

    #[test]
    fn scores_of_one_user_are_not_made_everybodys_by_others_that_vary() {
        let limit = 0.7;
        let of = |key: u64, scores: &[f64]| -> Vec<Shortfall> {
            let short = |score: &f64| Shortfall { key: Some(key), points: limit - score };
            scores.iter().map(short).collect()
        };
        let healthy = (1..20).flat_map(|key| of(key, &[0.6, 0.65, 0.9]));
        let low = (1..20).flat_map(|key| of(key, &[0.5, 0.6, 0.7]));
        for (what, scores, many) in [
            ("one user's", of(0, &[0.1; 60]), false),
            ("one user's among healthy ones", healthy.chain(of(0, &[0.1; 60])).collect(), false),
            ("everybody's", low.collect(), true),
            ("four users'", (1..5).flat_map(|key| of(key, &[0.1])).collect(), false),
        ] {
            assert_eq!(falls_short_for_many(scores.into_iter(), None), many, "{what}");
        }
    }
}
