//! Rollouts walk through their stages: a day of it in microseconds.

mod by_hand;
mod holds;
mod muting;
mod returning;
mod stepping_back;

use std::time::Duration;

use serde_json::{Value, json};

use super::attempts::Attempts;
use super::event::{Advance, Effect, Event, Judged, Look, Operator, Scene, Traffic};
use super::gate::GateReport;
use super::notice::Occasion;
use super::progress::{Known, Progress};
use super::stage::{Gate, Stage};
use super::start::{BaseMeasured, Situation, Start, start};
use super::value::{Holder, Rollout};
use crate::judge::comparison::Safety;
use crate::judge::decision::{Breach, Decision, HoldReason, Waiting};
use crate::judge::metric::Metric;
use crate::model::assignment::Assignment;
use crate::model::name::Name;
use crate::model::plan::{Plan, TooLittleData};
use crate::model::routing_table::Weighted;
use crate::model::service::InitialSplit;
use crate::model::weight::Weight;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn percent(percent: f64) -> Weight {
    Weight::from_percent(percent).unwrap()
}

fn blue_and_green() -> Assignment {
    let weights = [("blue", 100.0), ("green", 0.0)];
    let weighted =
        |(name, share)| Weighted { environment: self::name(name), weight: percent(share) };
    let initial = InitialSplit {
        active: name("blue"),
        candidate: None,
        fallback: None,
        weights: weights.map(weighted).to_vec(),
    };
    Assignment::initial(&initial, || 1)
}

fn wish(plan: Plan, gates: &[Gate]) -> Start {
    Start {
        candidate: name("green"),
        version: Some("v42".into()),
        plan,
        plan_name: "default".into(),
        gates: gates.to_vec(),
        without_broken_limits: false,
        again: false,
        actor: "cli:ana".into(),
        key: None,
    }
}

fn busy() -> BaseMeasured {
    let time = Duration::from_secs(900);
    BaseMeasured { requests: 90_000, time, ..BaseMeasured::default() }
}

/// Plays the controller: applies what a rollout answers, and keeps the clock.
struct Drive {
    rollout: Rollout,
    share: Weight,
    now: Duration,
    frozen: Option<String>,
    told: Vec<String>,
    effects: Vec<Effect>,
    fails_totally: bool,
    /// The last sentence.
    said: String,
}

impl Drive {
    fn start(plan: Plan, gates: &[Gate]) -> Self {
        let assignment = blue_and_green();
        let situation = Situation {
            assignment: &assignment,
            last: None,
            attempts: &Attempts::default(),
            base: busy(),
            unix_ms: 1,
        };
        let rollout = start(wish(plan, gates), &situation, || 7).unwrap().rollout;
        let (share, now) = (Weight::ZERO, Duration::ZERO);
        Self {
            rollout,
            share,
            now,
            frozen: None,
            told: vec![],
            effects: vec![],
            fails_totally: false,
            said: String::new(),
        }
    }

    fn scene(&self) -> Scene {
        Scene {
            service: name("chat"),
            now: self.now,
            share: self.share,
            frozen: self.frozen.clone(),
            actor: "cli:ana".into(),
        }
    }

    fn tell(&mut self, event: &Event) -> bool {
        let Some(advance) = self.rollout.advance(event, &self.scene()).unwrap() else {
            return false;
        };
        self.apply(advance);
        true
    }

    fn apply(&mut self, advance: Advance) {
        match advance.traffic {
            Some(Traffic::Share(share)) => self.share = share,
            Some(Traffic::Switch) => self.share = Weight::FULL,
            Some(Traffic::Back) => self.share = Weight::ZERO,
            Some(Traffic::Release) | None => {}
        }
        self.told.push(advance.said.kind.to_owned());
        self.said = advance.said.text;
        self.effects.extend(advance.effects);
        self.rollout = advance.next;
    }

    /// A look at which the judge says this, after so many seconds.
    fn look(&mut self, seconds: u64, decision: Decision) -> bool {
        self.look_with(seconds, decision, 1_000, Some(Safety::Safe))
    }

