//! The controller with a real state file: answers, restarts, refusals, environments at run time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::command::{Command, Refused};
use super::super::journal::Query;
use super::super::test_rig::{Rig, chat, config, name, set, weights};
use crate::link::CoreReport;

#[tokio::test]
async fn changes_are_answered_when_cores_and_disk_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let applied = rig.set("blue=75 green=25").await.unwrap();
    assert_eq!((applied.generation, applied.changed, applied.durable), (2, true, true));
    assert_eq!(applied.lagging_cores, [] as [usize; 0]);
    assert_eq!(rig.weights(), "blue=75 green=25");
    let event = rig.event("weights_set").await;
    assert_eq!(event.text, "green 0 % -> 25 %, blue 100 % -> 75 %");
    assert_eq!(event.service, Some(name("chat")));

    let again = rig.set("blue=75 green=25").await.unwrap();
    assert_eq!((again.generation, again.changed), (2, false));

    rig.switch("green").await.unwrap();
    assert_eq!(
        rig.event("switched").await.text,
        "green is active with 100 %; blue stays ready. Back: cyan rollback chat"
    );
    assert!(!rig.switch("green").await.unwrap().changed);
    let back = rig.roll_back().await.unwrap();
    assert_eq!((back.generation, back.changed, back.durable), (4, true, true));
    assert_eq!(
        rig.event("rolled_back").await.text,
        "rolled back: blue 0 % -> 100 %, green 100 % -> 0 %"
    );
    assert!(!rig.roll_back().await.unwrap().changed);

    let journal = rig.handle.journal(Query::default()).await.unwrap();
    // How long it took is written down once every core has it, before this or after.
    let changes = journal.entries.iter().filter(|entry| entry.kind != "rollback_complete");
    let changes: Vec<_> = changes.collect();
    let kinds: Vec<_> = changes.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["rolled_back", "switched", "weights_set", "service_began", "started"]);
    assert_eq!(changes[0].before["assignment"]["active"], "green");
    assert_eq!(changes[0].after["assignment"]["active"], "blue");
    assert_eq!(changes[0].actor, "test");
}

#[tokio::test]
async fn a_restart_comes_back_with_weights_salts_and_roles() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let rig = Rig::start(&config);
    rig.put("green", "http://127.0.0.1:22").await.unwrap();
    rig.put("red", "http://127.0.0.1:3").await.unwrap();
    rig.set("blue=65 green=25 red=10").await.unwrap();
    rig.switch("green").await.unwrap();
    let before = serde_json::to_value(rig.handle.view()).unwrap();
    rig.handle.shutdown().await;
    assert!(matches!(rig.switch("blue").await, Err(Refused::ShuttingDown)));

    let rig = Rig::start(&config);
    assert_eq!(serde_json::to_value(rig.handle.view()).unwrap(), before);
    assert_eq!(rig.view("green").overridden, ["upstreams"]);
    rig.roll_back().await.unwrap();
    assert_eq!(rig.weights(), "blue=90 green=0 red=10");
}

#[tokio::test]
async fn a_second_process_on_the_same_state_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let rig = Rig::start(&config);
    let error = Rig::try_start(&config).err().unwrap().to_string();
    assert!(error.contains(&format!("is in use by process {}", std::process::id())), "{error}");
    rig.handle.shutdown().await;
    Rig::start(&config);
}

#[tokio::test]
async fn a_core_that_lags_is_named_after_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    rig.stuck.store(true, Ordering::Relaxed);
    let applied = rig.set("blue=75 green=25").await.unwrap();
    assert_eq!(applied.lagging_cores, [1]);
    assert!(applied.applied_us >= 1_000_000);
    assert_eq!(rig.event("cores_lag").await.text, "generation 2 is not on core 1 after a second");
    rig.stuck.store(false, Ordering::Relaxed);
    rig.event("cores_caught_up").await;
}

