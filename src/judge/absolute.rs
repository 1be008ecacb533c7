//! Evidence that the candidate breaks an absolute limit. It needs no comparison, so it is looked at every
//! tick, goes on after the switch, and must ask whose fault it is (`blame_gate`).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::blame_gate::BlameGate;
use super::e_process::{EProcess, Onset, Tally};
use super::likelihood::ShareLimit;
use super::record::{Both, Hit, Side};
use super::start_weights::StartWeights;
use super::tick::Tick;

/// Hits of the candidate that are remembered by key at each age.
const RECENT_MAX: usize = 200;

/// A limit on a share of requests, read at one or more ages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbsoluteLimit {
    bets: ShareLimit,
    ages: Vec<AtAge>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AtAge {
    process: EProcess,
    gate: BlameGate,
    /// The last second in which something new was put down.
    spent_at: Option<u32>,
    /// When they began and whose they were; `None` for a request without a key.
    recent: VecDeque<(Tick, Option<u64>)>,
}

/// What was read of a limit at an age.
#[derive(Debug, Clone, Copy)]
pub struct LimitCounts<'a> {
    /// First tick of arrival.
    pub from: Tick,
    /// Requests and those beyond the limit.
    pub counts: Both<Tally>,
    /// Whose they were.
    pub hits: &'a [Hit],
}

impl AbsoluteLimit {
    /// Before anything was seen.
    pub fn new(limit: f64, ages: usize, planned_steps: u32) -> Self {
        let bets = ShareLimit::new(limit);
        let at_age = AtAge {
            process: EProcess::new(bets.bettors(), StartWeights::of_rollout(planned_steps)),
            gate: BlameGate::new(limit),
            spent_at: None,
            recent: VecDeque::new(),
        };
        Self { bets, ages: vec![at_age; ages] }
    }

    /// The candidate's share changed.
    pub fn change(&mut self, at: Tick, planned: bool) {
        self.ages.iter_mut().for_each(|at_age| at_age.process.change(at, planned));
    }

    /// Takes in what was read at one of the ages.
    pub fn read(&mut self, now: Tick, age: usize, read: LimitCounts<'_>) {
        let at_age = &mut self.ages[age];
        at_age.gate.read(now, read.counts.active.n, read.counts.active.hits);
        at_age.remember(&read);
        if at_age.gate.is_shut() {
            at_age.process.discard();
        } else if read.counts.candidate.n > 0 {
            at_age.observe(&self.bets, now, &read);
        }
    }

    /// What the coin has become.
    pub fn value(&self) -> f64 {
        let ages = u32::try_from(self.ages.len()).map_or(1.0, f64::from);
        self.ages.iter().map(|at_age| at_age.process.value()).sum::<f64>() / ages
    }

    /// When the trouble most probably began.
    pub fn onset(&self) -> Onset {
        self.strongest().map_or_else(Onset::default, |at_age| at_age.process.onset())
    }

    /// Whether the active environment breaks the limit as well, beyond doubt.
    pub fn is_shared_incident(&self) -> bool {
        self.ages.iter().any(|at_age| at_age.gate.is_shared_incident())
    }

    /// Whether the active environment is over the limit in its last minute.
    pub fn is_shut(&self) -> bool {
        self.ages.iter().any(|at_age| at_age.gate.is_shut())
    }

    /// The keys of the candidate's last hits since the trouble most probably began.
    pub fn recent_keys(&self) -> impl Iterator<Item = Option<u64>> {
        let strongest = self.strongest();
        let since = strongest.map_or(Tick(0), |at_age| at_age.process.onset().since);
        let recent = strongest.into_iter().flat_map(|at_age| &at_age.recent);
        recent.filter(move |(tick, _)| *tick >= since).map(|(_, key)| *key)
    }

    fn strongest(&self) -> Option<&AtAge> {
        self.ages.iter().max_by(|a, b| a.process.value().total_cmp(&b.process.value()))
    }
}

impl AtAge {
    fn observe(&mut self, bets: &ShareLimit, now: Tick, read: &LimitCounts<'_>) {
        let Tally { n, hits, .. } = read.counts.candidate;
        let (n, hits) = (f64::from(n), f64::from(hits));
        let factor = |bettor: usize| bets.log_factor(bettor, n, hits);
        if self.spent_at == Some(now.second()) {
            self.process.observe_further(read.from, read.counts, factor);
        } else {
            self.spent_at = Some(now.second());
            self.process.observe(read.from, read.counts, factor);
        }
    }

    fn remember(&mut self, read: &LimitCounts<'_>) {
        for hit in read.hits.iter().filter(|hit| hit.side == Side::Candidate) {
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((read.from, hit.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(active: (u32, u32), candidate: (u32, u32)) -> LimitCounts<'static> {
        let tally = |(n, hits)| Tally { n, hits, clear_hits: 0 };
        let counts = Both { active: tally(active), candidate: tally(candidate) };
        LimitCounts { from: Tick(0), counts, hits: &[] }
    }

    #[test]
    fn total_failure_is_found_within_a_handful_of_requests() {
        let mut limit = AbsoluteLimit::new(0.05, 1, 5);
        limit.change(Tick(0), true);
        let mut requests = 0;
        while limit.value() < 1_000.0 {
            limit.read(Tick(requests), 0, counts((1, 0), (1, 1)));
            requests += 1;
        }
        assert!(requests <= 5, "{requests}");
    }

    #[test]
    fn a_shared_incident_leaves_nothing_behind_that_fires_later() {
        let mut limit = AbsoluteLimit::new(0.05, 1, 5);
        limit.change(Tick(0), true);
        for second in 0..1_800 {
            limit.read(Tick::of_second(second), 0, counts((9, 2), (1, u32::from(second % 5 == 0))));
        }
        assert!(limit.is_shared_incident());
        for second in 1_800..1_900 {
            limit.read(Tick::of_second(second), 0, counts((9, 0), (1, 0)));
            assert!(limit.value() < 1.0);
        }
        assert!(!limit.is_shut());
    }
}