    fn look_with(
        &mut self,
        seconds: u64,
        decision: Decision,
        requests: u32,
        safety: Option<Safety>,
    ) -> bool {
        self.now += Duration::from_secs(seconds);
        let text = "green failed 31 of 1204, blue 118 of 11480".to_owned();
        let details = json!({ "evidence": 1.0 });
        let is_total_failure = self.fails_totally;
        let judged = Judged { decision, text, details, requests, is_total_failure };
        let comparison = safety.map(|safety| (safety, "p99 +0.3 s".to_owned()));
        self.tell(&Event::Looked(Box::new(Look {
            ready: Ok(()),
            judged: Some(judged),
            comparison,
        })))
    }

    fn ask(&mut self, operator: Operator) -> bool {
        self.tell(&Event::Asked(operator))
    }

    /// As far as the first step of the ramp.
    fn in_ramp(plan: Plan) -> Self {
        let mut drive = Self::start(plan, &[]);
        assert!(drive.look(1, Decision::Wait(Waiting::NoStep)));
        assert!(drive.look(1, Decision::Wait(Waiting::NoStep)));
        assert_eq!(drive.share, percent(1.0));
        drive
    }
}

const ADVANCE: Decision = Decision::Advance;
const BACK: Operator = Operator::RollBack { reason: None, instant: false };
const BREACH: Decision = Decision::RollBack(Breach::Metric(Metric::Errors));
const HOLD: Decision = Decision::Hold(HoldReason::Evidence(Metric::Errors));
const BAKING: Decision = Decision::Wait(Waiting::Baking);

#[test]
fn a_healthy_version_walks_from_the_gates_to_done() {
    let mut drive = Drive::start(Plan::default(), &[Gate::Smoke, Gate::WarmUp]);
    drive.look(1, BAKING);
    assert_eq!(drive.effects, [Effect::Start(Gate::Smoke)]);
    let passed = GateReport::passed("smoke: 5 of 5", Value::Null);
    assert!(!drive.tell(&Event::GateEnded(Gate::WarmUp, passed.clone())), "not its turn");
    assert!(drive.tell(&Event::GateEnded(Gate::Smoke, passed.clone())));
    assert!(drive.tell(&Event::GateEnded(Gate::WarmUp, passed)));
    let mut shares = vec![];
    for _ in 0..8 {
        if drive.look(300, ADVANCE) {
            shares.push(drive.share.percent());
        }
        assert!(!drive.look(1, ADVANCE) || drive.rollout.stage.is_over(), "it bakes");
    }
    assert_eq!(shares[..5], [1.0, 5.0, 25.0, 50.0, 100.0]);
    assert_eq!(drive.rollout.stage, Stage::Switched);
    drive.look(30 * 60, BAKING);
    assert_eq!(drive.rollout.stage, Stage::Done);
    assert!(drive.effects.contains(&Effect::Drain(name("blue"))));
    assert_eq!(drive.effects.last(), Some(&Effect::Tell(Occasion::Done)));
}

#[test]
fn a_step_needs_its_time_its_requests_and_the_judge() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(!drive.look_with(299, ADVANCE, 50, None), "time");
    assert!(!drive.look_with(1, ADVANCE, 49, None), "requests");
    assert!(!drive.look_with(1, BAKING, 50, None), "the judge");
    drive.frozen = Some("no step before Monday".into());
    assert!(!drive.look_with(1, ADVANCE, 50, None), "frozen");
    drive.frozen = None;
    assert!(drive.look_with(1, ADVANCE, 50, None));
    assert_eq!(drive.share, percent(5.0));
}

#[test]
fn a_step_without_requests_ends_as_the_plan_says() {
    for (policy, kind) in [
        (TooLittleData::Hold, "rollout_held"),
        (TooLittleData::Advance, "rollout_stepped"),
        (TooLittleData::RollBack, "rollout_rolling_back"),
    ] {
        let plan = Plan { too_little_data: policy, ..Plan::default() };
        let mut drive = Drive::in_ramp(plan);
        assert!(!drive.look_with(7_199, Decision::Wait(Waiting::Requests), 3, None));
        assert!(drive.look_with(1, Decision::Wait(Waiting::Requests), 3, None));
        assert_eq!(drive.told.last().unwrap(), kind);
    }
}

