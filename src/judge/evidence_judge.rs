//! The default judge: decides by evidence (`judge = "evidence"`).
//!
//! The order of questions is the order of harm: first whether to roll back, then whether to hold, then
//! whether to go on. A rollback asks three things: evidence by requests, confirmation by users, and that
//! the difference is large enough to matter to anybody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::confirmation::{comes_from_many, falls_short_for_many};
use super::decision::{Breach, Decision, HoldReason, Judge, Waiting};
use super::e_process::Tally;
use super::evidence::Evidence;
use super::explanation::Explanation;
use super::hold::Hold;
use super::metric::Metric;
use super::record::{Both, Change, TickRecord};
use super::settings::{Settings, TooLittleData};
use super::tick::Tick;

/// An incident that begins this soon after a step may be the step's doing.
const SHORTLY_AFTER_STEP: Duration = Duration::from_secs(120);

/// How long beyond its bake a step waits for users to become calm who are not worth a hold.
const USERS_WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Fewer failures of the active side than this are chance.
const SHARED_HITS_MIN: u32 = 3;

/// Evidence, and where the rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvidenceJudge {
    evidence: Evidence,
    step: Step,
    final_age: Duration,
    users_of_hour: Option<u32>,
    hold: Option<Hold>,
    /// Holds that a human has lifted in this step.
    lifted: Vec<HoldReason>,
}

/// The present step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Step {
    since: Tick,
    share: f64,
    /// Whether it gave the candidate more than the one before.
    rose: bool,
    requests: u32,
}

impl EvidenceJudge {
    /// Before the rollout starts.
    pub fn new(settings: Settings) -> Self {
        Self {
            evidence: Evidence::new(settings),
            step: Step::default(),
            final_age: Duration::ZERO,
            users_of_hour: None,
            hold: None,
            lifted: Vec::new(),
        }
    }

    /// What was gathered.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The hold that is on.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    fn settings(&self) -> &Settings {
        self.evidence.settings()
    }

    fn is_switched(&self) -> bool {
        self.step.share >= 1.0
    }

    /// The number that is acted on. After the switch comparisons can no longer be confirmed.
    fn value(&self) -> f64 {
        self.settings().metrics.iter().map(|metric| self.adds(metric)).sum()
    }

    /// What a metric adds to it.
    fn adds(&self, metric: Metric) -> f64 {
        if self.is_switched() {
            self.evidence.adds_alone(metric)
        } else {
            self.evidence.adds(metric)
        }
    }

    /// The metric that a rollback would be for.
    fn strongest(&self) -> Metric {
        let metrics = self.settings().metrics.iter();
        let limits = metrics.filter(|metric| self.is_switched() && metric.has_limit());
        let strongest = limits.max_by(|a, b| self.adds(*a).total_cmp(&self.adds(*b)));
        strongest.unwrap_or_else(|| self.evidence.strongest())
    }

    fn breach(&self) -> Option<Breach> {
        if self.step.share <= 0.0 || self.value() < self.settings().levels.roll_back {
            return None;
        }
        let metric = self.strongest();
        let rolls_back = self.is_confirmed(metric) && self.matters(metric);
        rolls_back.then_some(Breach::Metric(metric))
    }

    fn is_confirmed(&self, metric: Metric) -> bool {
        let is_about_errors = matches!(metric, Metric::Errors | Metric::ErrorLimit);
        if is_about_errors && self.evidence.is_total_failure() {
            return true;
        }
        let quality = self.evidence.quality();
        if self.is_switched() {
            let users = self.users_of_hour;
            return match metric {
                Metric::Quality => falls_short_for_many(quality.shortfalls(), users),
                _ => comes_from_many(self.evidence.recent_keys(metric), users),
            };
        }
        // Without scores of the active side every low one is the candidate's, and says little.
        let is_one_sided = metric == Metric::Quality && !quality.is_compared();
        self.evidence.by_users(metric) >= self.settings().levels.confirm
            && (!is_one_sided || falls_short_for_many(quality.shortfalls(), None))
    }

    /// Whether the difference since the trouble began is large enough to roll back for.
    fn matters(&self, metric: Metric) -> bool {
        let levels = &self.settings().levels;
        let Both { active, candidate } = self.evidence.onset(metric).counted;
        match metric {
            Metric::Errors | Metric::Refused => {
                candidate.share() - active.share() >= levels.excess_errors_min
            }
            Metric::Ttft | Metric::Latency => candidate.clear_share() >= active.share(),
            Metric::Quality if self.is_switched() => !self.evidence.quality().is_shared(),
            Metric::Quality => {
                let quality = self.evidence.quality();
                let means = quality.means();
                let loss = means.active.zip(means.candidate).map(|(active, mean)| active - mean);
                quality.is_mostly_absolute()
                    || loss.is_some_and(|loss| loss >= levels.quality_loss_min)
            }
            Metric::ErrorLimit => !is_shared(active, self.settings().limits.error_rate_max),
            Metric::LatencyLimit => !is_shared(active, self.settings().limits.slow_share_max),
        }
    }

    fn is_calm(&self) -> bool {
        let levels = &self.settings().levels;
        self.value() < levels.calm || self.evidence.users_are_calm(self.strongest())
    }

    fn shared_incident(&self) -> Option<Metric> {
        let mut limits = self.evidence.armed_limits();
        limits.find(|(_, limit)| limit.is_shared_incident()).map(|(metric, _)| metric)
    }

    /// Why to hold from now on.
    fn hold_reason(&self) -> Option<HoldReason> {
        let levels = &self.settings().levels;
        let strongest = self.strongest();
        let has_evidence = !self.is_switched()
            && self.value() >= levels.notice
            && self.evidence.by_users(strongest) >= levels.hold_confirm;
        let (watched, watched_users, _) = self.evidence.watched();
        let reasons = [
            self.shared_incident().map(HoldReason::SharedIncident),
            has_evidence.then_some(HoldReason::Evidence(strongest)),
            (self.evidence.split().value() >= levels.split).then_some(HoldReason::Split),
            (watched >= levels.roll_back && watched_users >= levels.hold_confirm)
                .then_some(HoldReason::Watched),
        ];
        reasons.into_iter().flatten().find(|reason| !self.lifted.contains(reason))
    }

    /// Goes on holding, ends the hold, or begins one.
    fn look_at_hold(&mut self) -> Option<HoldReason> {
        let (now, bake) = (self.evidence.now(), self.bake());
        let is_calm = match self.hold.map(|hold| hold.reason) {
            Some(HoldReason::Evidence(_)) => self.is_calm(),
            Some(HoldReason::SharedIncident(_)) => {
                !self.evidence.armed_limits().any(|(_, limit)| limit.is_shut())
            }
            _ => false,
        };
        if self.hold.as_mut().is_some_and(|hold| hold.ends(now, is_calm, bake)) {
            self.hold = None;
        }
        if self.hold.is_none() {
            self.hold = self.hold_reason().map(|reason| Hold::new(reason, now));
        }
        self.hold.map(|hold| hold.reason)
    }

    /// How long a step lasts at least: nobody may be left who has not reached the last age.
    fn bake(&self) -> Duration {
        self.settings().bake.time_min.max(self.final_age)
    }

    fn next_step(&mut self) -> Decision {
        if self.step.share <= 0.0 || self.is_switched() {
            return Decision::Wait(Waiting::NoStep);
        }
        let bake = self.settings().bake;
        let in_step = self.evidence.now().since(self.step.since);
        if in_step < self.bake() {
            return Decision::Wait(Waiting::Baking);
        }
        if self.step.requests < bake.requests_min_at(self.step.share) {
            let is_lifted = self.lifted.contains(&HoldReason::TooLittleData);
            if in_step < bake.wait_max || is_lifted {
                return Decision::Wait(Waiting::Requests);
            }
            return self.too_little_data(bake.too_little_data);
        }
        if self.is_calm() || self.has_waited_for_users(in_step) {
            return Decision::Advance;
        }
        Decision::Wait(Waiting::Evidence)
    }

    /// Whether users had an hour beyond the bake and do not say enough for a hold. They may never say more:
    /// at 1 % they are few, and one of them with long prompts would keep a healthy rollout waiting for good.
    fn has_waited_for_users(&self, in_step: Duration) -> bool {
        in_step >= self.bake() + USERS_WAIT_MAX
            && self.evidence.by_users(self.strongest()) < self.settings().levels.hold_confirm
    }

    fn too_little_data(&mut self, policy: TooLittleData) -> Decision {
        match policy {
            TooLittleData::Hold => {
                let reason = HoldReason::TooLittleData;
                self.hold = Some(Hold::new(reason, self.evidence.now()));
                Decision::Hold(reason)
            }
            TooLittleData::Advance if self.is_calm() => Decision::Advance,
            TooLittleData::Advance => Decision::Wait(Waiting::Evidence),
            TooLittleData::RollBack => Decision::RollBack(Breach::TooLittleData),
        }
    }
}

