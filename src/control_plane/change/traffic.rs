//! What a rollout does to the traffic of its service, by the names of its two environments.
//!
//! Not by roles: somebody may have made a third environment active, or the partner, since the rollout
//! began. Who asks for the way back is led to the rollout's base all the same, and it is never refused for
//! that; what raises the candidate is. What goes back by itself leaves a third environment what it was
//! given: somebody has chosen it.

use super::Random;
use crate::control_plane::command::Refused;
use crate::model::assignment::{Assignment, AssignmentError, PartnerRole};
use crate::model::name::Name;
use crate::model::routing_table::Weighted;
use crate::model::weight::Weight;
use crate::rollout::event::{Advance, Event, Operator, Traffic};
use crate::rollout::value::Rollout;

/// What happened to a rollout, and in which service.
#[derive(Debug, Clone, Copy)]
pub(in crate::control_plane) struct Happening<'a> {
    /// What.
    pub event: &'a Event,
    /// Where.
    pub service: &'a Name,
}

/// The candidate's share of what it and the base have together.
pub(in crate::control_plane) fn share(assignment: &Assignment, rollout: &Rollout) -> Weight {
    assignment.share_beside(&rollout.candidate, &rollout.base)
}

/// Whether the candidate has what the plan has given it by now.
pub(in crate::control_plane) fn is_as_planned(assignment: &Assignment, rollout: &Rollout) -> bool {
    // In hundredths of all traffic, as it was set: a share worked out again may be rounded to another one.
    let planned = part(together(assignment, rollout), rollout.planned_share());
    assignment.weight(&rollout.candidate) == planned
}

/// The assignment after this happened to the traffic of a rollout.
pub(in crate::control_plane) fn with_traffic(
    before: &Assignment,
    advance: &Advance,
    happening: Happening<'_>,
    random: Random<'_>,
) -> Result<Assignment, Refused> {
    let rollout = &advance.next;
    let Rollout { candidate, base, .. } = rollout;
    let is_asked = matches!(happening.event, Event::Asked(_));
    let leads_to_base = is_asked || [candidate, base].contains(&&before.active);
    let back = || {
        if leads_to_base {
            before.give_back(candidate, base)
        } else {
            before.leave(candidate)?.disarm(candidate)
        }
    };
    let lowers = |to| !is_asked && to < share(before, rollout);
    Ok(match advance.traffic {
        None => before.clone(),
        Some(Traffic::Back) => back()?,
        Some(Traffic::Share(to)) => {
            match side_by_side(before, rollout, happening.service, &mut *random) {
                Ok(joined) => joined.set_weights(&weights(&joined, rollout, to), random)?,
                // Where no share can be set, everybody goes back at once.
                Err(_) if rollout.stage.goes_back() || lowers(to) => back()?,
                Err(refused) => return Err(refused),
            }
        }
        Some(Traffic::Switch) => {
            may_go_on(before, rollout, happening.service)?;
            let switched = if before.active == *candidate {
                before.clone()
            } else {
                before.switch(candidate)?
            };
            // By hand the base may have got a slot of its own.
            switched.leave(base)?
        }
        Some(Traffic::Release) => before.disarm(base)?,
    })
}

/// Refuses to go on with a rollout whose environments were left by hand: no step of it could be taken.
pub(in crate::control_plane) fn may_be_asked(
    Happening { event, service }: Happening<'_>,
    before: &Assignment,
    rollout: &Rollout,
) -> Result<(), Refused> {
    match event {
        Event::Asked(Operator::Resume | Operator::Promote { .. } | Operator::PromoteTo { .. }) => {
            may_go_on(before, rollout, service)
        }
        _ => Ok(()),
    }
}

fn may_go_on(before: &Assignment, rollout: &Rollout, service: &Name) -> Result<(), Refused> {
    let Rollout { candidate, base, id, .. } = rollout;
    if ![candidate, base].contains(&&before.active) {
        return Err(Refused::State {
            problem: format!("`{}` is active, which is no part of rollout {id}", before.active),
            remedy: format!(
                "switch back first: cyan switch {service} {base}; or end it: cyan rollback"
            ),
        });
    }
    if together(before, rollout).is_zero() {
        return Err(Refused::State {
            problem: format!("`{base}` and `{candidate}` have no traffic to be shared"),
            remedy: "give them some first: cyan weights; or end it: cyan rollback".to_owned(),
        });
    }
    Ok(())
}

