//! What the controller makes of what a judge has said.

use std::time::Duration;

use serde_json::json;

use super::super::store::sqlite::SqliteStore;
use super::super::store::{Store as _, Write};
use super::super::test_rig::{PATIENCE, Rig};
use super::rollout_tests::{NEXT, Served, asked};
use crate::judge::decision::Decision;

/// Cores take a share milliseconds later, and the judge looks at it a quarter of a second after that. Until
/// then it said what it had said of the share before, and the step back was taken twice.
#[tokio::test]
async fn a_step_back_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(&dir);
    let rig = Rig::started(&served.config).await;
    rig.ask(asked(NEXT)).await.unwrap();
    assert_eq!(rig.weights(), "blue=75 green=25");
    rig.handle.shutdown().await;

    // The cores of the rig note nothing, so the judge's word is put into what is kept of it.
    let mut store = SqliteStore::open(&served.config.state_dir).unwrap();
    let mut evidence = store.load_evidence().unwrap().remove(0);
    let mut kept: serde_json::Value = serde_json::from_str(&evidence.snapshot).unwrap();
    let step_back = json!({ "decision": "step_back", "why": "error_limit" });
    for (key, value) in [("decision", &step_back), ("decided", &step_back), ("share", &json!(0.25))]
    {
        kept[key] = value.clone();
    }
    evidence.snapshot = kept.to_string();
    let write = Write { evidence: vec![evidence], ..Write::default() };
    store.commit(&write, &|| true).unwrap();
    drop(store);

    let mut rig = Rig::start(&served.config);
    rig.event("rollout_stepped_back").await;
    let is_over = |decision| matches!(decision, Decision::Wait(_));
    let looked = async {
        while !rig.handle.judged("chat").is_some_and(|judged| is_over(judged.decision)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.expect("another look");
    assert_eq!(rig.weights(), "blue=99 green=1");
    assert!(rig.rollout().held.is_some());
}