#[tokio::test]
async fn what_is_against_the_rules_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    let put = |upstreams: Vec<&str>| Command::PutEnvironment {
        service: name("chat"),
        environment: name("blue"),
        upstreams: Some(upstreams.into_iter().map(str::to_owned).collect()),
        version: None,
        model: None,
        only_idle: false,
        if_generation: None,
    };
    let of = |service: &str| Command::RollBack { service: name(service), instant: false };
    let set_at = |if_generation| Command::SetWeights {
        service: name("chat"),
        weights: weights("blue=75 green=25"),
        candidate: None,
        if_generation,
    };
    let drain = |environment: &str| Command::Drain {
        service: name("chat"),
        environment: name(environment),
        deadline: Duration::from_secs(1),
    };
    let remove = |environment: &str| Command::RemoveEnvironment {
        service: name("chat"),
        environment: name(environment),
        if_generation: None,
    };
    for (command, refusal) in [
        (of("code"), "unknown service `code`; configured: chat"),
        (
            of("chat"),
            "nothing to roll back: `blue` is active, no candidate has traffic and no previous environment is armed",
        ),
        (set_at(Some(7)), "generation is 1, not 7; look at the state again and repeat"),
        (
            set("blue=75 green=35"),
            "weights sum to 110 %, expected 100 %; environments left out keep theirs: none",
        ),
        (
            put(vec![]),
            "`blue` has 100 % of the traffic and would have no upstream; name at least one upstream, or set its weight to 0 first",
        ),
        (
            put(vec!["127.0.0.1:80"]),
            "upstreams: `127.0.0.1:80` is not an upstream; write http://HOST:PORT, https://HOST or unix:/path",
        ),
        (
            put(vec!["http://a", "http://a:80/"]),
            "upstreams: `http://a` is named twice; name each once",
        ),
        (
            drain("blue"),
            "`blue` has 100 % of the traffic; switch to another environment or set it to 0 first",
        ),
        (drain("pink"), "unknown environment `pink`; configured: blue, green"),
        (remove("blue"), "`blue` is the active environment; switch to another one first"),
    ] {
        assert_eq!(rig.ask(command).await.unwrap_err().to_string(), refusal);
    }
    assert_eq!((rig.generation(), rig.weights().as_str()), (1, "blue=100 green=0"));
}

#[tokio::test]
async fn environments_are_made_changed_and_removed_at_run_time() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let rig = Rig::start(&config);
    let blue = rig.environment("blue");
    rig.put("red", "http://127.0.0.1:3").await.unwrap();
    rig.put("green", "http://127.0.0.1:22").await.unwrap();
    assert_eq!(rig.view("green").overridden, ["upstreams"]);
    assert!(!rig.put("green", "http://127.0.0.1:22/").await.unwrap().changed);
    assert!(std::sync::Arc::ptr_eq(&blue, &rig.environment("blue")), "blue was not touched");

    let model = |model: &str| Command::PutEnvironment {
        service: name("chat"),
        environment: name("green"),
        upstreams: None,
        version: None,
        model: Some(model.to_owned()),
        only_idle: false,
        if_generation: None,
    };
    assert!(rig.ask(model("llama-v2")).await.unwrap().changed);
    assert_eq!(rig.view("green").model.as_deref(), Some("llama-v2"));
    assert_eq!(rig.view("green").overridden, ["upstreams", "model"]);
    let refused = rig.ask(model("a\nb")).await.unwrap_err().to_string();
    assert!(refused.starts_with("model: must be one line of 1 to 200 characters"), "{refused}");
    assert!(rig.ask(model("")).await.unwrap().changed);
    assert_eq!(rig.view("green").model, None);
    let reset = |field: &str| Command::ResetField {
        service: name("chat"),
        environment: name("green"),
        field: field.to_owned(),
        if_generation: None,
    };
    rig.ask(reset("model")).await.unwrap();
    assert_eq!(rig.view("green").overridden, ["upstreams"]);
    let reset = reset("upstreams");
    rig.ask(reset).await.unwrap();
    assert_eq!(rig.view("green").upstreams[0].address, "http://127.0.0.1:2");

    let remove = |environment: &str| Command::RemoveEnvironment {
        service: name("chat"),
        environment: name(environment),
        if_generation: None,
    };
    let guard = rig.environment("red").in_flight.enter();
    assert_eq!(
        rig.ask(remove("red")).await.unwrap_err().to_string(),
        "`red` has 1 in flight; drain it first: cyan drain chat red"
    );
    drop(guard);
    rig.ask(remove("red")).await.unwrap();
    rig.ask(remove("green")).await.unwrap();
    assert_eq!(rig.weights(), "blue=100");
    rig.handle.shutdown().await;
    let rig = Rig::start(&config);
    assert_eq!(rig.weights(), "blue=100", "what the API removed stays away");
    rig.put("green", "http://127.0.0.1:2").await.unwrap();
    assert_eq!(rig.weights(), "blue=100 green=0");
}

#[tokio::test]
async fn reports_of_cores_become_events_with_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    let (blue, green) = (rig.environment("blue"), rig.environment("green"));
    let upstream = green.upstreams[0].id;
    let reason = "connection refused".to_owned();
    rig.reports.send(CoreReport::UpstreamEjected { upstream, reason }).await.unwrap();
    rig.reports.send(CoreReport::FellBack { from: green.id, to: blue.id }).await.unwrap();
    assert_eq!(
        rig.event("upstream_ejected").await.text,
        "http://127.0.0.1:2 of green is out for the moment: connection refused"
    );
    assert_eq!(
        rig.event("fell_back").await.text,
        "green has no usable upstream; blue serves its requests meanwhile"
    );
}
