//! Assignments from their first weights through switches and rollbacks.

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn weighted(pairs: &[(&str, f64)]) -> Vec<Weighted> {
    pairs
        .iter()
        .map(|(n, p)| Weighted { environment: name(n), weight: Weight::from_percent(*p).unwrap() })
        .collect()
}

fn three() -> Assignment {
    let initial = InitialSplit {
        active: name("blue"),
        candidate: Some(name("green")),
        fallback: None,
        weights: weighted(&[("blue", 90.0), ("green", 0.0), ("red", 10.0)]),
    };
    let mut next = 0;
    Assignment::initial(&initial, || {
        next += 1;
        next
    })
}

#[test]
fn a_switch_takes_the_slot_and_leaves_third_environments_alone() {
    let ramped = three().set_weights(&weighted(&[("blue", 65.0), ("green", 25.0)]), || 99).unwrap();
    assert_eq!(ramped.rollout_salt, Salt(99));
    let switched = ramped.switch(&name("green")).unwrap();
    assert_eq!(switched.weights(), weighted(&[("blue", 0.0), ("green", 90.0), ("red", 10.0)]));
    assert_eq!(switched.active, name("green"));
    assert_eq!(
        switched.partner,
        Some(Partner { environment: name("blue"), role: PartnerRole::Previous })
    );
    assert_eq!(switched.slot_salt, ramped.slot_salt);
    let back = switched.roll_back().unwrap();
    assert_eq!(back.weights(), weighted(&[("blue", 90.0), ("green", 0.0), ("red", 10.0)]));
    assert_eq!(back.active, name("blue"));
    assert!(matches!(back.roll_back(), Err(AssignmentError::NothingToRollBack(_))));
}

#[test]
fn a_rollback_during_the_ramp_is_no_undo_of_the_last_step() {
    let five = three().set_weights(&weighted(&[("blue", 85.0), ("green", 5.0)]), || 7).unwrap();
    let more = five.set_weights(&weighted(&[("blue", 40.0), ("green", 50.0)]), || 8).unwrap();
    assert_eq!(more.rollout_salt, Salt(7), "only leaving zero freshens the salt");
    let back = more.roll_back().unwrap();
    assert_eq!(back.weights(), weighted(&[("blue", 90.0), ("green", 0.0), ("red", 10.0)]));
}

#[test]
fn refused_changes_name_value_rule_and_remedy() {
    let three = three();
    for (change, text) in [
        (
            three.set_weights(&weighted(&[("blue", 75.0), ("green", 35.0)]), || 0),
            "weights sum to 120 %, expected 100 %; environments left out keep theirs: red=10",
        ),
        (
            three.set_weights(&weighted(&[("pink", 5.0)]), || 0),
            "unknown environment `pink`; configured: blue, green, red",
        ),
        (
            three.set_weights(&weighted(&[("red", 5.0), ("red", 5.0)]), || 0),
            "environment `red` is named twice; name each once",
        ),
        (
            three.set_candidate(&name("red"), || 0),
            "`red` has 10 % of the traffic; set it to 0 before it becomes the candidate",
        ),
        (
            three.set_candidate(&name("blue"), || 0),
            "`blue` is the active environment; switch to another one first",
        ),
        (
            three.remove(&name("red")),
            "`red` has 10 % of the traffic; set it to 0 and drain it first",
        ),
        (
            three.add(&name("red"), Salt(1)),
            "environment `red` exists already; change it with PUT, or choose another name",
        ),
        (
            three.roll_back(),
            "nothing to roll back: `blue` is active, no candidate has traffic and no previous environment is armed",
        ),
    ] {
        assert_eq!(change.unwrap_err().to_string(), text);
    }
}

#[test]
fn a_third_environment_can_be_switched_to() {
    let switched = three().switch(&name("red")).unwrap();
    assert_eq!(switched.weights(), weighted(&[("blue", 0.0), ("green", 0.0), ("red", 100.0)]));
}

/// Green is 5 % of the slot, and then red is made active by hand, or half of the users go back.
#[test]
fn everything_is_given_back_by_name_whoever_is_active() {
    let ramped = three().set_weights(&weighted(&[("blue", 85.0), ("green", 5.0)]), || 7).unwrap();
    let switched = ramped.switch(&name("green")).unwrap();
    let half = switched.set_weights(&weighted(&[("blue", 45.0), ("green", 45.0)]), || 8).unwrap();
    let red = ramped.switch(&name("red")).unwrap();
    let beside_red = red.set_weights(&weighted(&[("green", 20.0), ("red", 80.0)]), || 9).unwrap();
    let from_red = switched.switch(&name("red")).unwrap().switch(&name("green")).unwrap();
    let returned = red.switch(&name("blue")).unwrap();
    let as_before = weighted(&[("blue", 90.0), ("green", 0.0), ("red", 10.0)]);
    let all_blue = weighted(&[("blue", 100.0), ("green", 0.0), ("red", 0.0)]);
    for (before, weights) in [
        (&ramped, &as_before),
        (&switched, &as_before),
        (&half, &as_before),
        (&red, &all_blue),
        (&beside_red, &all_blue),
        (&from_red, &all_blue),
        (&returned, &all_blue),
    ] {
        let back = before.give_back(&name("green"), &name("blue")).unwrap();
        assert_eq!((&back.weights(), &back.active), (weights, &name("blue")), "{before:?}");
        let candidate = Partner { environment: name("green"), role: PartnerRole::Candidate };
        assert_eq!(back.partner, Some(candidate), "{before:?}");
    }
    // Red was armed and then given users: they stay where they are, in the slot.
    let shared = returned.set_weights(&weighted(&[("blue", 90.0), ("red", 10.0)]), || 1).unwrap();
    let back = shared.give_back(&name("green"), &name("blue")).unwrap();
    let red = Partner { environment: name("red"), role: PartnerRole::Candidate };
    assert_eq!((back.weights(), back.partner), (shared.weights(), Some(red)));
    // An environment is no candidate beside itself.
    let itself = switched.give_back(&name("blue"), &name("blue")).unwrap();
    assert_eq!((itself.slot_weight(), &itself.partner), (itself.weight(&name("blue")), &None));
}

#[test]
fn who_has_users_is_not_disarmed() {
    let switched = three().switch(&name("green")).unwrap();
    assert_eq!(switched.disarm(&name("blue")).unwrap().partner, None);
    assert_eq!(
        switched.disarm(&name("red")).unwrap_err().to_string(),
        "`red` has 10 % of the traffic; set it to 0 first: cyan weights"
    );
    let half = switched.set_weights(&weighted(&[("blue", 45.0), ("green", 45.0)]), || 8).unwrap();
    assert!(half.disarm(&name("blue")).is_err());
}
