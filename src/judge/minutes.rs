//! Old records, summed per minute: what is left of a rollout when the disk needs room.
//!
//! Sums are records like any other and replay like any other; the judge is then asked once a minute
//! instead of four times a second, so a decision may show up to a minute late. Counts, users and scores
//! are the same.
//!
//! Only what touches is summed: the tick in which a share changed is left out of every reading, so
//! nothing is ever summed over a change. And no reading gets more hits than a record may have.

use super::record::{
    Arrivals, ErrorReading, HITS_MAX, Hit, LimitReading, Record, SlowReading, TickRecord,
};
use super::tick::Tick;

/// Ticks of a minute.
const MINUTE: u32 = 60 * Tick::PER_SECOND;

/// Whether two moments lie in the same minute of a rollout.
pub fn is_same_minute(a: Tick, b: Tick) -> bool {
    a.0 / MINUTE == b.0 / MINUTE
}

/// Records of one rollout, in their order, with one for each minute instead of one for each tick. A
/// change of the share and a resume stay where they are.
pub fn summed(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut sums: Vec<Record> = Vec::new();
    for record in records {
        match (sums.last_mut(), record) {
            (Some(Record::Tick(sum)), Record::Tick(next)) if is_same_minute(sum.now, next.now) => {
                add(sum, next);
            }
            (_, record) => sums.push(record),
        }
    }
    sums
}

fn add(sum: &mut TickRecord, next: TickRecord) {
    sum.now = next.now;
    join(&mut sum.arrivals, next.arrivals);
    join(&mut sum.errors, next.errors);
    join(&mut sum.slow, next.slow);
    join(&mut sum.limit, next.limit);
    sum.scores.extend(next.scores);
    match (&mut sum.new_keys, next.new_keys) {
        (Some(sum), Some(next)) => *sum += next,
        (sum, next) => *sum = sum.or(next),
    }
    sum.keys_of_hour = next.keys_of_hour.or(sum.keys_of_hour);
    sum.final_age = next.final_age.or(sum.final_age);
}

/// Puts each to the last one of the same question, where it goes on from its end.
fn join<T: Counted>(sums: &mut Vec<T>, more: Vec<T>) {
    for mut next in more {
        let same = sums.iter_mut().rev().find(|sum| sum.asks_as(&next));
        if same.is_none_or(|same| !extend(same, &mut next)) {
            sums.push(next);
        }
    }
}

/// Whether the one could be put to the other.
fn extend<T: Counted>(last: &mut T, next: &mut T) -> bool {
    let (before, after) = (last.extent(), next.extent());
    let hits = before.hits.as_ref().map_or(0, |hits| hits.len());
    if *before.until != after.from || hits + after.hits.as_ref().map_or(0, |h| h.len()) > HITS_MAX {
        return false;
    }
    *before.until = *after.until;
    if let (Some(before), Some(after)) = (before.hits, after.hits) {
        before.append(after);
    }
    last.count(next);
    true
}

/// Counts of the requests that began in some ticks.
trait Counted {
    /// Whether it answers the same question.
    fn asks_as(&self, other: &Self) -> bool;
    /// The ticks, and the requests behind the counts.
    fn extent(&mut self) -> Extent<'_>;
    /// Adds the other's counts.
    fn count(&mut self, other: &Self);
}

struct Extent<'a> {
    from: Tick,
    until: &'a mut Tick,
    hits: Option<&'a mut Vec<Hit>>,
}

impl Counted for Arrivals {
    fn asks_as(&self, _: &Self) -> bool {
        true
    }

    fn extent(&mut self) -> Extent<'_> {
        Extent { from: self.from, until: &mut self.until, hits: None }
    }

    fn count(&mut self, other: &Self) {
        self.n += other.n;
    }
}

impl Counted for ErrorReading {
    fn asks_as(&self, other: &Self) -> bool {
        self.age == other.age
    }

    fn extent(&mut self) -> Extent<'_> {
        Extent { from: self.from, until: &mut self.until, hits: Some(&mut self.hits) }
    }

    fn count(&mut self, other: &Self) {
        self.counts += other.counts;
    }
}

impl Counted for SlowReading {
    fn asks_as(&self, other: &Self) -> bool {
        (self.measure, self.quantile) == (other.measure, other.quantile)
    }

