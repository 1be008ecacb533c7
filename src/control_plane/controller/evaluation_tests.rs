//! A rollout whose service is being evaluated by somebody else.

use std::sync::Arc;
use std::time::Duration;

use super::super::test_rig::{PATIENCE, Rig, name};
use super::rollout_tests::{Served, start};
use crate::model::plan::quality::{QualitySpec, ScoresSpec};
use crate::model::score::Score;

/// It was rolled back, and its version had had an attempt, because CI had asked for an evaluation.
#[tokio::test]
async fn the_quality_gate_waits_for_an_evaluation_that_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::new(&dir);
    served.config.services[0].quality = Some(Arc::new(QualitySpec {
        threshold: Score::new(0.8).unwrap(),
        evaluation: None,
        scores: Some(ScoresSpec { name: name("quality"), count_min: 1 }),
    }));
    let mut rig = Rig::start(&served.config);
    let place = rig.handle.shared.place(&name("chat")).unwrap();
    rig.ask(start("green")).await.unwrap();
    let waits = async {
        while rig.handle.warm_up("chat").as_deref() != Some("another evaluation to end") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("it waits");
    assert_eq!(rig.rollout().stage.code(), "quality");
    drop(place);
    let failed = rig.event("rollout_failed").await;
    assert!(!failed.text.contains("evaluated already"), "{}", failed.text);
}
