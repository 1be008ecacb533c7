//! Users return in stages: never faster than the plan says, and at once when it has to be.

use super::*;
use crate::model::plan::rollback::RollbackProfile;

/// A plan whose users return by a tenth of the slot each second.
fn staged() -> Plan {
    let rollback = RollbackProfile::Staged { takes_back_per_second: percent(10.0) };
    Plan { rollback, ..Plan::default() }
}

#[test]
fn a_staged_way_back_gives_the_base_no_more_than_the_cap_each_second() {
    for is_switched in [false, true] {
        let mut drive = Drive::in_ramp(staged());
        (0..3).for_each(|_| assert!(drive.look(300, ADVANCE)));
        assert!(!is_switched || drive.ask(Operator::Promote { full: true }));
        let (first, place) =
            if is_switched { (90.0, "100 %") } else { (40.0, "50 %, step 4 of 5") };
        drive.look(1, BREACH);
        assert!(drive.tell(&Event::BaseProbed(Ok(()))));
        assert_eq!((drive.share, drive.rollout.stage.code()), (percent(first), "returning"));
        assert!(!drive.ask(BACK), "it goes back already");
        let mut before = drive.share.percent();
        while !drive.rollout.stage.is_over() {
            assert!(!drive.look(0, BREACH), "not twice in a second");
            let kept = serde_json::to_string(&drive.rollout).unwrap();
            drive.rollout = serde_json::from_str(&kept).unwrap();
            assert!(!drive.tell(&Event::Restored), "nothing is to be begun again");
            assert!(drive.look(1, ADVANCE), "whatever the judge says now");
            assert!((before - drive.share.percent() - 10.0).abs() < 1e-9);
            before = drive.share.percent();
        }
        assert_eq!((drive.share, drive.rollout.stage.code()), (Weight::ZERO, "rolled_back"));
        let said = crate::rollout::sentence::end(&drive.rollout);
        assert!(said.contains("green failed 31 of 1204"), "{said}");
        assert!(drive.said.contains(&format!("rolled back from {place}: ")), "{}", drive.said);
        assert_eq!(drive.effects.last(), Some(&Effect::Drain(name("green"))));
    }
}

#[test]
fn some_ways_back_are_never_staged() {
    let at_half = || {
        let mut drive = Drive::in_ramp(staged());
        (0..3).for_each(|_| assert!(drive.look(300, ADVANCE)));
        drive
    };
    let mut by_hand = at_half();
    assert!(by_hand.ask(BACK));
    assert_eq!(by_hand.share, percent(40.0));
    assert!(by_hand.ask(Operator::RollBack { reason: None, instant: true }));
    assert_eq!(by_hand.rollout.stage.code(), "rolled_back");

    let mut total = at_half();
    total.fails_totally = true;
    total.look(1, BREACH);
    total.tell(&Event::BaseProbed(Ok(())));
    assert_eq!(total.rollout.stage.code(), "rolled_back");

    let mut total_later = at_half();
    total_later.look(1, BREACH);
    total_later.tell(&Event::BaseProbed(Ok(())));
    total_later.fails_totally = true;
    assert!(total_later.look(0, BREACH));
    assert_eq!(total_later.rollout.stage.code(), "rolled_back");

    let mut small = Drive::in_ramp(staged());
    assert!(small.ask(BACK));
    assert_eq!(small.rollout.stage.code(), "rolled_back", "1 % is below the cap");
}

#[test]
fn who_comes_too_late_to_go_back_is_told_a_command_that_there_is() {
    let mut drive = Drive::in_ramp(Plan::default());
    assert!(drive.ask(Operator::Promote { full: true }) && drive.ask(Operator::Release));
    let refused = drive.rollout.advance(&Event::Asked(BACK), &drive.scene()).unwrap_err();
    assert_eq!(refused.remedy, "switch to it: cyan switch chat blue");
}