/// Whether the active side broke the limit as well since the trouble began: a burst of two seconds that hits
/// both is too short for the minute that the blame gate looks at.
fn is_shared(active: Tally, limit: f64) -> bool {
    active.hits >= SHARED_HITS_MIN && active.share() > limit
}

impl Judge for EvidenceJudge {
    fn change(&mut self, change: &Change) {
        self.evidence.change(change);
        let rose = change.share > self.step.share;
        self.step = Step { since: change.at, share: change.share, rose, requests: 0 };
        self.lifted.clear();
    }

    fn observe(&mut self, record: &TickRecord) {
        self.evidence.observe(record);
        let arrivals = record.arrivals.iter().filter(|arrivals| arrivals.from >= self.step.since);
        let requests: u32 = arrivals.map(|arrivals| arrivals.n.candidate).sum();
        self.step.requests = self.step.requests.saturating_add(requests);
        self.final_age = record.final_age.unwrap_or(self.final_age);
        self.users_of_hour = record.keys_of_hour.or(self.users_of_hour);
    }

    fn decide(&mut self) -> Decision {
        if let Some(breach) = self.breach() {
            return Decision::RollBack(breach);
        }
        let had_hold = self.hold.is_some();
        match self.look_at_hold() {
            Some(HoldReason::SharedIncident(metric)) if !had_hold && self.step.rose => {
                let since_step = self.evidence.now().since(self.step.since);
                if since_step < SHORTLY_AFTER_STEP && !self.is_switched() {
                    return Decision::StepBack(metric);
                }
                Decision::Hold(HoldReason::SharedIncident(metric))
            }
            Some(reason) => Decision::Hold(reason),
            None => self.next_step(),
        }
    }

    fn explain(&self) -> Explanation {
        Explanation::of(&self.evidence, self.strongest(), |metric| self.adds(metric))
    }

    fn resume(&mut self) {
        self.lifted.extend(self.hold.take().map(|hold| hold.reason));
    }
}

#[cfg(test)]
mod tests;
