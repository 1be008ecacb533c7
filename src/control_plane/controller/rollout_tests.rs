//! Rollouts under the real controller, on a real state file.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::command::{Command, Refused};
use super::super::journal::{Entry, Query};
use super::super::test_rig::{PATIENCE, Rig, chat, config, name};
use crate::config::Config;
use crate::model::plan::rollback::RollbackProfile;
use crate::model::plan::{Pace, Plan, Step, WrittenStep};
use crate::model::reading::Reading;
use crate::model::weight::Weight;
use crate::rollout::event::{Event, Operator};
use crate::rollout::start::{BaseMeasured, Start};
use crate::rollout::value::Rollout;

/// A service whose upstreams accept connections, and what does so.
pub(super) struct Served {
    pub(super) config: Config,
    _blue: TcpListener,
    _green: TcpListener,
}

impl Served {
    pub(super) fn new(dir: &tempfile::TempDir) -> Self {
        let mut service = chat();
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (blue, green) = (listen(), listen());
        for (environment, listener) in service.environments.iter_mut().zip([&blue, &green]) {
            let address = format!("http://{}", listener.local_addr().unwrap());
            environment.upstreams = vec![address.parse().unwrap()];
        }
        service.environments[1].version = Some("v42".into());
        Self { config: config(dir, vec![service]), _blue: blue, _green: green }
    }
}

/// 1, 25 and 100 %: the judge says nothing here, so that steps are taken by hand.
fn plan() -> Plan {
    let step = |text: &str| text.parse::<WrittenStep>().unwrap().complete(Pace::default());
    let steps: Vec<Step> = ["1%", "25%", "100%"].map(step).to_vec();
    Plan { steps, ..Plan::default() }
}

pub(super) fn start(candidate: &str) -> Command {
    let start = Start {
        candidate: name(candidate),
        version: Some("v42".into()),
        plan: plan(),
        plan_name: "default".into(),
        gates: vec![],
        without_broken_limits: false,
        again: false,
        actor: "test".into(),
        key: None,
    };
    Command::StartRollout {
        service: name("chat"),
        start: Box::new(start),
        base: BaseMeasured::default(),
        if_generation: None,
    }
}

pub(super) fn asked(operator: Operator) -> Command {
    Command::Rollout {
        service: name("chat"),
        event: Box::new(Event::Asked(operator)),
        rollout: None,
        if_generation: None,
    }
}

pub(super) const NEXT: Operator = Operator::Promote { full: false };

impl Rig {
    pub(super) fn rollout(&self) -> Rollout {
        self.handle.release("chat").unwrap().release.rollout.map(|rollout| *rollout).unwrap()
    }

    pub(super) async fn started(config: &Config) -> Self {
        let mut rig = Self::start(config);
        rig.ask(start("green")).await.unwrap();
        rig.event("rollout_stepped").await;
        assert_eq!(rig.weights(), "blue=99 green=1");
        rig
    }
}

#[tokio::test]
async fn a_rollout_gives_its_first_step_when_the_candidate_answers() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let mut rig = Rig::started(&served.config).await;
    rig.ask(asked(NEXT)).await.unwrap();
    assert_eq!(rig.weights(), "blue=75 green=25");
    rig.ask(asked(NEXT)).await.unwrap();
    assert_eq!(
        (rig.weights().as_str(), rig.rollout().stage.code()),
        ("blue=0 green=100", "switched")
    );
    rig.ask(asked(Operator::Release)).await.unwrap();
    assert_eq!(rig.rollout().stage.code(), "done");
    assert_eq!(rig.view("blue").role, None, "nothing is armed any more");
    rig.event("drained").await;
}

#[tokio::test]
async fn the_rollback_of_a_service_is_the_rollback_of_its_rollout() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    assert!(rig.roll_back().await.unwrap().changed);
    assert_eq!(
        (rig.weights().as_str(), rig.rollout().stage.code()),
        ("blue=100 green=0", "rolled_back")
    );
    assert!(!rig.roll_back().await.unwrap().changed, "the second press is no error");
    let refused = rig.ask(start("green")).await.unwrap_err().to_string();
    assert!(refused.starts_with("v42 was rolled back a moment ago; wait "), "{refused}");
}

