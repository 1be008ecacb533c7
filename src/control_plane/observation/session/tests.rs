//! What a session says, and for how long.

use super::*;
use crate::judge::decision::Breach;
use crate::judge::metric::Metric;
use crate::judge::record::Both;
use crate::judge::settings::Settings;
use crate::model::name::Name;
use crate::model::plan::{JudgeKind, LatencySignal};

const WAIT: Decision = Decision::Wait(Waiting::Baking);
const STEP_BACK: Decision = Decision::StepBack(Metric::ErrorLimit);
const ROLL_BACK: Decision = Decision::RollBack(Breach::TooLittleData);

#[test]
fn a_decision_to_go_back_is_not_lost_in_what_is_said_after_it() {
    for (said, stands) in [
        (vec![WAIT, Decision::Advance], None),
        (vec![STEP_BACK, WAIT], Some(STEP_BACK)),
        (vec![STEP_BACK, ROLL_BACK, WAIT], Some(ROLL_BACK)),
        (vec![ROLL_BACK, STEP_BACK], Some(ROLL_BACK)),
    ] {
        assert_eq!(said.iter().copied().fold(None, standing), stands, "{said:?}");
    }
}

fn session(kept: Option<Kept>, records: Option<mpsc::Sender<Record>>) -> Session {
    session_with(Settings::default(), kept, records)
}

fn session_with(
    settings: Settings,
    kept: Option<Kept>,
    records: Option<mpsc::Sender<Record>>,
) -> Session {
    let party = |id, text: &str| super::super::Party {
        id: EnvironmentId(id),
        name: Name::new(text).unwrap(),
    };
    let subject = Subject {
        service: Name::new("chat").unwrap(),
        rollout: 1,
        environments: Both { active: party(1, "blue"), candidate: party(2, "green") },
        settings,
        latency_max: Duration::from_secs(5),
        signal: LatencySignal::Auto,
        seed: 1,
    };
    Session::new(subject, 1, Duration::ZERO, kept, records)
}

/// The session's only core reports that nothing happened.
fn pass(session: &mut Session, until: Duration) -> bool {
    session.recorder.hear(0, Duration::ZERO..until);
    session.judge(until)
}

#[test]
fn nobody_judges_before_there_is_a_share_and_a_full_sink_delays_nobody() {
    let (told, mut records) = mpsc::channel(3);
    let mut session = session(None, Some(told));
    assert!(!pass(&mut session, Duration::from_secs(1)));
    let now = Duration::from_millis(1_100);
    session.change(0.1, true, now..now);
    assert!(pass(&mut session, Duration::from_secs(3)));
    let observed = session.observed();
    assert_eq!((observed.tick, observed.since), (Tick(12), Tick(5)));
    assert!(matches!(records.try_recv(), Ok(Record::Start(_))));
    assert!(matches!(records.try_recv(), Ok(Record::Change(_))));
    assert_eq!(observed.records_lost, 6, "one tick of seven found room");
}

#[test]
fn scores_of_another_rollouts_answers_are_not_heard() {
    let (told, mut records) = mpsc::channel(8);
    let mut session = session(None, Some(told));
    session.change(0.1, true, Duration::ZERO..Duration::ZERO);
    pass(&mut session, Duration::from_millis(500));
    for (rollout, value) in [(None, 0.1), (Some(0), 0.2), (Some(1), 0.3), (Some(2), 0.4)] {
        session.score(&Scored {
            service: Name::new("chat").unwrap(),
            environment: Name::new("green").unwrap(),
            environment_id: EnvironmentId(2),
            exchange: rollout,
            rollout,
            name: quality(),
            score: crate::model::score::Score::new(value).unwrap(),
            key: None,
            began: Duration::from_millis(300),
            count: 1,
            is_evaluation: false,
        });
    }
    pass(&mut session, Duration::from_secs(1));
    let mut heard = Vec::new();
    while let Ok(record) = records.try_recv() {
        if let Record::Tick(tick) = record {
            heard.extend(tick.scores.iter().map(|score| score.value));
        }
    }
    assert_eq!(heard, [0.1, 0.3]);
}

/// A session of this judge that has said this.
fn having_said(decision: Decision, judge: JudgeKind) -> Session {
    let settings = || Settings { judge, ..Settings::default() };
    let decided = standing(None, decision);
    let kept = Kept { decision, decided, ..session_with(settings(), None, None).keep() };
    session_with(settings(), Some(kept), None)
}

/// What was said of one share was taken for the next one's: a step back was taken twice, and a hold that
/// a human had lifted was put on again.
#[test]
fn what_was_said_is_said_no_more_after_a_change_or_a_human() {
    let nothing = Decision::Wait(Waiting::Check);
    let mut changed = having_said(STEP_BACK, JudgeKind::Evidence);
    changed.change(0.05, true, Duration::ZERO..Duration::ZERO);
    assert_eq!(changed.observed().decision, STEP_BACK, "the share is not taken yet");
    pass(&mut changed, Duration::from_millis(250));
    let observed = changed.observed();
    assert_eq!((observed.share, observed.decision), (0.05, nothing));
    assert_eq!(changed.keep().decided, None);
    pass(&mut changed, Duration::from_millis(500));
    assert_eq!(changed.observed().decision, WAIT);

    let mut resumed = having_said(STEP_BACK, JudgeKind::Evidence);
    resumed.resume();
    assert_eq!(resumed.observed().decision, nothing);
}

#[test]
fn what_the_window_judge_says_at_a_check_holds_until_the_next_one() {
    let mut session = having_said(Decision::Advance, JudgeKind::Window);
    assert!(pass(&mut session, Duration::from_secs(10)));
    assert_eq!(session.observed().decision, Decision::Advance);
    pass(&mut session, Duration::from_secs(31));
    assert_eq!(session.observed().decision, Decision::Wait(Waiting::NoStep), "it was checked");
}

#[test]
fn what_is_kept_goes_on_with_the_next_tick() {
    let mut first = session(None, None);
    first.change(0.1, true, Duration::ZERO..Duration::ZERO);
    pass(&mut first, Duration::from_secs(2));
    assert_eq!(first.observed().decision, WAIT);
    let kept = serde_json::to_string(&first.keep()).unwrap();
    let mut second = session(Some(serde_json::from_str(&kept).unwrap()), None);
    assert_eq!(second.observed().decision, WAIT);
    assert!(pass(&mut second, Duration::from_secs(1)));
    assert_eq!(second.observed().tick, Tick(12));
    assert_eq!(second.observed().since, first.observed().since);
}

#[test]
fn that_keys_do_not_come_back_is_known_after_a_restart() {
    let kept = session(None, None).keep();
    for are_strangers in [true, false] {
        let restored = session(Some(Kept { are_strangers, ..kept.clone() }), None);
        assert_eq!(restored.observed().are_strangers, are_strangers);
        assert_eq!(restored.keep().are_strangers, are_strangers);
    }
}
