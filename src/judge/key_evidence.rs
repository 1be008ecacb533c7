//! The same question asked by users instead of requests.
//!
//! With sticky keys the lot is drawn per key, not per request: when a few users cause most failures, it
//! takes only bad luck for them to meet on the candidate. So each key counts once, when it is first hit.
//!
//! An hour, or a step, is an epoch: it asks anew with an empty set of keys, else a fault that begins late
//! would find every key used up. Epochs are averaged and never multiplied, because a key stays where it
//! is: the same bad luck would count again each hour (`epoch_weights` says how much each one counts).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::e_process::{Onset, Tally};
use super::epoch_weights::EpochWeights;
use super::key_set::KeySet;
use super::likelihood::{ODDS, Relative};
use super::record::{Both, Change, Side};
use super::start_weights::StartWeights;
use super::tick::Tick;

/// How long an epoch lasts when no step ends it.
const EPOCH: Duration = Duration::from_secs(3_600);
/// How long after its end an epoch is still read: the longest age, and time to read it.
const READ_AFTER_END: Duration = Duration::from_secs(35 * 60);
/// Epochs that are open for reading; more only if the share changes every few minutes.
const OPEN_MAX: usize = 12;

/// Evidence by keys for one metric, in one or more parts (ages, quantiles).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyEvidence {
    parts: usize,
    epochs: VecDeque<Epoch>,
    weights: EpochWeights,
    /// What epochs that are read no more have brought.
    settled: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Epoch {
    from: Tick,
    /// Whether it goes on where an hour ended; else it began with a change.
    continues: bool,
    /// The candidate's share of keys.
    share: f64,
    /// The epoch's share of the coin.
    weight: f64,
    evidence: Average,
    keys: KeySet,
}

impl KeyEvidence {
    /// Before anything was seen; at most 8 parts.
    pub fn new(parts: usize, weights: EpochWeights) -> Self {
        Self { parts, epochs: VecDeque::new(), weights, settled: 0.0 }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, change: &Change) {
        // A step at a full hour is one beginning, not two: the hour's is taken back, nobody has used it.
        if self.epochs.back().is_some_and(|last| last.from == change.at) {
            self.epochs.pop_back();
            self.weights.take_back();
        }
        self.weights.change(change.planned);
        self.begin(change.at, change.share, false);
    }

    fn begin(&mut self, at: Tick, share: f64, continues: bool) {
        let weight = self.weights.spend();
        self.epochs.push_back(Epoch {
            from: at,
            continues,
            share,
            weight,
            evidence: Average::new(self.parts, ODDS.len(), &StartWeights::of_hour(at)),
            keys: KeySet::default(),
        });
        while self.epochs.len() > OPEN_MAX {
            self.settle_first();
        }
    }

    /// Begins an epoch where an hour is over, and settles those that are read no more.
    pub fn pass(&mut self, now: Tick) {
        if let Some(last) = self.epochs.back() {
            let (end, share) = (last.from.after(EPOCH), last.share);
            if now >= end {
                self.begin(end, share, true);
            }
        }
        // The last two stay: `is_calm` compares them.
        let is_read = |next: &Epoch| now > next.from.after(READ_AFTER_END);
        while self.epochs.len() > 2 && self.epochs.get(1).is_some_and(is_read) {
            self.settle_first();
        }
    }

    fn settle_first(&mut self) {
        if let Some(epoch) = self.epochs.pop_front() {
            self.settled += epoch.weight * epoch.evidence.value();
        }
    }

    /// A request that began in `arrived` was hit, as read by `part`.
    pub fn hit(&mut self, arrived: Tick, part: usize, side: Side, key: Option<u64>) {
        let epoch = self.epochs.iter_mut().rev().find(|epoch| epoch.from <= arrived);
        let Some(epoch) = epoch.filter(|epoch| epoch.share > 0.0 && epoch.share < 1.0) else {
            return;
        };
        if key.is_none_or(|key| epoch.keys.is_first(key, part)) {
            epoch.count(arrived, part, side);
        }
    }

    /// What the coin has become.
    pub fn value(&self) -> f64 {
        let open = self.epochs.iter().map(|epoch| epoch.weight * epoch.evidence.value());
        self.settled + open.sum::<f64>() + self.weights.unspent()
    }

    /// Whether users have nothing to say, for now: the coin is below `level`, or a whole hour of this step
    /// ended below it, and the present one is below `hold`. (What an early hour won stays in the sum for
    /// good, and would hold a healthy rollout for good. And an hour that begins asks anew: its first user
    /// alone may lift it above `level` for some minutes.)
    pub fn is_calm(&self, level: f64, hold: f64) -> bool {
        let is_hour_calm = || {
            let mut latest = self.epochs.iter().rev();
            let (present, before) = (latest.next(), latest.next());
            present.zip(before).is_some_and(|(present, before)| {
                present.continues
                    && present.evidence.value() < hold
                    && before.evidence.value() < level
            })
        };
        self.value() < level || is_hour_calm()
    }

