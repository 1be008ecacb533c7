//! Which holds wait for somebody. A rollout that was held by its comparison never did, so that
//! `cyan rollout start --wait` never came back from the ordinary end of a candidate that is worse.

use super::*;

impl Drive {
    fn needs_somebody(&self, decision: Decision) -> bool {
        let (text, details) = (String::new(), Value::Null);
        let judged = Judged { decision, text, details, requests: 9, is_total_failure: false };
        self.rollout.needs_somebody(Some(&judged), self.now)
    }
}

#[test]
fn a_comparison_that_objects_for_as_long_as_a_step_may_wait_needs_somebody() {
    let mut drive = Drive::in_ramp(Plan::default());
    (0..3).for_each(|_| assert!(drive.look(300, ADVANCE)));
    assert!(drive.look_with(300, ADVANCE, 999, Some(Safety::Unsafe)));
    assert_eq!(drive.rollout.held.as_ref().unwrap().by, Holder::Comparison);
    let left = drive.rollout.plan.wait_max.saturating_sub(drive.rollout.in_stage(drive.now));
    drive.look_with(left.as_secs() - 1, ADVANCE, 999, Some(Safety::Unsafe));
    assert!(!drive.needs_somebody(ADVANCE), "it may end by itself");
    drive.look_with(1, ADVANCE, 999, Some(Safety::Unsafe));
    assert!(drive.needs_somebody(ADVANCE));
    assert!(drive.look_with(1, ADVANCE, 999, Some(Safety::NotEnoughData)), "let go all the same");
    assert!(!drive.needs_somebody(ADVANCE));
}

#[test]
fn a_way_back_that_stays_shut_needs_somebody() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.look(10, BREACH);
    let no_answer = Event::BaseProbed(Err("connection refused".into()));
    assert!(drive.tell(&no_answer));
    for _ in 0..6 {
        assert!(!drive.needs_somebody(BREACH), "it is asked again");
        assert!(!drive.look(4, BREACH), "but not all the time");
        assert!(drive.look(1, BREACH));
        assert!(drive.tell(&no_answer));
    }
    assert!(drive.needs_somebody(BREACH));
}

#[test]
fn what_the_judge_holds_is_as_the_judge_says() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(!drive.needs_somebody(HOLD), "it is not held");
    assert!(drive.look(1, HOLD));
    assert!(!drive.needs_somebody(HOLD) && !drive.needs_somebody(ADVANCE));
}
