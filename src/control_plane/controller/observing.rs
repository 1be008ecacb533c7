//! The judge of a rollout under way: begun when users meet the candidate, told of every new share, asked at
//! each look, and kept on the disk so that a restart goes on with what it knows.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::Controller;
use crate::control_plane::change::traffic;
use crate::control_plane::clock::unix_ms;
use crate::control_plane::observation::{Kept, Observation, Observed, Party, Subject};
use crate::control_plane::services::Live;
use crate::control_plane::store::{Evidence, Line};
use crate::judge::decision::{Decision, Waiting};
use crate::judge::record::{Both, Record};
use crate::judge::tick::Tick;
use crate::model::name::Name;
use crate::rollout::event::Judged;
use crate::rollout::value::Rollout;

/// Records that may wait to be written down: a minute of them and more.
const RECORDS_MAX: usize = 1024;
/// How often what the judge knows is written down.
const KEEP_EVERY: Duration = Duration::from_secs(5);

/// What is said where nearly every request has a key of its own.
const STRANGERS: &str = " Times are not compared, only held against their limit: keys do not come back, so \
    every request may meet a cold cache; let `sticky` name users.";

/// A judge at work.
#[derive(Debug)]
pub(super) struct Watch {
    observation: Observation,
    observed: watch::Receiver<Observed>,
    records: mpsc::Receiver<Record>,
    kept_at: Instant,
    share: f64,
    /// The share that is published and that not every core has taken yet.
    coming: Option<Coming>,
}

/// A new share of the candidate on its way to the cores.
#[derive(Debug)]
struct Coming {
    change: u64,
    share: f64,
    planned: bool,
    began: Instant,
}

impl Watch {
    /// What the judge says.
    pub(super) fn judged(&mut self, rollout: &Rollout) -> Judged {
        let mut observed = self.observed.borrow_and_update().clone();
        observed.decision = self.decision(&observed);
        Judged {
            decision: observed.decision,
            text: explained(&observed, rollout.base.as_str(), rollout.candidate.as_str()),
            details: details(&observed),
            requests: u32::try_from(observed.requests).unwrap_or(u32::MAX),
            is_total_failure: observed.explanation.is_total_failure,
        }
    }

    /// Whether the judge says, since it was last asked, that users must be protected.
    pub(super) fn is_urgent(&self) -> bool {
        let is_new = self.observed.has_changed().unwrap_or(false);
        let decision = self.decision(&self.observed.borrow());
        is_new && matches!(decision, Decision::RollBack(_) | Decision::StepBack(_))
    }

    /// What is said of the share that is published. Of the one before only a rollback still holds: a step
    /// back would be taken twice, and a hold is not over because the judge has yet to look.
    fn decision(&self, observed: &Observed) -> Decision {
        let is_of_this_share = self.coming.is_none() && is_same(observed.share, self.share);
        match observed.decision {
            Decision::RollBack(breach) => Decision::RollBack(breach),
            decision if is_of_this_share => decision,
            _ => Decision::Wait(Waiting::Check),
        }
    }

    /// Until when everything was seen when the judge decided to go back, since the epoch.
    pub(super) fn decided_at(&self) -> Option<Duration> {
        self.observed.borrow().decided_at
    }

    /// A human lifted its hold.
    pub(super) fn resume(&self) {
        self.observation.resume();
    }

    fn drain_records(&mut self, service: &Name, rollout: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Ok(record) = self.records.try_recv() {
            // Records are plain numbers and words.
            let Ok(text) = serde_json::to_string(&record) else { continue };
            lines.push(Line { service: service.clone(), rollout, at: unix_ms(), text });
        }
        lines
    }
}

/// What the judge says in words, with the time of day at which it began, and the step.
fn explained(observed: &Observed, base: &str, candidate: &str) -> String {
    let step = format!(" (step {} %)", (observed.share * 10_000.0).round() / 100.0);
    let when = |tick: Tick| {
        let time = observed.clock.text(tick, unix_ms());
        // What began under an earlier share is not this step's.
        time + if tick >= observed.since { &step } else { "" }
    };
    let mut evidence = observed.explanation.sentence(base, candidate, &when);
    if observed.are_strangers {
        evidence += STRANGERS;
    }
    match observed.decision.objection(base, candidate) {
        Some(objection) => format!("{objection} {evidence}"),
        None => evidence,
    }
}

fn details(observed: &Observed) -> Value {
    json!({
        "decision": observed.decision,
        "decided_tick": observed.decided_tick,
        "explanation": observed.explanation,
        "share": observed.share,
        "requests": observed.requests,
        "keys_come_back": !observed.are_strangers,
        "observed_s": observed.tick.observed().as_secs(),
        "lost": { "notes": observed.losses, "records": observed.records_lost },
    })
}

