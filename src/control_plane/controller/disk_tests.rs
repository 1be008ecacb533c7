//! The controller while the disk is slow, silent or held by somebody else.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::boot::Boot;
use super::super::command::{Command, Refused, Request};
use super::super::journal::Query;
use super::super::record::ServiceRecord;
use super::super::store::sqlite::SqliteStore;
use super::super::store::writer::Writer;
use super::super::store::{Store, Write};
use super::super::test_rig::{PATIENCE, Rig, Tampered, chat, config, name, set};
use crate::config::Config;

/// A controller on a disk that keeps its answers back until it is let go.
fn start_on_a_slow_disk(config: &Config) -> (Rig, mpsc::Sender<()>) {
    let (let_go, answers) = mpsc::channel();
    let mut boot = Boot::open(config).unwrap();
    let store = SqliteStore::open(&config.state_dir).unwrap();
    let commit = move |store: &mut SqliteStore, write: &Write, still_wanted: &dyn Fn() -> bool| {
        let committed = store.commit(write, still_wanted);
        // A closed channel stands for a disk that has recovered.
        let _ = answers.recv();
        committed
    };
    boot.writer = Writer::start(Tampered { store, commit }).unwrap();
    (Rig::run(boot, config), let_go)
}

/// What a restart would find.
fn on_the_disk(config: &Config) -> ServiceRecord {
    let mut store = SqliteStore::open(&config.state_dir).unwrap();
    store.load().unwrap().remove(0)
}

async fn settled(rig: &Rig) {
    let settled = async {
        loop {
            let store = rig.handle.store_state();
            if store.problem.is_none() && store.not_durable.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("the disk gets everything");
}

#[tokio::test]
async fn a_raise_that_the_disk_keeps_too_late_is_taken_back_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let (mut rig, let_go) = start_on_a_slow_disk(&config);
    let asked = Instant::now();
    let refused = rig.set("blue=75 green=25").await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_millis(2500), "{:?}", asked.elapsed());
    assert!(refused.to_string().starts_with("not durable: the disk has not answered within 2s;"));
    assert_eq!(rig.weights(), "blue=100 green=0");
    assert_eq!(on_the_disk(&config).generation, 2, "the disk has what nobody ever saw");
    drop(let_go);
    rig.event("store_recovered").await;
    settled(&rig).await;
    rig.handle.shutdown().await;
    assert_eq!(on_the_disk(&config).assignment.weights(), chat().initial.weights);
}

#[tokio::test]
async fn a_rollback_overtakes_a_raise_that_the_disk_has_already() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let (rig, let_go) = start_on_a_slow_disk(&config);
    let handle = rig.handle.clone();
    let raise = Request { actor: "test".into(), reason: None, command: set("blue=95 green=5") };
    let raise = tokio::spawn(async move { handle.submit(raise).await });
    while on_the_disk(&config).generation != 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let back = rig.roll_back().await.unwrap();
    assert!(!back.changed);
    let stopped = "a change that waited for the disk was stopped; nobody had moved";
    assert_eq!(back.warnings, [stopped]);
    drop(let_go);
    let refused = tokio::time::timeout(PATIENCE, raise).await.unwrap().unwrap().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`chat` was rolled back or lowered before this was written; look at the state again, \
         and repeat if you still want it"
    );
    settled(&rig).await;
    rig.handle.shutdown().await;
    assert_eq!(on_the_disk(&config).assignment.weights(), chat().initial.weights);
}

#[tokio::test]
async fn a_shutdown_answers_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(&config(&dir, vec![chat()]));
    let handle = rig.handle.clone();
    let raise = Request { actor: "test".into(), reason: None, command: set("blue=95 green=5") };
    let raise = tokio::spawn(async move { handle.submit(raise).await });
    tokio::task::yield_now().await;
    rig.handle.shutdown().await;
    let answer = tokio::time::timeout(PATIENCE, raise).await.unwrap().unwrap();
    assert_eq!(answer.is_ok(), rig.weights() == "blue=95 green=5", "{answer:?}");
}

/// What was lowered waits for the disk like anything else, but no caller does, who would tell.
#[tokio::test]
async fn a_disk_that_says_nothing_is_told_of_when_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let (mut rig, let_go) = start_on_a_slow_disk(&config);
    let_go.send(()).unwrap();
    rig.set("blue=75 green=25").await.unwrap();
    assert!(!rig.set("blue=95 green=5").await.unwrap().durable);
    rig.event("store_failed").await;
    let problem = rig.handle.store_state().problem.clone();
    assert_eq!(problem.as_deref(), Some("the disk has not answered within 2s"));
    drop(let_go);
    rig.event("store_recovered").await;
    settled(&rig).await;
}