#[test]
fn a_breach_asks_the_base_and_goes_back() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(drive.look(10, BREACH));
    assert_eq!(drive.effects.last(), Some(&Effect::ProbeBase));
    assert!(!drive.look(1, BREACH), "it is asked once");
    assert!(drive.tell(&Event::BaseProbed(Ok(()))));
    assert_eq!((drive.share, drive.rollout.stage.code()), (Weight::ZERO, "rolled_back"));
    assert!(
        drive
            .effects
            .ends_with(&[Effect::Tell(Occasion::RolledBack), Effect::Drain(name("green"))])
    );
    assert!(!drive.look(1, ADVANCE), "nothing comes after it");
    assert!(!drive.ask(BACK), "and once is enough");
}

#[test]
fn nobody_is_sent_back_to_a_base_that_is_down() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(10, BREACH);
    assert!(drive.tell(&Event::BaseProbed(Err("connection refused".into()))));
    assert_eq!(drive.rollout.stage, Stage::Ramp { taken: 1 });
    assert_eq!(drive.rollout.held.as_ref().unwrap().by, Holder::BaseDown);
    assert_eq!(drive.share, percent(1.0));
    assert!(!drive.look(4, BREACH), "it is not asked all the time");
    assert!(drive.look(1, BREACH));
    assert!(drive.tell(&Event::BaseProbed(Ok(()))));
    assert_eq!(drive.rollout.stage.code(), "rolled_back");
}

#[test]
fn a_hold_ends_when_the_judge_says_so_and_a_pause_by_hand() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(drive.look(300, HOLD));
    assert!(!drive.look(300, HOLD), "told once");
    assert!(drive.look(1, ADVANCE), "let go");
    assert!(drive.ask(Operator::Pause { reason: None }));
    assert!(!drive.ask(Operator::Pause { reason: None }));
    assert!(!drive.look(300, ADVANCE), "paused");
    assert!(drive.ask(Operator::Resume));
    assert!(drive.look(1, ADVANCE));
    assert_eq!(drive.share, percent(5.0));
    assert!(drive.look(1, HOLD));
    assert!(drive.ask(Operator::Resume));
    assert_eq!(drive.effects.last(), Some(&Effect::ResumeJudge));
    drive.ask(Operator::Pause { reason: None });
    assert!(drive.look(1, BREACH), "a pause stops steps, never the way back");
}

#[test]
fn a_shared_incident_after_a_step_takes_the_step_back() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(300, ADVANCE);
    assert!(drive.look(30, Decision::StepBack(Metric::ErrorLimit)));
    assert_eq!((drive.share, &drive.rollout.stage), (percent(1.0), &Stage::Ramp { taken: 1 }));
    let shared = Decision::Hold(HoldReason::SharedIncident(Metric::ErrorLimit));
    assert!(!drive.look(60, shared));
    assert!(drive.look(1, BAKING), "let go");
    assert!(drive.look(300, ADVANCE));
    assert_eq!(drive.share, percent(5.0));
}

#[test]
fn the_switch_waits_for_the_comparison() {
    let mut drive = Drive::in_ramp(Plan::default());
    (0..3).for_each(|_| assert!(drive.look(300, ADVANCE)));
    assert_eq!(drive.share, percent(50.0));
    assert!(!drive.look_with(300, ADVANCE, 999, None));
    assert!(!drive.look_with(1, ADVANCE, 999, Some(Safety::NotEnoughData)));
    assert!(drive.look_with(1, ADVANCE, 999, Some(Safety::Unsafe)));
    assert_eq!(drive.rollout.held.as_ref().unwrap().by, Holder::Comparison);
    assert!(!drive.look_with(1, ADVANCE, 999, Some(Safety::Unsafe)), "told once");
    assert!(drive.look_with(1, ADVANCE, 999, Some(Safety::NotEnoughData)), "let go");
    assert_eq!(drive.rollout.held, None);
    assert!(drive.look_with(1, ADVANCE, 999, Some(Safety::Safe)));
    assert_eq!(drive.rollout.stage, Stage::Switched);
}

#[test]
fn a_failed_gate_ends_it_before_users() {
    let mut drive = Drive::start(Plan::default(), &[Gate::Smoke]);
    drive.look(1, BAKING);
    let failed = GateReport::failed("smoke: 4 of 5 checks passed", Value::Null);
    assert!(drive.tell(&Event::GateEnded(Gate::Smoke, failed)));
    assert_eq!(drive.rollout.stage.code(), "rolled_back");
    assert_eq!(drive.share, Weight::ZERO);
}

