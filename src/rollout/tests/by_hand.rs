//! What somebody does to the weights meanwhile.

use super::*;

/// A gate goes on while it is paused. Its end left users on a candidate whose servers were then taken away.
#[test]
fn whom_a_hand_has_sent_to_a_candidate_that_fails_its_gate_goes_back() {
    for share in [0.0, 10.0] {
        let mut drive = Drive::start(Plan::default(), &[Gate::Quality]);
        drive.look(1, BAKING);
        drive.share = percent(share);
        drive.tell(&Event::WeightsByHand);
        let failed = GateReport::failed("score 0.4 of 0.8", Value::Null);
        assert!(drive.tell(&Event::GateEnded(Gate::Quality, failed)));
        assert_eq!((drive.share, drive.rollout.stage.code()), (Weight::ZERO, "rolled_back"));
        assert_eq!(drive.effects.contains(&Effect::Drain(name("green"))), share > 0.0);
        assert_eq!(drive.said.ends_with("no user has met it"), share == 0.0, "{}", drive.said);
    }
}

#[test]
fn the_environment_before_is_left_by_itself_only_when_nobody_is_there_and_nobody_stops_it() {
    let mut drive = Drive::in_ramp(Plan::default());
    drive.ask(Operator::Promote { full: true });
    drive.frozen = Some("no step before Monday".into());
    assert!(!drive.look(30 * 60, BAKING), "frozen");
    drive.frozen = None;
    drive.share = percent(50.0);
    assert!(!drive.look(1, BAKING), "half of the users are there");
    let known = Known { left_on_base: percent(50.0), ..Known::default() };
    let waits = Progress::of(&drive.rollout, known, drive.now).waits_for;
    assert!(waits.contains(&"blue to have no traffic".to_owned()), "{waits:?}");
    assert!(drive.tell(&Event::WeightsByHand));
    drive.share = Weight::FULL;
    assert!(!drive.look(1, BAKING), "paused");
    drive.share = percent(50.0);
    assert!(drive.ask(Operator::Resume));
    assert_eq!(drive.share, Weight::FULL, "as the plan has it");
    assert!(drive.look(1, BAKING));
    assert_eq!(drive.rollout.stage, Stage::Done);
}