#[tokio::test]
async fn whatever_overtakes_whatever_the_disk_ends_with_what_is_at_work() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir, vec![chat()]);
    let rig = Rig::start(&config);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..8_u64 {
        let handle = rig.handle.clone();
        let mut random = fastrand::Rng::with_seed(caller);
        callers.spawn(async move {
            for _ in 0..25 {
                let service = name("chat");
                let green = random.u32(0..=100);
                let command = match random.u32(0..6) {
                    0 => Command::RollBack { service, instant: false },
                    1 => Command::Switch { service, to: None, if_generation: None },
                    _ => set(&format!("blue={} green={green}", 100 - green)),
                };
                let request = Request { actor: "test".into(), reason: None, command };
                match handle.submit(request).await {
                    Ok(_) | Err(Refused::State { .. } | Refused::Assignment(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(caller) = tokio::time::timeout(PATIENCE, callers.join_next()).await.unwrap() {
        caller.unwrap();
    }
    settled(&rig).await;
    let at_work = serde_json::to_value(rig.handle.service("chat").unwrap()).unwrap();
    rig.handle.shutdown().await;
    let kept = on_the_disk(&config);
    assert_eq!(serde_json::to_value(&kept.assignment).unwrap(), at_work["assignment"]);
    assert_eq!(kept.generation, at_work["generation"]);
    let rig = Rig::start(&config);
    let journal = rig.handle.journal(Query::default()).await.unwrap();
    let published = ["weights_set", "switched", "rolled_back"];
    let published = journal.entries.iter().filter(|e| published.contains(&e.kind.as_str()));
    let generations: Vec<u64> = published.map(|entry| entry.generation).collect();
    assert!(generations.is_sorted_by(|a, b| a > b), "{generations:?}");
}

#[tokio::test]
async fn a_raise_waits_for_the_disk_and_a_rollback_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    rig.set("blue=95 green=5").await.unwrap();
    let tool = rig.hold_the_file();
    let handle = rig.handle.clone();
    let request = Request { actor: "test".into(), reason: None, command: set("blue=50 green=50") };
    let raise = tokio::spawn(async move { handle.submit(request).await });
    tokio::task::yield_now().await;
    let asked = Instant::now();
    let back = rig.roll_back().await.unwrap();
    assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
    assert_eq!((back.changed, back.durable), (true, false));
    assert_eq!(rig.weights(), "blue=100 green=0");
    assert_eq!(rig.handle.store_state().not_durable, ["chat"]);

    tool.execute_batch("ROLLBACK").unwrap();
    let refused = tokio::time::timeout(PATIENCE, raise).await.unwrap().unwrap().unwrap_err();
    let overtaken = "`chat` was rolled back or lowered before this was written; \
                     look at the state again, and repeat if you still want it";
    assert!(refused.to_string() == overtaken || matches!(refused, Refused::Store(_)), "{refused}");
    assert_eq!(rig.weights(), "blue=100 green=0");
    let recovered = async {
        while rig.handle.store_state().problem.is_some()
            || !rig.handle.store_state().not_durable.is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recovered).await.unwrap();
    let config = config(&dir, vec![chat()]);
    rig.handle.shutdown().await;
    rig = Rig::start(&config);
    assert_eq!(rig.weights(), "blue=100 green=0");
}

#[tokio::test]
async fn while_the_disk_is_away_raising_is_refused_and_lowering_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(&config(&dir, vec![chat()]));
    rig.set("blue=75 green=25").await.unwrap();
    let tool = rig.hold_the_file();
    let asked = Instant::now();
    let refused = rig.set("blue=50 green=50").await.unwrap_err();
    assert!(asked.elapsed() < Duration::from_millis(2500));
    assert_eq!(
        refused.to_string(),
        "not durable: the state file cannot be written: another program holds it; close the tool \
         that has it open for writing; nothing was raised, lowering and rollback still work"
    );
    assert_eq!(rig.weights(), "blue=75 green=25");
    rig.event("store_failed").await;
    let lowered = rig.set("blue=95 green=5").await.unwrap();
    assert!(!lowered.durable);
    assert_eq!(rig.weights(), "blue=95 green=5");

    tool.execute_batch("ROLLBACK").unwrap();
    rig.event("store_recovered").await;
    assert!(rig.set("blue=50 green=50").await.unwrap().durable);
    let journal = rig.handle.journal(Query::default()).await.unwrap();
    let kinds: Vec<_> = journal.entries.iter().take(3).map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["weights_set", "weights_set", "weights_set_refused"]);
}
