//! The recorder and the judge of one rollout, and what they have said so far. Knows no time but what it
//! is told.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::measurements::Measurements;
use super::super::scores::Scored;
use super::asking::Answer;
use super::{Kept, Observed, Subject, WallClock, baseline};
use crate::judge::chosen_judge::ChosenJudge;
use crate::judge::decision::{Decision, Judge, Waiting};
use crate::judge::record::{Record, Resume, Start};
use crate::judge::recorder::{Baseline, Recorder, Setup};
use crate::judge::tick::Tick;
use crate::model::environment::EnvironmentId;
use crate::model::score::quality;

#[derive(Debug)]
pub(super) struct Session {
    subject: Subject,
    recorder: Recorder,
    judge: ChosenJudge,
    baseline: Baseline,
    /// A share was set: before that there is nothing to judge.
    has_begun: bool,
    since: Tick,
    requests: u64,
    /// The last decision.
    decision: Decision,
    /// A decision to go back that stands.
    decided: Option<Decision>,
    /// Until when everything was seen when it was made; unknown of one from before a restart.
    decided_at: Option<Duration>,
    /// When the last decision was first said.
    decided_tick: Tick,
    clock: WallClock,
    records: Option<mpsc::Sender<Record>>,
    records_lost: u64,
}

impl Session {
    pub(super) fn new(
        subject: Subject,
        cores: usize,
        now: Duration,
        kept: Option<Kept>,
        records: Option<mpsc::Sender<Record>>,
    ) -> Self {
        let setup = Setup {
            cores,
            began: now,
            first: kept.as_ref().map_or(Tick(0), |kept| kept.now),
            users_before: kept.as_ref().map(|kept| kept.users),
            share: kept.as_ref().map_or(0.0, |kept| kept.share),
            latency_max: subject.latency_max,
            signal: subject.signal,
            seed: subject.seed,
        };
        let is_new = kept.is_none();
        let mut session = Self {
            recorder: Recorder::new(setup),
            judge: ChosenJudge::new(subject.settings.clone()),
            baseline: Baseline::default(),
            has_begun: false,
            since: Tick(0),
            requests: 0,
            decision: Decision::Wait(Waiting::NoStep),
            decided: None,
            decided_at: None,
            decided_tick: Tick(0),
            clock: WallClock::default(),
            subject,
            records,
            records_lost: 0,
        };
        if let Some(kept) = kept {
            session.go_on(kept);
        }
        if is_new {
            session.start();
        }
        session
    }

    fn start(&mut self) {
        let names = self.subject.environments.as_ref().map(|party| party.name.to_string());
        let settings = self.subject.settings.clone();
        let start = Start { active: names.active, candidate: names.candidate, settings };
        self.tell(Record::Start(Box::new(start)));
    }

    /// The first tick is at this moment, in milliseconds of Unix time.
    pub(super) fn begin(&mut self, unix_ms: u64) {
        self.clock.begin(self.recorder.now(), unix_ms);
    }

    fn go_on(&mut self, kept: Kept) {
        let Kept {
            judge,
            since,
            requests,
            decision,
            decided,
            decided_tick,
            clock,
            baseline,
            are_strangers,
            ..
        } = kept;
        self.clock = clock;
        self.has_begun = true;
        (self.judge, self.since, self.requests) = (judge, since, requests);
        (self.decision, self.decided, self.decided_tick) = (decision, decided, decided_tick);
        self.recorder.baseline(&baseline);
        self.recorder.go_on(are_strangers);
        self.baseline = baseline;
    }

    /// The environments to ask cores about.
    pub(super) fn pair(&self) -> [EnvironmentId; 2] {
        [self.subject.environments.active.id, self.subject.environments.candidate.id]
    }

    /// Takes thresholds anew.
    pub(super) fn measure(&mut self, measurements: &Measurements, now: Duration) {
        let active = self.subject.environments.active.id;
        baseline::update(&mut self.baseline, measurements, active, now);
        self.recorder.baseline(&self.baseline);
    }

    pub(super) fn announce_change(&mut self, from: Duration) {
        self.recorder.announce_change(from);
    }

    pub(super) fn change(&mut self, share: f64, planned: bool, during: Range<Duration>) {
        self.recorder.change(share, planned, during);
    }

    pub(super) fn resume(&mut self) {
        if self.has_begun {
            self.judge.resume();
            self.unsay();
            let at = self.recorder.now();
            self.tell(Record::Resume(Resume { at }));
        }
    }