    /// Keys hit in the present epoch since its trouble most probably began.
    pub fn onset(&self) -> Onset {
        self.epochs.back().map_or_else(Onset::default, |epoch| epoch.evidence.onset())
    }
}

impl Epoch {
    fn count(&mut self, arrived: Tick, part: usize, side: Side) {
        let candidate_hits = if side == Side::Candidate { 1.0 } else { 0.0 };
        let bet = Relative { candidate_hits, hits: 1.0, share: self.share, tolerance: 1.0 };
        let mut counted = Both::<Tally>::default();
        *counted.of(side) = Tally { n: 1, hits: 1, clear_hits: 1 };
        let factor = |bettor: usize| bet.log_factor(ODDS[bettor]);
        self.evidence.part(part).observe(arrived, counted, factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(share: f64) -> KeyEvidence {
        let mut evidence = KeyEvidence::new(1, EpochWeights::by_hours());
        step(&mut evidence, Tick(0), share);
        evidence
    }

    fn step(evidence: &mut KeyEvidence, at: Tick, share: f64) {
        evidence.change(&Change { at, share, planned: true });
    }

    #[test]
    fn one_user_with_a_thousand_failures_is_one_user() {
        let mut evidence = begun(0.1);
        for tick in 0..1_000 {
            evidence.hit(Tick(tick), 0, Side::Candidate, Some(7));
        }
        assert!(evidence.value() < 10.0, "{}", evidence.value());
        for key in 0..6 {
            evidence.hit(Tick(1_000), 0, Side::Candidate, Some(100 + key));
        }
        assert!(evidence.value() > 10.0, "{}", evidence.value());
    }

    #[test]
    fn requests_without_a_key_are_users_of_their_own() {
        let mut evidence = begun(0.1);
        (0..6).for_each(|tick| evidence.hit(Tick(tick), 0, Side::Candidate, None));
        assert!(evidence.value() > 10.0);
        assert!(evidence.epochs[0].keys == KeySet::default(), "nothing stored");
    }

    #[test]
    fn epochs_ask_anew_and_are_averaged() {
        let mut evidence = begun(0.1);
        let mut values = vec![];
        for hour in 0..30 {
            let start = Tick::of_second(hour * 3_600);
            evidence.pass(start);
            for key in 0..4 {
                evidence.hit(start, 0, Side::Candidate, Some(key));
            }
            values.push(evidence.value());
        }
        assert!(values[29] < 3.0 * values[0], "the same keys again are no news: {values:?}");
        assert!(evidence.epochs.len() <= 2);
    }

    #[test]
    fn a_step_at_a_full_hour_spends_no_epoch() {
        let mut evidence = begun(0.1);
        evidence.pass(Tick(0).after(EPOCH));
        step(&mut evidence, Tick(0).after(EPOCH), 0.5);
        assert_eq!(evidence.epochs.len(), 2);
        assert!((evidence.value() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_an_early_hour_won_does_not_hold_for_good() {
        let mut evidence = begun(0.1);
        (0..3).for_each(|key| evidence.hit(Tick(1), 0, Side::Candidate, Some(key)));
        for hour in 1..3 {
            assert!(!evidence.is_calm(1.0, 2.0), "hour {hour}");
            let start = Tick::of_second(hour * 3_600);
            evidence.pass(start);
            (0..30).for_each(|key| evidence.hit(start, 0, Side::Active, Some(key)));
        }
        assert!(evidence.value() > 1.0 && evidence.is_calm(1.0, 2.0));
        step(&mut evidence, Tick::of_second(9_000), 0.5);
        assert!(!evidence.is_calm(1.0, 2.0), "a step asks anew");
    }

    #[test]
    fn a_late_reading_belongs_to_the_epoch_of_its_arrival() {
        let mut evidence = begun(0.01);
        step(&mut evidence, Tick(400), 0.5);
        let before = evidence.epochs[0].evidence.value();
        evidence.hit(Tick(399), 0, Side::Candidate, Some(1));
        assert!(evidence.epochs[0].evidence.value() > before);
        step(&mut evidence, Tick(500), 0.5);
        evidence.pass(Tick(400).after(READ_AFTER_END));
        assert_eq!(evidence.epochs.len(), 3);
        evidence.pass(Tick(401).after(READ_AFTER_END));
        assert_eq!(evidence.epochs.len(), 2);
    }

    #[test]
    fn wins_nothing_on_average_when_users_are_alike() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut reached = 0;
        for _ in 0..2_000 {
            let mut evidence = begun(0.25);
            let mut largest = 0.0_f64;
            for key in 0..200 {
                let side = if random.f64() < 0.25 { Side::Candidate } else { Side::Active };
                evidence.hit(Tick(1), 0, side, Some(key));
                largest = largest.max(evidence.value());
            }
            reached += u32::from(largest >= 10.0);
        }
        assert!(reached <= 200, "at most a tenth may ever reach 10: {reached} of 2000");
    }
}