impl Controller {
    /// A change of a service is about to be published: the judge hears now that users may move, and of the
    /// new share when the cores have it.
    pub(super) fn announce_share(&mut self, service: &Name, change: u64, began: Instant) {
        let Some(live) = self.services.find(service) else { return };
        let Some(rollout) = live.record.release.running().cloned() else { return };
        let share = share_of(live);
        let planned = traffic::is_as_planned(&live.record.assignment, &rollout);
        let is_needed = rollout.stage.is_judged() && share > 0.0;
        if is_needed && self.runs.watch(service).is_none() {
            self.begin_watch(service, None);
        }
        if let Some(watch) = self.runs.watch(service)
            && !is_same(watch.coming.as_ref().map_or(watch.share, |coming| coming.share), share)
        {
            watch.observation.announce_change(began);
            watch.coming = Some(Coming { change, share, planned, began });
        }
    }

    /// The cores have a change, or had a second for it.
    pub(super) fn share_taken(&mut self, change: u64) {
        for watch in self.runs.watches() {
            if let Some(coming) = watch.coming.take_if(|coming| coming.change <= change) {
                watch.share = coming.share;
                watch.observation.change(coming.share, coming.planned, coming.began);
            }
        }
    }

    /// Begins to observe; goes on where `kept` ends.
    pub(super) fn begin_watch(&mut self, service: &Name, kept: Option<Kept>) {
        let Some(live) = self.services.find(service) else { return };
        let Some(subject) = subject(live) else { return };
        let share = kept.as_ref().map_or(0.0, Kept::share);
        let (sender, records) = mpsc::channel(RECORDS_MAX);
        let shared = std::sync::Arc::clone(&self.shared);
        let observation = Observation::start(shared, subject, kept, Some(sender));
        let observed = observation.watch();
        let watch =
            Watch { observation, observed, records, kept_at: Instant::now(), share, coming: None };
        self.put_watch(service, watch);
    }

    /// Writes down what judges know, now and then.
    pub(super) fn keep_evidence(&mut self, now: Instant) {
        let services: Vec<Name> =
            self.services.list.iter().map(|live| live.file.name.clone()).collect();
        let mut is_owed = false;
        for service in services {
            let is_due =
                |watch: &mut Watch| now.saturating_duration_since(watch.kept_at) >= KEEP_EVERY;
            if self.runs.watch(&service).is_some_and(is_due) {
                self.owe_evidence(&service, now);
                is_owed = true;
            }
        }
        if is_owed {
            self.flush();
        }
    }

    /// The disk is to have what the judge of this service knows, and for how long it has looked.
    pub(super) fn owe_evidence(&mut self, service: &Name, now: Instant) {
        let Some(record) = self.services.touch_rollout(service, now) else { return };
        // The run's own number: when it is over, the record may be of the next one already.
        let Some((rollout, watch)) = self.runs.numbered_watch(service) else { return };
        watch.kept_at = now;
        let lines = watch.drain_records(service, rollout);
        // What the judge knows is plain numbers, words and keys' hashes.
        let Ok(snapshot) = serde_json::to_string(&watch.observation.keep()) else { return };
        let evidence = Evidence { service: service.clone(), rollout, snapshot };
        self.disk.owe(vec![record], vec![], None);
        self.disk.owe_evidence(evidence, lines);
    }
}

/// The candidate's share as published, 0 to 1.
pub(super) fn share_of(live: &Live) -> f64 {
    crate::control_plane::change::rollout::share(live).percent() / 100.0
}

/// Weights are hundredths of a percent; what differs by less is one share.
fn is_same(share: f64, other: f64) -> bool {
    (share - other).abs() < 1e-9
}

fn subject(live: &Live) -> Option<Subject> {
    let rollout = live.record.release.running()?;
    let party = |name: &Name| {
        let environment = live.table.environment(name.as_str())?;
        Some(Party { id: environment.id, name: name.clone() })
    };
    Some(Subject {
        service: live.file.name.clone(),
        rollout: rollout.id,
        environments: Both { active: party(&rollout.base)?, candidate: party(&rollout.candidate)? },
        settings: rollout.judging.clone(),
        latency_max: rollout.plan.limits.latency_p99_max,
        signal: rollout.plan.latency_signal,
        seed: live.record.assignment.rollout_salt.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::observation::WallClock;
    use crate::judge::decision::Waiting;
    use crate::judge::explanation::Explanation;
    use crate::judge::recorder::Losses;

    #[test]
    fn that_times_are_not_compared_is_said() {
        let (evidence, strongest, parts) = (Some(0.5), None, vec![]);
        let mut observed = Observed {
            tick: Tick(0),
            decision: Decision::Wait(Waiting::Baking),
            decided_at: None,
            decided_tick: Tick(0),
            explanation: Explanation { evidence, strongest, parts, is_total_failure: false },
            clock: WallClock::default(),
            share: 0.1,
            since: Tick(0),
            requests: 0,
            are_strangers: false,
            losses: Losses::default(),
            records_lost: 0,
        };
        let calm = "Nothing speaks against green.";
        assert_eq!(explained(&observed, "blue", "green"), calm);
        observed.are_strangers = true;
        let said = "Times are not compared, only held against their limit: keys do not come back, so \
                    every request may meet a cold cache; let `sticky` name users.";
        assert_eq!(explained(&observed, "blue", "green"), format!("{calm} {said}"));
    }
}