    pub(super) fn hear(&mut self, answer: &Answer, measurements: &Measurements) {
        let Answer { core, report } = answer;
        let span = measurements.since_epoch(report.since)..measurements.since_epoch(report.until);
        self.recorder.hear(*core, span);
        for note in report.notes.iter() {
            if let Some(side) = self.subject.side(note.environment) {
                self.recorder.note(*core, side, note);
            }
        }
        if let Some(lost) = report.notes.lost() {
            self.recorder.lose(lost, report.notes.lost_count());
        }
    }

    /// Scores of users' answers count; an evaluation is a gate, and an answer of another rollout, or of
    /// none, was given under other circumstances.
    pub(super) fn score(&mut self, scored: &Scored) {
        let Scored { environment_id, rollout, key, began, score, .. } = scored;
        if rollout.is_some_and(|rollout| rollout != self.subject.rollout) {
            return;
        }
        if let Some(side) = self.subject.side(*environment_id)
            && !scored.is_evaluation
            && scored.name == quality()
        {
            self.recorder.score(side, *key, *began, score.value());
        }
    }

    /// Tells the judge everything that is known by now. Answers whether there was anything.
    pub(super) fn judge(&mut self, now: Duration) -> bool {
        let mut has_news = false;
        while let Some(record) = self.recorder.take(now) {
            has_news |= self.judge_one(&record);
            if self.has_begun {
                self.tell(record);
            }
        }
        has_news
    }

    fn judge_one(&mut self, record: &Record) -> bool {
        match record {
            Record::Change(change) => {
                self.judge.change(change);
                self.has_begun = true;
                (self.since, self.requests) = (change.at, 0);
                self.unsay();
                false
            }
            Record::Tick(tick) if self.has_begun => {
                self.judge.observe(tick);
                let arrivals = tick.arrivals.iter().map(|arrivals| arrivals.n.candidate);
                self.requests += arrivals.map(u64::from).sum::<u64>();
                self.decide(tick.now);
                true
            }
            _ => false,
        }
    }

    /// What was said was said of another share, or to a human who goes on all the same.
    fn unsay(&mut self) {
        (self.decision, self.decided) = (Decision::Wait(Waiting::Check), None);
        self.decided_tick = self.recorder.now();
    }

    fn decide(&mut self, now: Tick) {
        let decision = self.judge.decide();
        // Between its checks the window judge says nothing: what it said last holds.
        if decision == Decision::Wait(Waiting::Check) {
            return;
        }
        let stands = standing(self.decided, decision);
        if stands != self.decided {
            (self.decided, self.decided_at) = (stands, Some(self.recorder.seen_until()));
        }
        let decision = self.decided.unwrap_or(decision);
        if decision != self.decision {
            (self.decision, self.decided_tick) = (decision, now);
        }
    }

    fn tell(&mut self, record: Record) {
        if let Some(records) = &self.records {
            // Whoever keeps records may be slow, as a disk is; the judge does not wait for it.
            self.records_lost += u64::from(records.try_send(record).is_err());
        }
    }

    pub(super) fn observed(&self) -> Observed {
        Observed {
            tick: self.recorder.now(),
            decision: self.decision,
            decided_at: self.decided.and(self.decided_at),
            decided_tick: self.decided_tick,
            explanation: self.judge.explain(),
            clock: self.clock.clone(),
            share: self.recorder.share(),
            since: self.since,
            requests: self.requests,
            are_strangers: self.recorder.are_strangers(),
            losses: self.recorder.losses(),
            records_lost: self.records_lost,
        }
    }

    pub(super) fn keep(&self) -> Kept {
        Kept {
            judge: self.judge.clone(),
            now: self.recorder.now(),
            share: self.recorder.share(),
            since: self.since,
            requests: self.requests,
            decision: self.decision,
            decided: self.decided,
            decided_tick: self.decided_tick,
            clock: self.clock.clone(),
            users: self.recorder.users(),
            are_strangers: self.recorder.are_strangers(),
            baseline: self.baseline.clone(),
        }
    }
}

/// Which decision to go back stands after another one: the first, and a rollback above a step back.
fn standing(decided: Option<Decision>, decision: Decision) -> Option<Decision> {
    match (decided, decision) {
        (None, Decision::RollBack(_) | Decision::StepBack(_))
        | (Some(Decision::StepBack(_)), Decision::RollBack(_)) => Some(decision),
        _ => decided,
    }
}

#[cfg(test)]
mod tests;
