//! The rules of decision, each at its edge.

use super::super::metric::Metrics;
use super::super::record::{
    Arrivals, ErrorAge, ErrorCounts, ErrorReading, Hit, HitKind, Score, Side,
};
use super::*;

/// A judge of errors at 10 %, and how many seconds it has heard.
struct Rig {
    judge: EvidenceJudge,
    second: u32,
}

impl Rig {
    fn new(change_settings: impl FnOnce(&mut Settings)) -> Self {
        let metrics = Metrics::new([Metric::Errors, Metric::Refused, Metric::ErrorLimit]);
        let mut settings = Settings { metrics, ..Settings::default() };
        change_settings(&mut settings);
        let mut rig = Self { judge: EvidenceJudge::new(settings), second: 0 };
        rig.share(0.1);
        rig
    }

    fn share(&mut self, share: f64) {
        let at = Tick::of_second(self.second);
        self.judge.change(&Change { at, share, planned: true });
    }

    /// A second with nine requests of the active side and one of the candidate, of which these failed;
    /// each failure is another user's, or always the same one's.
    fn hear(&mut self, failed: Both<u32>, same_user: bool) -> Decision {
        let (from, until) = (Tick::of_second(self.second), Tick::of_second(self.second + 1));
        let user = if same_user { 7 } else { u64::from(self.second) };
        let n = Both { active: 9, candidate: 1 };
        let counts = |n, early| ErrorCounts { n, early, ..ErrorCounts::default() };
        let hit = |side| Hit { side, key: Some(user), kind: HitKind::Early };
        let sides = [(Side::Active, failed.active), (Side::Candidate, failed.candidate)];
        let hits = sides.iter().flat_map(|(side, count)| (0..*count).map(|_| hit(*side)));
        let reading = |age| ErrorReading {
            age,
            from,
            until,
            counts: Both {
                active: counts(n.active, failed.active),
                candidate: counts(n.candidate, failed.candidate),
            },
            hits: hits.clone().collect(),
        };
        self.judge.observe(&TickRecord {
            now: until,
            arrivals: vec![Arrivals { from, until, n }],
            errors: vec![reading(ErrorAge::Quarter), reading(ErrorAge::Second)],
            ..TickRecord::default()
        });
        self.second += 1;
        self.judge.decide()
    }

    /// The first decision other than to wait, and the second in which it came.
    fn hear_until(&mut self, seconds: u32, failed: Both<u32>, same_user: bool) -> (u32, Decision) {
        for _ in 0..seconds {
            let decision = self.hear(failed, same_user);
            if !matches!(decision, Decision::Wait(_)) {
                return (self.second, decision);
            }
        }
        (self.second, self.judge.decide())
    }
}

const NONE: Both<u32> = Both { active: 0, candidate: 0 };
const CANDIDATE: Both<u32> = Both { active: 0, candidate: 1 };

#[test]
fn advances_after_time_and_requests() {
    assert_eq!(Rig::new(|_| ()).hear_until(900, NONE, false), (300, Decision::Advance));
    let mut rig = Rig::new(|settings| settings.bake.requests_min = 500);
    assert_eq!(rig.hear_until(900, NONE, false), (500, Decision::Advance));
}

#[test]
fn what_fails_for_everybody_is_rolled_back_within_ten_requests() {
    let mut rig = Rig::new(|_| ());
    let decisions: Vec<Decision> = (0..10).map(|_| rig.hear(CANDIDATE, false)).collect();
    assert!(matches!(decisions[9], Decision::RollBack(Breach::Metric(_))), "{decisions:?}");
    assert!(matches!(decisions[0], Decision::Wait(_)), "{decisions:?}");
}

#[test]
fn one_user_does_not_roll_back_for_all() {
    let mut rig = Rig::new(|_| ());
    let (_, decision) = rig.hear_until(200, CANDIDATE, true);
    assert!(rig.judge.evidence().value() > 1e6);
    assert_eq!(
        decision,
        Decision::Wait(Waiting::Baking),
        "{}",
        rig.judge.explain().sentence("b", "g", &|tick| format!("{tick:?}"))
    );
}

#[test]
fn a_shared_incident_steps_back_shortly_after_a_step_and_holds_later() {
    let both = Both { active: 9, candidate: 1 };
    let mut rig = Rig::new(|_| ());
    assert!(matches!(rig.hear_until(20, both, false).1, Decision::StepBack(_)));
    rig.share(0.05);
    let decision = rig.hear(both, false);
    assert!(matches!(decision, Decision::Hold(HoldReason::SharedIncident(_))), "{decision:?}");

    let mut rig = Rig::new(|_| ());
    rig.hear_until(130, NONE, false);
    let (second, decision) = rig.hear_until(20, both, false);
    assert!(matches!(decision, Decision::Hold(HoldReason::SharedIncident(_))), "{decision:?}");
    let over = (0..400).find(|_| matches!(rig.hear(NONE, false), Decision::Wait(_)));
    let seconds = over.expect("the hold ends");
    assert!((60..=130).contains(&seconds), "held from {second} for {seconds} s");
}

