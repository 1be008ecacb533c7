//! A step back, and what is said of a share before the judge has looked at it.

use super::*;

const STEP_BACK: Decision = Decision::StepBack(Metric::ErrorLimit);
const SHARED: Decision = Decision::Hold(HoldReason::SharedIncident(Metric::ErrorLimit));
/// The judge has yet to look.
const NOTHING: Decision = Decision::Wait(Waiting::Check);

#[test]
fn what_holds_is_not_over_because_the_judge_has_yet_to_look() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(300, ADVANCE);
    assert!(drive.look(30, STEP_BACK));
    assert!(!drive.look(1, NOTHING));
    assert!(!drive.look(300, SHARED));
    assert!(!drive.look(1, NOTHING), "no step either");
    assert!(drive.look(1, BAKING));
    assert_eq!(drive.told.last().unwrap(), "rollout_let_go");

    let mut drive = Drive::in_ramp(Plan::default());
    drive.ask(Operator::Promote { full: true });
    assert!(drive.look(1, HOLD));
    assert!(!drive.look(1, NOTHING), "after the switch neither");
}

/// Users were on green again two seconds after they had left it, in the middle of the incident.
#[test]
fn after_a_step_back_from_the_first_step_nobody_returns_before_it_is_over() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(drive.look(30, STEP_BACK));
    assert_eq!((drive.share, &drive.rollout.stage), (Weight::ZERO, &Stage::Ramp { taken: 0 }));
    for said_late in [STEP_BACK, BREACH, NOTHING, SHARED] {
        assert!(!drive.look(1, said_late), "{said_late:?}");
    }
    assert!(drive.look(60, BAKING), "let go");
    assert!(drive.look(1, BAKING));
    assert_eq!(drive.share, percent(1.0));
}

#[test]
fn a_step_back_protects_and_a_step_does_not() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(300, ADVANCE);
    drive.now += Duration::from_secs(300);
    for (decision, protects) in [(STEP_BACK, true), (BREACH, true), (ADVANCE, false)] {
        let (text, details) = (String::new(), Value::Null);
        let judged = Judged { decision, text, details, requests: 999, is_total_failure: false };
        let look = Look { ready: Ok(()), judged: Some(judged), comparison: None };
        let event = Event::Looked(Box::new(look));
        let advance = drive.rollout.advance(&event, &drive.scene()).unwrap().unwrap();
        assert_eq!(advance.protects(&drive.scene()), protects, "{decision:?}");
    }
}