/// The base is active, and the candidate its partner.
fn side_by_side(
    before: &Assignment,
    rollout: &Rollout,
    service: &Name,
    random: Random<'_>,
) -> Result<Assignment, Refused> {
    let Rollout { candidate, base, .. } = rollout;
    may_go_on(before, rollout, service)?;
    // After the switch the base has to be active again first; by hand the candidate may have got a slot
    // of its own, and joins the base's only with nothing.
    let is_beside = before.active == *base && before.is_partner(candidate);
    let joined = if is_beside { before.clone() } else { before.give_back(candidate, base)? };
    let is_candidate = joined
        .partner
        .as_ref()
        .is_some_and(|p| p.environment == *candidate && p.role == PartnerRole::Candidate);
    if is_candidate {
        return Ok(joined);
    }
    joined.set_candidate(candidate, random).map_err(|refused| match refused {
        AssignmentError::HasTraffic { name, weight } => Refused::State {
            problem: format!(
                "`{name}` has the place beside `{base}`, and {weight} % of the traffic"
            ),
            remedy: "set it to 0 first: cyan weights; or end it: cyan rollback".to_owned(),
        },
        other => other.into(),
    })
}

fn weights(before: &Assignment, rollout: &Rollout, share: Weight) -> [Weighted; 2] {
    let all = together(before, rollout);
    let candidate = part(all, share);
    let base = all.hundredths().saturating_sub(candidate.hundredths());
    let weighted =
        |environment: &_, weight| Weighted { environment: Clone::clone(environment), weight };
    [
        weighted(&rollout.candidate, candidate),
        weighted(&rollout.base, Weight::from_hundredths(base).unwrap_or(Weight::ZERO)),
    ]
}

/// What base and candidate have together.
fn together(assignment: &Assignment, rollout: &Rollout) -> Weight {
    let of = |name| assignment.weight(name).hundredths();
    Weight::from_hundredths(of(&rollout.candidate) + of(&rollout.base)).unwrap_or(Weight::FULL)
}