#[test]
fn too_little_data_does_what_the_plan_says() {
    for (policy, expected) in [
        (TooLittleData::Hold, Decision::Hold(HoldReason::TooLittleData)),
        (TooLittleData::Advance, Decision::Advance),
        (TooLittleData::RollBack, Decision::RollBack(Breach::TooLittleData)),
    ] {
        let mut rig = Rig::new(|settings| {
            settings.bake.requests_min = 5_000;
            settings.bake.wait_max = Duration::from_secs(600);
            settings.bake.too_little_data = policy;
        });
        assert_eq!(rig.hear_until(900, NONE, false), (600, expected));
    }
}

#[test]
fn a_human_lifts_a_hold_for_this_step() {
    let mut rig = Rig::new(|settings| {
        settings.bake.requests_min = 5_000;
        settings.bake.wait_max = Duration::from_secs(600);
    });
    rig.hear_until(900, NONE, false);
    rig.judge.resume();
    assert_eq!(rig.hear(NONE, false), Decision::Wait(Waiting::Requests));
}

#[test]
fn after_the_switch_only_absolute_limits_act_and_need_many_users() {
    for (same_user, rolled_back) in [(true, false), (false, true)] {
        let mut rig = Rig::new(|_| ());
        rig.share(1.0);
        // A fifth fails: over the limit, not total.
        let mut found = false;
        for second in 0..400 {
            let failed = if second % 5 == 0 { CANDIDATE } else { NONE };
            found |= matches!(rig.hear(failed, same_user), Decision::RollBack(_));
        }
        assert_eq!(found, rolled_back, "same user: {same_user}");
    }
}

#[test]
fn nothing_is_decided_for_a_candidate_without_users() {
    let mut rig = Rig::new(|_| ());
    rig.share(0.0);
    assert_eq!(rig.hear_until(900, NONE, false).1, Decision::Wait(Waiting::NoStep));
}

#[test]
fn a_burst_on_both_sides_is_not_the_candidates() {
    let tally = |hits, n| Tally { n, hits, clear_hits: 0 };
    assert!(is_shared(tally(5, 10), 0.05), "both failed in the same two seconds");
    assert!(!is_shared(tally(2, 10), 0.05), "chance");
    assert!(!is_shared(tally(5, 100), 0.05), "at the limit");
}

/// A judge of a switched candidate that hears a score a second: of so many users in turn, by a function of
/// the second.
fn scored_after_the_switch(
    active: &[f64],
    users: u64,
    seconds: u32,
    score: impl Fn(u32) -> f64,
) -> Option<u32> {
    let mut rig = Rig::new(|settings| settings.metrics = Metrics::default());
    let tick = |second: u32, side, key, value| TickRecord {
        now: Tick::of_second(second + 1),
        scores: vec![Score { side, key, arrived: Tick::of_second(second), value }],
        keys_of_hour: Some(100),
        ..TickRecord::default()
    };
    for value in active {
        rig.judge.observe(&tick(rig.second, Side::Active, None, *value));
        rig.second += 1;
    }
    rig.share(1.0);
    let switched = rig.second;
    (0..seconds).find(|second| {
        let user = Some(u64::from(*second) % users);
        rig.judge.observe(&tick(switched + second, Side::Candidate, user, score(*second)));
        rig.judge.decide() == Decision::RollBack(Breach::Metric(Metric::Quality))
    })
}

#[test]
fn after_the_switch_scores_below_the_limit_roll_back() {
    let low = scored_after_the_switch(&[0.9; 30], 100, 500, |_| 0.2);
    assert!(low.is_some_and(|scores| scores < 20), "{low:?}");
    let unscored = scored_after_the_switch(&[], 100, 500, |_| 0.2);
    assert!(unscored.is_some(), "the limit needs no active side");
    assert_eq!(scored_after_the_switch(&[0.9; 30], 4, 500, |_| 0.2), None, "of four users");
    assert_eq!(scored_after_the_switch(&[0.6; 30], 100, 500, |_| 0.2), None, "blue breaks it too");
}

#[test]
fn after_the_switch_scores_around_the_limit_do_not_roll_back() {
    let mut random = fastrand::Rng::with_seed(1);
    let found = (0..100).filter(|_| {
        let scores: Vec<f64> = (0..1_000).map(|_| 0.5 + 0.4 * random.f64()).collect();
        let score = |second: u32| scores[usize::try_from(second).unwrap()];
        scored_after_the_switch(&[0.9; 30], 100, 1_000, score).is_some()
    });
    assert!(found.count() <= 3, "a mean of exactly 0.70");
    let one_user = |second: u32| if second.is_multiple_of(10) { 0.05 } else { 0.72 };
    assert_eq!(scored_after_the_switch(&[0.9; 30], 10, 2_000, one_user), None, "one user's");
}
