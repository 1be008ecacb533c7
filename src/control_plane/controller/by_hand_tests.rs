//! A rollout under the real controller, and what somebody does to its service meanwhile.

use super::super::command::{Command, Refused};
use super::super::test_rig::{Rig, name, weights};
use super::rollout_tests::{NEXT, Served, asked, start};
use crate::config::Config;
use crate::model::environment::EnvironmentSpec;
use crate::rollout::event::Operator;

/// Blue, green and red, which has nothing.
fn three(served: &Served) -> Config {
    let mut config = served.config.clone();
    let service = &mut config.services[0];
    let upstream = "http://127.0.0.1:3".parse().unwrap();
    service.environments.push(EnvironmentSpec::new(name("red"), vec![upstream]));
    service.initial.weights = weights("blue=100 green=0 red=0");
    config
}

/// Green at 25 %.
async fn ramped(config: &Config) -> Rig {
    let mut rig = Rig::start(config);
    rig.ask(start("green")).await.unwrap();
    rig.event("rollout_stepped").await;
    rig.ask(asked(NEXT)).await.unwrap();
    assert_eq!(rig.weights(), "blue=75 green=25 red=0");
    rig
}

fn refusal<T: std::fmt::Debug>(asked: Result<T, Refused>) -> String {
    asked.unwrap_err().to_string()
}

#[tokio::test]
async fn a_third_environment_that_was_active_meanwhile_is_nobody_to_go_back_to() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = ramped(&three(&served)).await;
    rig.switch("red").await.unwrap();
    for goes_on in [Operator::Resume, NEXT, Operator::Promote { full: true }] {
        let said = refusal(rig.ask(asked(goes_on)).await);
        assert!(said.starts_with("`red` is active, which is no part of rollout 1"), "{said}");
    }
    rig.switch("blue").await.unwrap();
    rig.ask(asked(Operator::Resume)).await.unwrap();
    assert_eq!(rig.weights(), "blue=75 green=25 red=0");
    assert_eq!(rig.view("green").role, Some("candidate"));
    rig.roll_back().await.unwrap();
    assert_eq!(
        (rig.weights().as_str(), rig.view("blue").role),
        ("blue=100 green=0 red=0", Some("active"))
    );
    assert_eq!(rig.rollout().stage.code(), "rolled_back");
    assert!(!rig.roll_back().await.unwrap().changed);
}

#[tokio::test]
async fn a_rollback_leads_to_the_base_whoever_is_active() {
    for switches in [&["red"][..], &["green", "red"], &["green", "red", "green"]] {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::new(&dir);
        let rig = ramped(&three(&served)).await;
        for to in switches {
            rig.switch(to).await.unwrap();
        }
        rig.roll_back().await.unwrap();
        assert_eq!(
            (rig.weights().as_str(), rig.view("blue").role),
            ("blue=100 green=0 red=0", Some("active")),
            "{switches:?}"
        );
        assert_eq!(rig.rollout().stage.code(), "rolled_back");
    }
}

#[tokio::test]
async fn a_rollout_keeps_its_candidate_and_shares_no_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = ramped(&three(&served)).await;
    rig.set("blue=0 green=0 red=100").await.unwrap();
    let red = Command::SetWeights {
        service: name("chat"),
        weights: vec![],
        candidate: Some(name("red")),
        if_generation: None,
    };
    let said = refusal(rig.ask(red).await);
    assert!(said.starts_with("`green` is the candidate of rollout 1; wait for its end"), "{said}");
    let said = refusal(rig.ask(asked(Operator::Resume)).await);
    assert!(said.starts_with("`blue` and `green` have no traffic to be shared"), "{said}");
    rig.roll_back().await.unwrap();
    assert_eq!(rig.weights(), "blue=0 green=0 red=100");
    assert_eq!(rig.rollout().stage.code(), "rolled_back");
    let said = refusal(rig.ask(start("green")).await);
    assert!(said.starts_with("`blue` is active with 0 % of the traffic"), "{said}");
}