/// Found by the simulation: the first rollback ended the rollout, the second one took the candidate for the
/// environment that was active before.
#[tokio::test]
async fn after_a_switch_by_hand_no_rollback_goes_to_the_candidate() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    rig.ask(asked(Operator::Promote { full: true })).await.unwrap();
    let back = Command::Switch { service: name("chat"), to: None, if_generation: None };
    rig.ask(back).await.unwrap();
    assert_eq!(rig.rollout().stage.code(), "rolled_back", "it is the rollback of the rollout");
    for _ in 0..2 {
        assert!(!rig.roll_back().await.unwrap().changed);
        assert_eq!(rig.weights(), "blue=100 green=0");
    }
}

#[tokio::test]
async fn a_rollback_is_measured_to_the_last_core() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let mut rig = Rig::started(&served.config).await;
    rig.roll_back().await.unwrap();
    let event = rig.event("rollback_complete").await;
    let time = rig.rollout().rollback_time.unwrap();
    assert_eq!(event.text, format!("the rollback is complete: {time}"));
    assert!(event.text.contains(", on all 2 cores "), "{}", event.text);
    assert_eq!((event.details["rollout"].as_u64(), time.cores), (Some(1), 2));

    rig.switch("green").await.unwrap();
    rig.stuck.store(true, Ordering::Relaxed);
    let applied = rig.roll_back().await.unwrap();
    assert_eq!(applied.lagging_cores, [1]);
    rig.stuck.store(false, Ordering::Relaxed);
    let event = rig.event("rollback_complete").await;
    let seconds = event.details["seconds"].as_f64().unwrap();
    assert!(event.details["rollout"].is_null() && seconds >= 1.0, "{event:?}");
    assert_eq!(rig.handle.rollback_times().count(), 2);
    let both_written = async {
        let is_one = |entry: &&Entry| entry.kind == "rollback_complete";
        let journal = || async { rig.handle.journal(Query::default()).await.unwrap() };
        while journal().await.entries.iter().filter(is_one).count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both_written).await.unwrap();
}

#[tokio::test]
async fn weights_by_hand_pause_it_and_a_switch_by_hand_promotes_it() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    let applied = rig.set("blue=90 green=10").await.unwrap();
    assert!(
        applied.warnings.iter().any(|warning| warning.contains("pauses the rollout")),
        "{applied:?}"
    );
    assert!(rig.rollout().paused.is_some());
    rig.ask(asked(Operator::Resume)).await.unwrap();
    assert_eq!(rig.weights(), "blue=99 green=1");
    rig.switch("green").await.unwrap();
    assert_eq!(rig.rollout().stage.code(), "switched");
    rig.roll_back().await.unwrap();
    assert_eq!(
        (rig.weights().as_str(), rig.rollout().stage.code()),
        ("blue=100 green=0", "rolled_back")
    );
}

#[tokio::test]
async fn a_rollout_survives_a_restart_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    rig.ask(asked(NEXT)).await.unwrap();
    rig.ask(asked(Operator::Pause { reason: Some("lunch".into()) })).await.unwrap();
    let but_for_its_clock = |rollout| Rollout { observed: Duration::ZERO, ..rollout };
    let before = rig.rollout();
    rig.handle.shutdown().await;
    let rig = Rig::start(&served.config);
    assert!(rig.rollout().observed >= before.observed);
    assert_eq!(but_for_its_clock(rig.rollout()), but_for_its_clock(before));
    assert_eq!(rig.weights(), "blue=75 green=25");
}

