//! Somebody keeps a hold.

use super::*;

#[test]
fn who_keeps_a_hold_is_woken_by_it_no_more_for_half_an_hour() {
    let mut drive = Drive::in_ramp(Plan::default());
    let mute = || Operator::Mute { reason: Some("known".into()) };
    let held = |drive: &Drive| {
        drive.effects.iter().filter(|effect| **effect == Effect::Tell(Occasion::Held)).count()
    };
    let refused = drive.rollout.advance(&Event::Asked(mute()), &drive.scene()).unwrap_err();
    assert_eq!(refused.to_string(), "green is not held; to stop its steps: cyan rollout pause");
    assert!(drive.look(300, HOLD));
    assert!(drive.ask(mute()));
    assert_eq!(drive.said, "stays held at 1 %, step 1 of 5 (known); its alert rests for 30 min");
    assert!(!drive.ask(mute()), "pressed twice");
    assert!(drive.rollout.held.is_some() && drive.rollout.paused.is_none());
    assert!(drive.look(60, BAKING), "it may end by itself");
    assert!(drive.look(60, HOLD));
    assert_eq!(held(&drive), 1, "somebody knows");
    assert!(drive.look(1, BAKING));
    assert!(drive.look(30 * 60, HOLD));
    assert_eq!(held(&drive), 2, "half an hour later it is news");
    assert!(drive.ask(mute()) && drive.ask(Operator::Resume));
    assert!(drive.look(60, HOLD));
    assert_eq!(held(&drive), 3, "who resumes wants to know");
    assert!(drive.ask(mute()) && drive.look(10, BREACH));
}