    fn extent(&mut self) -> Extent<'_> {
        Extent { from: self.from, until: &mut self.until, hits: Some(&mut self.hits) }
    }

    fn count(&mut self, other: &Self) {
        self.counts += other.counts;
    }
}

impl Counted for LimitReading {
    fn asks_as(&self, _: &Self) -> bool {
        true
    }

    fn extent(&mut self) -> Extent<'_> {
        Extent { from: self.from, until: &mut self.until, hits: Some(&mut self.hits) }
    }

    fn count(&mut self, other: &Self) {
        self.n += other.n;
        self.over += other.over;
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::record::{Both, Change, ErrorAge, ErrorCounts, HitKind, Resume, Side};
    use super::*;

    /// A tick in which ten requests came to each side, and what had become of those before it.
    fn tick(now: u32) -> Record {
        let (from, until) = (Tick(now - 1), Tick(now));
        let n = Both { active: 10, candidate: 10 };
        let failed = ErrorCounts { n: 10, early: 1, ..ErrorCounts::default() };
        let hit = Hit { side: Side::Candidate, key: Some(u64::from(now)), kind: HitKind::Early };
        Record::Tick(TickRecord {
            now: Tick(now),
            arrivals: vec![Arrivals { from, until, n }],
            errors: vec![ErrorReading {
                age: ErrorAge::Quarter,
                from,
                until,
                counts: Both {
                    active: ErrorCounts { n: 10, ..ErrorCounts::default() },
                    candidate: failed,
                },
                hits: vec![hit],
            }],
            new_keys: Some(n),
            ..TickRecord::default()
        })
    }

    fn change(at: u32, share: f64) -> Record {
        Record::Change(Change { at: Tick(at), share, planned: true })
    }

    fn ticks(sums: &[Record]) -> Vec<&TickRecord> {
        let of_ticks = sums.iter().filter_map(|record| match record {
            Record::Tick(tick) => Some(tick),
            _ => None,
        });
        of_ticks.collect()
    }

    #[test]
    fn a_minute_is_one_record_with_all_counts_and_users() {
        let records = std::iter::once(change(1, 0.1)).chain((2..=480).map(tick));
        let sums = summed(records);
        let ticks = ticks(&sums);
        assert_eq!(
            ticks.iter().map(|tick| tick.now).collect::<Vec<_>>(),
            [Tick(239), Tick(479), Tick(480)]
        );
        let first = &ticks[0];
        assert_eq!(
            (first.arrivals.len(), first.errors.len(), first.errors[0].hits.len()),
            (1, 1, 238)
        );
        assert_eq!(first.arrivals[0].n.candidate, 2_380);
        assert_eq!(first.errors[0].counts.candidate.early, 238);
        assert_eq!(first.new_keys.map(|keys| keys.active), Some(2_380));
        let mut order = Order::default();
        sums.iter().try_for_each(|record| order.hear(record)).expect("sums keep the rules");
    }

    #[test]
    fn nothing_is_summed_over_a_change_or_a_resume_or_a_gap() {
        let resume = Record::Resume(Resume { at: Tick(6) });
        let records =
            [change(1, 0.1), tick(2), tick(3), change(5, 0.5), tick(6), resume, tick(7), tick(9)];
        let sums = summed(records);
        assert_eq!(sums.len(), 6);
        let ticks = ticks(&sums);
        assert_eq!(ticks.iter().map(|tick| tick.arrivals.len()).collect::<Vec<_>>(), [1, 1, 2]);
        let mut order = Order::default();
        sums.iter().try_for_each(|record| order.hear(record)).expect("sums keep the rules");
    }

    #[test]
    fn a_reading_keeps_to_its_number_of_hits() {
        let with_hits = |now| {
            let Record::Tick(mut tick) = tick(now) else { unreachable!("a tick") };
            tick.errors[0].hits = vec![tick.errors[0].hits[0]; 400];
            Record::Tick(tick)
        };
        let sums = summed([change(1, 0.1), with_hits(2), with_hits(3), with_hits(4)]);
        let hits: Vec<usize> = ticks(&sums)[0].errors.iter().map(|read| read.hits.len()).collect();
        assert_eq!(hits, [800, 400]);
    }

    #[test]
    fn sums_stay_as_they_are_when_they_are_summed_again() {
        let once = summed(std::iter::once(change(1, 0.1)).chain((2..=700).map(tick)));
        assert_eq!(summed(once.clone()), once);
    }
}