#[tokio::test]
async fn a_step_needs_the_disk_and_the_way_back_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    let tool = rig.hold_the_file();
    let refused = rig.ask(asked(NEXT)).await.unwrap_err();
    assert!(matches!(refused, Refused::Store(_)), "{refused:?}");
    assert_eq!((rig.weights().as_str(), rig.rollout().stage.code()), ("blue=99 green=1", "ramp"));
    let applied = rig.roll_back().await.unwrap();
    assert!(applied.changed && !applied.durable);
    assert_eq!(rig.weights(), "blue=100 green=0");
    drop(tool);
}

#[tokio::test]
async fn what_cannot_be_started_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::start(&served.config);
    let generation = rig.generation();
    let refused = rig.ask(start("blue")).await.unwrap_err().to_string();
    assert_eq!(refused, "`blue` is the active environment; switch to another one first");
    let refused = rig.ask(asked(NEXT)).await.unwrap_err().to_string();
    assert_eq!(refused, "`chat` has no rollout; start one: cyan rollout start ENVIRONMENT");
    assert_eq!(rig.generation(), generation);
}

#[tokio::test]
async fn a_candidate_that_does_not_answer_gets_nobody() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing listens on the ports of these.
    let rig = Rig::start(&config(&dir, vec![chat()]));
    rig.ask(start("green")).await.unwrap();
    let asked_once = async {
        while rig.handle.store_state().not_durable.contains(&"chat".to_owned()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked_once).await.unwrap();
    assert_eq!((rig.weights().as_str(), rig.rollout().stage.code()), ("blue=100 green=0", "ready"));
}

#[tokio::test]
async fn what_a_rollout_needs_cannot_be_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    let refused = |asked: Result<_, Refused>| asked.unwrap_err().to_string();
    let remove = Command::RemoveEnvironment {
        service: name("chat"),
        environment: name("green"),
        if_generation: None,
    };
    let part =
        "`green` is part of rollout 1; wait for its end, or roll it back first: cyan rollback";
    assert_eq!(refused(rig.ask(remove).await), part);
    let mut other_rule = served.config.clone();
    other_rule.services[0].sticky.body_bytes_max += 1;
    let said = refused(rig.ask(Command::Reload(Reading::begin(), Box::new(other_rule))).await);
    assert!(said.starts_with("the sticky rule of `chat` cannot change"), "{said}");
    let mut other_version = served.config.clone();
    other_version.services[0].environments[1].version = Some("v43".into());
    let said = refused(rig.ask(Command::Reload(Reading::begin(), Box::new(other_version))).await);
    assert!(said.starts_with("`green` is part of rollout 1, so its version cannot"), "{said}");
    let mut without_green = served.config.clone();
    without_green.services[0].environments.pop();
    assert_eq!(
        refused(rig.ask(Command::Reload(Reading::begin(), Box::new(without_green))).await),
        part
    );
}

#[tokio::test]
async fn a_staged_way_back_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::start(&served.config);
    let Command::StartRollout { service, mut start, base, .. } = start("green") else { panic!() };
    let takes_back_per_second = Weight::from_percent(40.0).unwrap();
    start.plan.rollback = RollbackProfile::Staged { takes_back_per_second };
    rig.ask(Command::StartRollout { service, start, base, if_generation: None }).await.unwrap();
    rig.switch("green").await.unwrap();

    let applied = rig.roll_back().await.unwrap();
    assert!(applied.changed);
    assert_eq!(
        (rig.weights().as_str(), rig.rollout().stage.code()),
        ("blue=40 green=60", "returning")
    );
    assert!(!rig.roll_back().await.unwrap().changed, "it goes back already");
    rig.handle.shutdown().await;
    let mut rig = Rig::start(&served.config);
    assert_eq!(rig.weights(), "blue=40 green=60");
    rig.event("rollout_returning").await;
    assert_eq!(rig.weights(), "blue=80 green=20");
    rig.event("rollout_rolled_back").await;
    assert_eq!(
        (rig.weights().as_str(), rig.view("blue").role),
        ("blue=100 green=0", Some("active"))
    );
    rig.event("rollback_complete").await;
}
