//! A recorded rollout, judged again.
//!
//! The records go through the same pure code as they did live, so the decisions are the same, at the
//! same ticks; with other settings it shows what these would have decided of the same traffic. (Only of
//! the same: a step that would not have been taken still stands in the record.)

use super::chosen_judge::ChosenJudge;
use super::decision::{Decision, Judge, Waiting};
use super::explanation::Explanation;
use super::order::{Order, OrderError};
use super::record::{Record, Start};
use super::tick::Tick;

/// A replay under way.
#[derive(Debug, Clone)]
pub struct Replay {
    judge: ChosenJudge,
    order: Order,
    share: f64,
    /// What was said last, and at which share.
    said: Option<(Decision, f64)>,
    end: End,
}

/// The judge said something new.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When.
    pub at: Tick,
    /// The candidate's share.
    pub share: f64,
    /// What the judge said.
    pub decision: Decision,
    /// Why.
    pub explanation: Explanation,
}

/// What there is to say at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct End {
    /// Records that were heard.
    pub records: u64,
    /// Until when.
    pub now: Tick,
    /// What was decided last.
    pub decision: Option<Decision>,
    /// When it was first decided to roll back.
    pub rolled_back_at: Option<Tick>,
    /// The largest evidence, and when. None of the window judge.
    pub evidence_max: Option<(f64, Tick)>,
}

impl Replay {
    /// With these rules, which were checked (`Settings::check`).
    pub fn new(start: &Start) -> Self {
        Self {
            judge: ChosenJudge::new(start.settings.clone()),
            order: Order::default(),
            share: 0.0,
            said: None,
            end: End::default(),
        }
    }

    /// Hears the next record; tells whether the judge then said something new.
    ///
    /// # Errors
    /// When the record breaks a rule; nothing after it can be believed.
    pub fn hear(&mut self, record: &Record) -> Result<Option<Moment>, OrderError> {
        self.order.hear(record)?;
        self.end.records += 1;
        match record {
            Record::Start(_) => {}
            Record::Change(change) => {
                self.share = change.share;
                self.judge.change(change);
            }
            Record::Resume(_) => self.judge.resume(),
            Record::Tick(tick) => {
                self.judge.observe(tick);
                self.end.now = tick.now;
                return Ok(self.ask());
            }
        }
        Ok(None)
    }

    /// What there is to say when no more records come.
    pub fn end(&self) -> End {
        self.end
    }

    fn ask(&mut self) -> Option<Moment> {
        let decision = self.judge.decide();
        let now = self.end.now;
        let explanation = self.judge.explain();
        if let Some(evidence) = explanation.evidence {
            let is_larger = self.end.evidence_max.is_none_or(|(largest, _)| evidence > largest);
            if is_larger {
                self.end.evidence_max = Some((evidence, now));
            }
        }
        // Between its checks the window judge says nothing: what it said last holds.
        if decision == Decision::Wait(Waiting::Check) {
            return None;
        }
        if matches!(decision, Decision::RollBack(_)) {
            self.end.rolled_back_at.get_or_insert(now);
        }
        self.end.decision = Some(decision);
        let is_new = self.said.replace((decision, self.share)) != Some((decision, self.share));
        is_new.then_some(Moment { at: now, share: self.share, decision, explanation })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::Breach;
    use super::super::metric::{Metric, Metrics};
    use super::super::record::{
        Arrivals, Both, Change, ErrorAge, ErrorCounts, ErrorReading, Hit, HitKind, Side, TickRecord,
    };
    use super::super::settings::Settings;
    use super::*;
    use crate::model::plan::JudgeKind;

    /// A second in which each of the candidate's requests failed, of a new user.
    fn second(second: u32, n: u32) -> Record {
        let (from, until) = (Tick::of_second(second), Tick::of_second(second + 1));
        let counts = |n, early| ErrorCounts { n, early, ..ErrorCounts::default() };
        let hit = |user: u32| {
            let key = Some(u64::from(100 * second + user));
            Hit { side: Side::Candidate, key, kind: HitKind::Early }
        };
        let reading = |age| ErrorReading {
            age,
            from,
            until,
            counts: Both { active: counts(9 * n, 0), candidate: counts(n, n) },
            hits: (0..n).map(hit).collect(),
        };
        Record::Tick(TickRecord {
            now: until,
            arrivals: vec![Arrivals { from, until, n: Both { active: 9 * n, candidate: n } }],
            errors: vec![reading(ErrorAge::Quarter), reading(ErrorAge::Second)],
            ..TickRecord::default()
        })
    }

    fn replayed(judge: JudgeKind) -> (Vec<(u32, Decision)>, End) {
        let metrics = Metrics::new([Metric::Errors, Metric::ErrorLimit]);
        let settings = Settings { judge, metrics, ..Settings::default() };
        let mut replay = Replay::new(&Start { settings, ..Start::default() });
        let change = Change { at: Tick(0), share: 0.1, planned: true };
        let records = [Record::Change(change)].into_iter().chain((0..90).map(|at| second(at, 2)));
        let moments = records.filter_map(|record| replay.hear(&record).unwrap());
        (moments.map(|moment| (moment.at.second(), moment.decision)).collect(), replay.end())
    }

    #[test]
    fn says_each_decision_once_and_what_was_worst() {
        let (moments, end) = replayed(JudgeKind::Evidence);
        assert_eq!(moments[0], (1, Decision::Wait(Waiting::Baking)));
        let rolled_back = moments.iter().position(|(_, d)| matches!(d, Decision::RollBack(_)));
        let (second, decision) = moments[rolled_back.expect("it is found")];
        assert!(second <= 6, "{moments:?}");
        assert_eq!(end.rolled_back_at, Some(Tick::of_second(second)));
        assert_eq!((end.records, end.now), (91, Tick::of_second(90)));
        assert!(end.evidence_max.is_some_and(|(evidence, _)| evidence > 1e9));
        assert!(matches!(decision, Decision::RollBack(Breach::Metric(_))));
    }

    #[test]
    fn the_window_judge_answers_at_its_checks_only() {
        let (moments, end) = replayed(JudgeKind::Window);
        let over = Decision::RollBack(Breach::Metric(Metric::ErrorLimit));
        assert_eq!(moments, [(30, over)], "three checks, one answer");
        assert_eq!((end.rolled_back_at, end.evidence_max), (Some(Tick::of_second(30)), None));
    }
}
