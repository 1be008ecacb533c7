//! Follows a rollout to its end: one line for where it stands, and one that stays for each step that is
//! finished.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::exit_code;
use super::super::failure::Failure;
use super::super::local_time;
use super::super::lookout::Lookout;
use super::super::session::Session;
use super::{path, tell};
use crate::admin::api::rollout::Rollout;
use crate::model::name::Name;

/// Between two looks at a rollout.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Shows a rollout until it has come to its end, or needs somebody.
pub(super) async fn follow(
    session: &Session,
    service: &Name,
    timeout: Option<Duration>,
) -> Result<(), Failure> {
    let path = path(service);
    let began = tokio::time::Instant::now();
    let mut live = session.live_line();
    let mut before: Option<Rollout> = None;
    let mut lookout = Lookout::within(timeout.unwrap_or(Duration::MAX));
    loop {
        let remark = |text: &str| live.remark(text);
        if let Some(rollout) = lookout.look::<Rollout>(&session.client, &path, remark).await? {
            if let Some(before) = &before {
                same(before, &rollout)?;
                if before.place != rollout.place {
                    live.finish(&finished(before));
                }
            }
            if let Some(end) = end(&rollout) {
                drop(live);
                tell(session, &rollout)?;
                return end;
            }
            live.show(&state(&rollout), &line(&rollout));
            before = Some(rollout);
        }
        if timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            drop(live);
            let place = before.as_ref().map_or("on its way", |rollout| rollout.place.as_str());
            let message = format!("still {place}");
            let hint = "it goes on; follow it with `cyan rollout status --wait`";
            return Err(failure(exit_code::STILL_RUNNING, message, hint));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Whether it is the rollout that is followed: how another one ends says nothing of it.
fn same(followed: &Rollout, rollout: &Rollout) -> Result<(), Failure> {
    if followed.id == rollout.id {
        return Ok(());
    }
    let message = format!(
        "rollout {} of {} is over, and rollout {} of {} was started since",
        followed.id, followed.candidate, rollout.id, rollout.candidate
    );
    let hint = "see how it ended with `cyan rollout list`";
    Err(failure(exit_code::UNEXPECTED, message, hint))
}

/// How following ends: well, or with the exit code of what became of it.
fn end(rollout: &Rollout) -> Option<Result<(), Failure>> {
    match rollout.stage.as_str() {
        "done" | "switched" => Some(Ok(())),
        "rolled_back" => {
            let why = rollout.cause.as_ref().map_or("", |cause| cause.text.as_str());
            let hint = "look at it with `cyan journal`, then release another version";
            let message = format!("{} was rolled back: {why}", rollout.candidate);
            Some(Err(failure(exit_code::ROLLED_BACK, message, hint)))
        }
        _ => {
            let held = rollout.held.as_ref().filter(|_| rollout.needs_somebody)?;
            let message = format!("{} is held: {held}", rollout.candidate);
            Some(Err(failure(exit_code::HELD, message, &after_hold(rollout))))
        }
    }
}

/// What somebody can do about a hold.
fn after_hold(rollout: &Rollout) -> String {
    if rollout.held_by.as_deref() == Some("base_down") {
        let base = &rollout.base;
        return format!(
            "bring {base} up and it goes back by itself, or send users back all the same with `cyan rollback --instant`"
        );
    }
    "go on with `cyan rollout resume`, or back with `cyan rollback`".to_owned()
}

fn failure(exit_code: u8, message: String, hint: &str) -> Failure {
    Failure { exit_code, message, hint: Some(hint.to_owned()) }
}

/// What is a change where lines are not redrawn: a step, or that something stops it or lets it go.
fn state(rollout: &Rollout) -> String {
    let Rollout { place, paused, held, frozen, .. } = rollout;
    format!("{place} {} {held:?} {frozen:?}", paused.is_some())
}

/// A rollout in one line, redrawn while it is followed.
fn line(rollout: &Rollout) -> String {
    let mut line = format!("{} {}", rollout.candidate, rollout.place);
    if let Some(judge) = &rollout.judge {
        let _ = write!(line, ", {} requests", judge.requests);
    }
    if !rollout.waits_for.is_empty() {
        let _ = write!(line, ", waits for {}", rollout.waits_for.join(" and "));
    }
    line
}

/// What is finished, with the time and what was seen last: `14:13:40  25 %, step 3 of 5: 214 requests,
/// evidence 0.8`.
fn finished(rollout: &Rollout) -> String {
    let evidence = rollout.judge.as_ref().and_then(|judge| {
        Some(format!(
            "evidence {:.1}",
            judge.details.get("explanation")?.get("evidence")?.as_f64()?
        ))
    });
    let requests = rollout.judge.as_ref().map(|judge| format!("{} requests", judge.requests));
    let seen: Vec<String> = requests.into_iter().chain(evidence).collect();
    let time = local_time::now();
    let gate = format!("the {}: ", rollout.place);
    let gate = rollout.waits_for.iter().find_map(|waits| waits.strip_prefix(&gate));
    match (seen.as_slice(), gate) {
        ([], None) => format!("{time}  {}", rollout.place),
        ([], Some(gate)) => format!("{time}  {}: {gate}", rollout.place),
        (seen, _) => format!("{time}  {}: {}", rollout.place, seen.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(id: u64, place: &str, waits_for: &[&str], judge: &serde_json::Value) -> Rollout {
        serde_json::from_value(json!({
            "schema": 1, "id": id, "service": "chat", "generation": 7, "candidate": "green",
            "base": "blue", "version": null, "plan": "default", "steps": [], "stage": "ramp",
            "place": place, "share_percent": 25.0, "next_percent": null, "waits_for": waits_for,
            "in_stage_s": 1, "observed_s": 1, "started_by": "", "started_at": "",
            "paused": null, "held": null, "needs_somebody": false, "frozen": null,
            "cause": null, "unarmed": [], "judge": judge,
        }))
        .unwrap()
    }

    #[test]
    fn one_rollout_is_followed() {
        let rollout = |id| rollout(id, "1 %", &[], &json!(null));
        assert_eq!(same(&rollout(3), &rollout(3)), Ok(()));
        let other = same(&rollout(3), &rollout(4)).unwrap_err();
        let expected = "rollout 3 of green is over, and rollout 4 of green was started since";
        assert_eq!((other.exit_code, other.message.as_str()), (exit_code::UNEXPECTED, expected));
    }

    #[test]
    fn a_hold_has_the_hint_that_ends_it() {
        for (by, hint) in [
            ("too_little_data", "go on with `cyan rollout resume`, or back with `cyan rollback`"),
            (
                "base_down",
                "bring blue up and it goes back by itself, or send users back all the same with `cyan rollback --instant`",
            ),
        ] {
            let mut held = rollout(3, "1 %", &[], &json!(null));
            (held.held, held.held_by) = (Some("x".into()), Some(by.into()));
            assert_eq!(end(&held), None, "it may end by itself");
            held.needs_somebody = true;
            let failure = end(&held).unwrap().unwrap_err();
            assert_eq!((failure.exit_code, failure.hint.as_deref()), (exit_code::HELD, Some(hint)));
        }
    }

    #[test]
    fn a_finished_step_says_what_it_saw() {
        let details = json!({ "explanation": { "evidence": 0.84 } });
        let judge = json!({ "text": "", "requests": 214, "details": details });
        for (rollout, expected) in [
            (
                rollout(3, "25 %, step 3 of 5", &[], &judge),
                "25 %, step 3 of 5: 214 requests, evidence 0.8",
            ),
            (
                rollout(
                    3,
                    "smoke tests",
                    &["the smoke tests: 3 of 5 checks have ended"],
                    &json!(null),
                ),
                "smoke tests: 3 of 5 checks have ended",
            ),
            (rollout(3, "waiting to be ready", &[], &json!(null)), "waiting to be ready"),
        ] {
            assert_eq!(finished(&rollout).get(10..), Some(expected));
        }
    }
}