/// A share of what there is, at least a hundredth of a percent where it is any at all.
fn part(all: Weight, share: Weight) -> Weight {
    let full = u32::from(Weight::FULL.hundredths());
    let (all, share) = (u32::from(all.hundredths()), u32::from(share.hundredths()));
    let part = (all * share + full / 2) / full;
    let part = if share > 0 { part.clamp(1.min(all), all) } else { 0 };
    u16::try_from(part).ok().and_then(Weight::from_hundredths).unwrap_or(Weight::ZERO)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::control_plane::test_rig::{chat, name, weights};
    use crate::model::plan::Plan;
    use crate::model::service::InitialSplit;
    use crate::rollout::attempts::Attempts;
    use crate::rollout::event::Said;
    use crate::rollout::stage::{Cause, Stage};
    use crate::rollout::start::{BaseMeasured, Situation, Start, start};

    /// Blue is active with this, and a rollout of green begins.
    fn begun(split: &str) -> (Assignment, Rollout) {
        let initial = InitialSplit { weights: weights(split), ..chat().initial };
        let assignment = Assignment::initial(&initial, || 1);
        let wish = Start {
            candidate: name("green"),
            version: None,
            plan: Plan::default(),
            plan_name: "default".into(),
            gates: vec![],
            without_broken_limits: false,
            again: false,
            actor: "test".into(),
            key: None,
        };
        let attempts = Attempts::default();
        let base = BaseMeasured::default();
        let situation = Situation {
            assignment: &assignment,
            last: None,
            attempts: &attempts,
            base,
            unix_ms: 1,
        };
        let started = start(wish, &situation, || 2).unwrap();
        (started.assignment, started.rollout)
    }

    /// What becomes of the traffic as the rollout comes to this stage, because somebody asked for it.
    fn after(
        before: &Assignment,
        rollout: &Rollout,
        to: (Stage, Traffic),
    ) -> Result<Assignment, String> {
        told(before, &advance(rollout, to), &Event::Asked(Operator::Resume))
    }

    /// The same where nobody asked for it.
    fn by_itself(
        before: &Assignment,
        rollout: &Rollout,
        to: (Stage, Traffic),
    ) -> Result<Assignment, String> {
        told(before, &advance(rollout, to), &Event::BaseProbed(Ok(())))
    }

    fn advance(rollout: &Rollout, (stage, traffic): (Stage, Traffic)) -> Advance {
        let next = Rollout { stage, ..rollout.clone() };
        let said = Said { kind: "", text: String::new(), details: Value::Null };
        Advance { next, traffic: Some(traffic), effects: vec![], said }
    }

    fn told(before: &Assignment, advance: &Advance, event: &Event) -> Result<Assignment, String> {
        let happening = Happening { event, service: &name("chat") };
        with_traffic(before, advance, happening, &mut || 3).map_err(|refused| refused.to_string())
    }

    fn cause() -> Cause {
        Cause { code: "operator".into(), text: String::new(), details: Value::Null }
    }

    fn to(percent: f64) -> (Stage, Traffic) {
        (Stage::Ramp { taken: 2 }, Traffic::Share(Weight::from_percent(percent).unwrap()))
    }

    fn written(assignment: &Assignment) -> String {
        let member = |w: &Weighted| format!("{}={}", w.environment, w.weight);
        assignment.weights().iter().map(member).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_share_of_a_part_is_planned_and_told_as_what_it_is() {
        let (before, rollout) = begun("blue=33.33 green=0 red=66.67");
        let ramp = Rollout { stage: Stage::Ramp { taken: 2 }, ..rollout };
        assert_eq!(ramp.planned_share(), Weight::from_percent(5.0).unwrap());
        let five = after(&before, &ramp, to(5.0)).unwrap();
        assert_eq!(written(&five), "blue=31.66 green=1.67 red=66.67");
        assert_eq!(share(&five, &ramp), Weight::from_percent(5.01).unwrap(), "of 33.33 %");
        assert!(is_as_planned(&five, &ramp) && !is_as_planned(&before, &ramp));
        let switched = Rollout { stage: Stage::Switched, ..ramp };
        let all = five.switch(&name("green")).unwrap();
        assert!(is_as_planned(&all, &switched) && share(&all, &switched) == Weight::FULL);
        let half = all.set_weights(&weights("blue=16 green=17.33"), || 4).unwrap();
        assert!(!is_as_planned(&half, &switched) && share(&half, &switched) < Weight::FULL);
    }

    /// Green at 5 %, red made active by hand, then blue again: a resume gave green a slot of its own, its
    /// judge heard of nobody, and a rollback went to red.
    #[test]
    fn who_was_partner_meanwhile_changes_nothing_for_the_two() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let five = after(&before, &rollout, to(5.0)).unwrap();
        let red = five.switch(&name("red")).unwrap();
        let back = (Stage::RolledBack { cause: cause() }, Traffic::Back);
        for raises in [to(5.0), (Stage::Switched, Traffic::Switch)] {
            assert_eq!(
                after(&red, &rollout, raises).unwrap_err(),
                "`red` is active, which is no part of rollout 1; switch back first: cyan switch chat blue; or end it: cyan rollback"
            );
        }
        let blue = red.switch(&name("blue")).unwrap();
        let resumed = after(&blue, &rollout, to(5.0)).unwrap();
        assert_eq!(written(&resumed), "blue=95 green=5 red=0");
        assert!(resumed.is_partner(&name("green")));
        assert_eq!(share(&resumed, &rollout), Weight::from_percent(5.0).unwrap());
        for before in [&five, &red, &blue, &resumed] {
            let after = after(before, &rollout, back.clone()).unwrap();
            assert_eq!(written(&after), "blue=100 green=0 red=0");
            assert_eq!(after.active, name("blue"));
        }
    }

    /// Red had the place in blue's slot when green was given users by hand: green has a slot of its own.
    #[test]
    fn a_candidate_with_a_slot_of_its_own_comes_back_into_the_one_of_the_base() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let five = after(&before, &rollout, to(5.0)).unwrap();
        let blue = five.switch(&name("red")).unwrap().switch(&name("blue")).unwrap();
        let own = blue.set_weights(&weights("blue=75 green=25"), || 5).unwrap();
        assert!(own.is_partner(&name("red")));
        for percent in [5.0, 25.0, 50.0] {
            let joined = by_itself(&own, &rollout, to(percent)).unwrap();
            assert_eq!(share(&joined, &rollout), Weight::from_percent(percent).unwrap());
            assert!(joined.is_partner(&name("green")));
        }
        // Red keeps its users and its place: only the way down is open, to its end.
        let red = own.set_weights(&weights("blue=65 red=10"), || 6).unwrap();
        assert_eq!(
            by_itself(&red, &rollout, to(50.0)).unwrap_err(),
            "`red` has the place beside `blue`, and 10 % of the traffic; set it to 0 first: cyan weights; or end it: cyan rollback"
        );
        assert_eq!(written(&by_itself(&red, &rollout, to(5.0)).unwrap()), "blue=90 green=0 red=10");
        assert!(after(&red, &rollout, to(5.0)).is_err(), "who asks is told");
    }

    /// A judge's way back took all of red's users to blue, which was sick, a second after a human had sent
    /// them from there.
    #[test]
    fn what_goes_back_by_itself_takes_nobody_from_a_third_that_is_active() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let all_red = after(&before, &rollout, to(25.0)).unwrap().switch(&name("red")).unwrap();
        let from_green = before.switch(&name("green")).unwrap().switch(&name("red")).unwrap();
        let beside = from_green.set_weights(&weights("red=75 green=25"), || 5).unwrap();
        let left = Weight::from_percent(12.0).unwrap();
        let from = Box::new(Stage::Switched);
        let returning = Stage::Returning { cause: cause(), from, left };
        for way in [
            (Stage::RolledBack { cause: cause() }, Traffic::Back),
            (returning, Traffic::Share(left)),
        ] {
            for before in [&all_red, &beside] {
                let back = by_itself(before, &rollout, way.clone()).unwrap();
                assert_eq!(written(&back), "blue=0 green=0 red=100");
                assert_eq!(back.active, name("red"));
                assert!(!back.is_partner(&name("green")), "it is not armed");
                assert_eq!(
                    written(&after(before, &rollout, way.clone()).unwrap()),
                    "blue=100 green=0 red=0"
                );
            }
        }
    }

    #[test]
    fn a_resume_after_the_switch_leaves_nobody_on_the_base() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let red = before.switch(&name("green")).unwrap().switch(&name("red")).unwrap();
        let green = red.switch(&name("green")).unwrap();
        let by_hand = green.set_weights(&weights("blue=10 green=90"), || 5).unwrap();
        let switch = (Stage::Switched, Traffic::Switch);
        let resumed = after(&by_hand, &rollout, switch.clone()).unwrap();
        assert_eq!(
            (written(&resumed).as_str(), share(&resumed, &rollout)),
            ("blue=0 green=100 red=0", Weight::FULL)
        );
        let with_red = green.set_weights(&weights("blue=10 green=80 red=10"), || 6).unwrap();
        assert_eq!(written(&after(&with_red, &rollout, switch).unwrap()), "blue=0 green=90 red=10");
    }

    #[test]
    fn a_share_of_nothing_is_refused_and_the_way_back_is_not() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let none = before.set_weights(&weights("blue=0 green=0 red=100"), || 1).unwrap();
        assert_eq!(
            after(&none, &rollout, to(5.0)).unwrap_err(),
            "`blue` and `green` have no traffic to be shared; give them some first: cyan weights; or end it: cyan rollback"
        );
        let share = Traffic::Share(Weight::from_percent(40.0).unwrap());
        let cause = cause();
        let from = Box::new(Stage::Switched);
        let left = Weight::from_percent(40.0).unwrap();
        let returning = (Stage::Returning { cause, from, left }, share);
        let red = before.switch(&name("green")).unwrap().switch(&name("red")).unwrap();
        for (before, expected) in
            [(&none, "blue=0 green=0 red=100"), (&red, "blue=100 green=0 red=0")]
        {
            let after = after(before, &rollout, returning.clone()).unwrap();
            assert_eq!(written(&after), expected);
        }
    }

    #[test]
    fn a_base_with_users_is_not_left() {
        let (before, rollout) = begun("blue=100 green=0 red=0");
        let switched = before.switch(&name("green")).unwrap();
        let done = (Stage::Done, Traffic::Release);
        assert_eq!(after(&switched, &rollout, done.clone()).unwrap().partner, None);
        let half = switched.set_weights(&weights("blue=50 green=50"), || 4).unwrap();
        assert_eq!(
            after(&half, &rollout, done).unwrap_err(),
            "`blue` has 50 % of the traffic; set it to 0 first: cyan weights"
        );
    }
}
