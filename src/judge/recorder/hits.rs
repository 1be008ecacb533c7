//! The requests behind the counts, by key, in bounded numbers.

use std::collections::HashSet;

use super::super::record::{HITS_MAX, Hit, HitKind};
use super::super::tick::Tick;
use super::draw::{draw, is_sampled};

/// Keys of which a question knows that they were told in this epoch. Whoever comes when there is no more
/// room is told again, which does no harm.
const TOLD_MAX: usize = 1 << 14;
/// An epoch of users ends after an hour, or with a change.
const EPOCH: u32 = 3_600 * Tick::PER_SECOND;

/// A failure that waits to be read at each age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What it drew: the lowest are told of.
    pub drawn: u64,
    /// The request's number.
    pub exchange: u64,
    /// The age at which it happened.
    pub age_ms: u32,
    /// Whose it is.
    pub hit: Hit,
}

/// The failures of one tick.
#[derive(Debug, Default)]
pub struct Failures {
    failures: Vec<Failure>,
}

impl Failures {
    /// Adds one; answers by how much there are more now.
    pub fn add(&mut self, failure: Failure) -> usize {
        if self.failures.len() < HITS_MAX {
            self.failures.push(failure);
            return 1;
        }
        let largest = self.failures.iter_mut().max_by_key(|kept| kept.drawn);
        if let Some(largest) = largest.filter(|largest| failure.drawn < largest.drawn) {
            *largest = failure;
        }
        0
    }

    /// Takes back the watched end of a client that left; answers how many are gone.
    pub fn take_back(&mut self, exchange: u64) -> usize {
        let is_meant =
            |kept: &Failure| kept.exchange == exchange && kept.hit.kind == HitKind::Watched;
        let at = self.failures.iter().rposition(is_meant);
        at.map_or(0, |at| {
            self.failures.swap_remove(at);
            1
        })
    }

    /// Keeps a sample that was halved so often; answers how many are left.
    pub fn thin(&mut self, halvings: u32) -> usize {
        self.failures.retain(|kept| is_sampled(kept.drawn, halvings));
        self.failures.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.failures.len()
    }

    /// Those that had happened by an age, each with what it drew.
    pub fn by_age(&self, age_ms: u32) -> impl Iterator<Item = (u64, Hit)> {
        let reached = self.failures.iter().filter(move |failure| failure.age_ms <= age_ms);
        reached.map(|failure| (failure.drawn, failure.hit))
    }
}

/// The hits of one reading: those with the lowest numbers, in their order.
pub fn lowest(mut drawn: Vec<(u64, Hit)>) -> Vec<Hit> {
    drawn.sort_unstable_by_key(|(drawn, hit)| (*drawn, hit.side as u8, hit.key));
    drawn.truncate(HITS_MAX);
    drawn.into_iter().map(|(_, hit)| hit).collect()
}

/// What a question has told of in this epoch: beyond the first hit of a key nobody needs another.
#[derive(Debug, Default)]
pub struct Told {
    epoch: Tick,
    told: HashSet<u64>,
}

impl Told {
    /// Keeps hits that are news in an epoch.
    pub fn keep_news(&mut self, epoch: Tick, hits: &mut Vec<(u64, Hit)>) {
        if self.epoch != epoch {
            (self.epoch, self.told) = (epoch, HashSet::new());
        }
        // In the order of their numbers, so that it does not matter which was heard of first.
        hits.sort_unstable_by_key(|(drawn, hit)| (*drawn, hit.side as u8, hit.key));
        hits.retain(|(_, hit)| {
            let Some(key) = hit.key else { return true };
            let told = draw(hit.kind as u64, key ^ (hit.side as u64));
            if self.told.len() < TOLD_MAX {
                self.told.insert(told)
            } else {
                !self.told.contains(&told)
            }
        });
    }
}

/// The beginning of the epoch that a tick lies in, after a change.
pub fn epoch_of(tick: Tick, changed: Tick) -> Tick {
    let hours = tick.0.saturating_sub(changed.0) / EPOCH;
    Tick(changed.0 + hours * EPOCH)
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Side;
    use super::*;

    fn hit(key: u64) -> Hit {
        Hit { side: Side::Active, key: Some(key), kind: HitKind::Early }
    }

    fn failure(drawn: u64, kind: HitKind) -> Failure {
        let hit = Hit { kind, ..hit(drawn) };
        Failure { drawn, exchange: drawn, age_ms: 100, hit }
    }

    #[test]
    fn of_too_many_the_lowest_stay_in_whatever_order_they_come() {
        let many = u64::try_from(HITS_MAX).unwrap() * 2;
        let (mut up, mut down) = (Failures::default(), Failures::default());
        for number in 0..many {
            up.add(failure(number, HitKind::Early));
            down.add(failure(many - 1 - number, HitKind::Early));
        }
        let read = |failures: &Failures| lowest(failures.by_age(100).collect());
        assert_eq!(read(&up), read(&down));
        assert_eq!((read(&up).len(), read(&up)[7].key), (HITS_MAX, Some(7)));
        assert_eq!(up.by_age(99).count(), 0);
    }

    #[test]
    fn only_the_watched_end_of_who_left_is_taken_back() {
        let mut failures = Failures::default();
        failures.add(failure(1, HitKind::Watched));
        failures.add(failure(2, HitKind::Late));
        assert_eq!((failures.take_back(2), failures.take_back(1), failures.len()), (0, 1, 1));
    }

    #[test]
    fn a_key_is_told_once_in_an_epoch() {
        let mut told = Told::default();
        let mut news = |epoch, hits: &[Hit]| {
            let mut hits: Vec<_> = hits.iter().map(|hit| (1, *hit)).collect();
            told.keep_news(epoch, &mut hits);
            hits.len()
        };
        let keyless = Hit { key: None, ..hit(0) };
        assert_eq!(news(Tick(0), &[hit(1), hit(1), hit(2), keyless, keyless]), 4);
        assert_eq!(news(Tick(0), &[hit(1), keyless]), 1);
        assert_eq!(news(Tick(0), &[Hit { kind: HitKind::Late, ..hit(1) }]), 1);
        assert_eq!(news(Tick(EPOCH), &[hit(1)]), 1);
    }

    #[test]
    fn epochs_begin_with_a_change_and_each_hour_after() {
        for (tick, epoch) in [(100, 100), (100 + EPOCH - 1, 100), (100 + EPOCH, 100 + EPOCH)] {
            assert_eq!(epoch_of(Tick(tick), Tick(100)), Tick(epoch));
        }
    }
}
