//! What a source of traffic saw, by phase and environment.
//!
//! A request belongs to the phase in which it started: what it got was decided after that phase began,
//! whenever its answer ends.

use std::collections::{BTreeMap, HashMap, HashSet};

use hdrhistogram::Histogram;

use super::client::Seen;
use crate::model::verdict::Verdict;

/// Most phases; a story has a dozen.
const PHASES_MAX: usize = 256;

/// Most answers whose grades wait to be taken; more are forgotten.
const GRADES_MAX: usize = 10_000;

/// The name under which answers without `x-deployment` are counted.
const NOBODY: &str = "-";

/// What a source of traffic saw.
#[derive(Debug, Clone)]
pub struct Tally {
    /// By phase, in their order.
    pub phases: Vec<Phase>,
    /// For each user, the last request that told an environment, and that environment.
    homes: HashMap<u32, (u64, String)>,
    /// Of whole answers, since they were taken last.
    grades: Vec<Grade>,
}

/// What somebody would say who reads an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Grade {
    /// The id of the exchange.
    pub exchange: String,
    /// Whose request it was.
    pub user: u32,
    /// Whether the answer is right.
    pub is_right: bool,
}

/// Requests that started in one phase.
#[derive(Debug, Clone, Default)]
pub struct Phase {
    /// By environment; `-` where the answer named none.
    pub environments: BTreeMap<String, Counts>,
    /// Users who changed their environment, by where from and where to.
    pub moves: BTreeMap<(String, String), u64>,
    /// Requests that were not sent, since too many were in flight.
    pub skipped: u64,
}

/// Requests that one environment got.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Requests that have ended.
    pub requests: u64,
    /// Whole answers that are right.
    pub right: u64,
    /// Whose they were.
    pub users: HashSet<u32>,
    /// By verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [u64; Verdict::COUNT],
    /// Times to the first content, in microseconds.
    pub first_token: Histogram<u64>,
    /// Times to the end, in microseconds.
    pub total: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { phases: vec![Phase::default()], homes: HashMap::new(), grades: Vec::new() }
    }

    pub(super) fn begin_phase(&mut self) -> usize {
        if self.phases.len() < PHASES_MAX {
            self.phases.push(Phase::default());
        }
        self.phases.len() - 1
    }

    pub(super) fn skipped(&mut self, phase: usize) {
        self.phases[phase].skipped += 1;
    }

    pub(super) fn ended(&mut self, phase: usize, number: u64, user: u32, seen: &Seen) {
        let name = seen.environment.as_deref().unwrap_or(NOBODY);
        if let Some(exchange) = seen.exchange.clone().filter(|_| seen.is_whole())
            && self.grades.len() < GRADES_MAX
        {
            self.grades.push(Grade { exchange, user, is_right: seen.is_right });
        }
        let phase = &mut self.phases[phase];
        let counts = phase.environments.entry(name.to_owned()).or_insert_with(Counts::new);
        counts.add(user, seen);
        if seen.environment.is_none() {
            return;
        }
        // Requests end in another order than they started in; only a later one tells where a user is.
        let home = self.homes.entry(user).or_insert_with(|| (number, name.to_owned()));
        if number >= home.0 {
            if home.1 != name {
                *phase.moves.entry((home.1.clone(), name.to_owned())).or_default() += 1;
            }
            *home = (number, name.to_owned());
        }
    }

    /// Requests that have ended.
    pub fn requests(&self) -> u64 {
        self.counts().map(|counts| counts.requests).sum()
    }

    /// Requests that ended with a verdict.
    pub fn verdicts(&self, verdict: Verdict) -> u64 {
        self.counts().map(|counts| counts.verdicts[verdict as usize]).sum()
    }

    /// Requests that did not get a whole answer.
    pub fn lost(&self) -> u64 {
        self.counts().map(Counts::lost).sum()
    }

    /// Requests that did not get a whole answer, of all environments but this one.
    pub fn lost_beside(&self, environment: &str) -> u64 {
        let all = self.phases.iter().flat_map(|phase| &phase.environments);
        all.filter(|(name, _)| *name != environment).map(|(_, counts)| counts.lost()).sum()
    }

    /// Whole answers that are right.
    pub fn right(&self) -> u64 {
        self.counts().map(|counts| counts.right).sum()
    }

    /// What has been graded since this was asked last.
    pub fn take_grades(&mut self) -> Vec<Grade> {
        std::mem::take(&mut self.grades)
    }

    /// Requests that were not sent, since too many were in flight.
    pub fn skipped_total(&self) -> u64 {
        self.phases.iter().map(|phase| phase.skipped).sum()
    }

    fn counts(&self) -> impl Iterator<Item = &Counts> {
        self.phases.iter().flat_map(|phase| phase.environments.values())
    }
}

impl Phase {
    /// Requests that have ended.
    pub fn requests(&self) -> u64 {
        self.environments.values().map(|counts| counts.requests).sum()
    }

    /// Requests of one environment that have ended.
    pub fn requests_of(&self, environment: &str) -> u64 {
        self.environments.get(environment).map_or(0, |counts| counts.requests)
    }

    /// Users whose requests have ended; one who was in two environments counts twice.
    pub fn users(&self) -> u64 {
        self.environments.values().map(|counts| counts.users.len() as u64).sum()
    }

    /// Users of whom one environment answered a request.
    pub fn users_of(&self, environment: &str) -> u64 {
        self.environments.get(environment).map_or(0, |counts| counts.users.len() as u64)
    }
}

impl Counts {
    fn lost(&self) -> u64 {
        let ended = |verdict: Verdict| self.verdicts[verdict as usize];
        self.requests - ended(Verdict::Complete) - ended(Verdict::Length)
    }

    fn new() -> Self {
        let times = Histogram::new(2).expect("two significant digits are allowed");
        Self {
            requests: 0,
            right: 0,
            users: HashSet::new(),
            verdicts: [0; _],
            first_token: times.clone(),
            total: times,
        }
    }

    fn add(&mut self, user: u32, seen: &Seen) {
        self.requests += 1;
        self.right += u64::from(seen.is_whole() && seen.is_right);
        self.users.insert(user);
        self.verdicts[seen.verdict as usize] += 1;
        let micros =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(time) = seen.first_token {
            self.first_token.saturating_record(micros(time));
        }
        self.total.saturating_record(micros(seen.total));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(environment: &str) -> Seen {
        let total = Duration::from_millis(5);
        let environment = Some(environment.to_owned());
        let exchange = Some("chat.blue.0.1".to_owned());
        let verdict = Verdict::Complete;
        Seen { environment, exchange, verdict, is_right: true, first_token: None, total }
    }

    #[test]
    fn a_user_has_moved_when_a_later_request_went_elsewhere() {
        let mut tally = Tally::new();
        tally.ended(0, 0, 7, &seen("blue"));
        let ramp = tally.begin_phase();
        tally.ended(ramp, 2, 7, &seen("green"));
        tally.ended(0, 1, 7, &seen("blue")); // an older, longer answer
        assert_eq!((tally.phases[ramp].users_of("green"), tally.phases[ramp].users()), (1, 1));
        let moved = ("blue".to_owned(), "green".to_owned());
        assert_eq!(tally.phases[ramp].moves, BTreeMap::from([(moved, 1)]));
        assert!(tally.phases[0].moves.is_empty());
        assert_eq!((tally.requests(), tally.lost(), tally.right()), (3, 0, 3));
        assert_eq!((tally.take_grades().len(), tally.take_grades().len()), (3, 0));
    }
}