#[test]
fn a_candidate_that_never_gets_ready_ends_it() {
    let mut drive = Drive::start(Plan::default(), &[]);
    let look = || Look { ready: Err("connection refused".into()), judged: None, comparison: None };
    drive.now = Duration::from_secs(599);
    assert!(!drive.tell(&Event::Looked(Box::new(look()))));
    drive.now += Duration::from_secs(1);
    assert!(drive.tell(&Event::Looked(Box::new(look()))));
    let Stage::RolledBack { cause } = &drive.rollout.stage else { panic!("{:?}", drive.rollout) };
    assert_eq!(cause.text, "green was not ready within 10 min: connection refused");
}

#[test]
fn people_may_go_faster_and_back_from_anywhere() {
    for asked in [Operator::Promote { full: true }, BACK] {
        for gates in [&[][..], &[Gate::Smoke]] {
            let mut drive = Drive::start(Plan::default(), gates);
            drive.look(1, BAKING);
            assert!(drive.ask(asked.clone()));
            let expected = if asked == (Operator::Promote { full: true }) {
                "switched"
            } else {
                "rolled_back"
            };
            assert_eq!(drive.rollout.stage.code(), expected);
            let stops = drive.effects.contains(&Effect::Stop(Gate::Smoke));
            assert_eq!(stops, !gates.is_empty());
        }
    }
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(drive.ask(Operator::Promote { full: false }));
    assert_eq!(drive.share, percent(5.0));
    assert!(drive.ask(Operator::Promote { full: true }));
    let error =
        drive.rollout.advance(&Event::Asked(Operator::Promote { full: false }), &drive.scene());
    let said = error.unwrap_err().to_string();
    assert_eq!(
        said,
        "green has all of the traffic already; blue stays armed for 30 min; end that by: cyan rollout release"
    );
    assert!(drive.look(5, BREACH), "the limits stay armed");
    drive.tell(&Event::BaseProbed(Ok(())));
    assert_eq!(drive.share, Weight::ZERO);
}

#[test]
fn weights_set_by_hand_pause_it_and_resume_goes_back_to_the_plan() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.share = percent(30.0);
    assert!(drive.tell(&Event::WeightsByHand));
    assert!(!drive.look(300, ADVANCE));
    assert!(drive.ask(Operator::Resume));
    assert_eq!(drive.share, percent(1.0));
}

#[test]
fn what_was_under_way_begins_again_after_a_restart() {
    let mut drive = Drive::start(Plan::default(), &[Gate::Smoke]);
    drive.look(1, BAKING);
    drive.effects.clear();
    let kept = serde_json::to_string(&drive.rollout).unwrap();
    drive.rollout = serde_json::from_str(&kept).unwrap();
    assert!(drive.tell(&Event::Restored));
    assert_eq!(drive.effects, [Effect::Start(Gate::Smoke)]);
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(1, BREACH);
    let kept = serde_json::to_string(&drive.rollout).unwrap();
    assert_eq!(serde_json::from_str::<Rollout>(&kept).unwrap(), drive.rollout);
    drive.effects.clear();
    drive.tell(&Event::Restored);
    assert_eq!(drive.effects, [Effect::ProbeBase]);
}

#[test]
fn a_rollout_says_that_it_waits_for_the_comparison() {
    let rollout = Drive::start(Plan::default(), &[]).rollout;
    let stage = Stage::Ramp { taken: rollout.plan.steps.len() - 1 };
    let rollout = Rollout { stage, ..rollout };
    let decision = Decision::Advance;
    let (text, details) = (String::new(), Value::Null);
    let judged = Judged { decision, text, details, requests: 1_000, is_total_failure: false };
    let waits = |objection| {
        let known = Known { judged: Some(&judged), objection, ..Known::default() };
        Progress::of(&rollout, known, Duration::from_secs(3_600)).waits_for
    };
    assert!(waits(None).is_empty());
    assert_eq!(waits(Some("p99 needs 300 more")), ["the comparison: p99 needs 300 more"]);
}
