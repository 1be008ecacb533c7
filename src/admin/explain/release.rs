//! What is said of a rollout: a pattern of a sentence for each state, and what comes next.

use std::time::Duration;

use serde::Deserialize as _;

use super::super::api::Service;
use super::super::api::rollout::{Cause, Judge, Rollout};
use super::super::api::standing::State;
use super::{Failures, Lately, capitalised, versioned};
use crate::judge::e_process::Tally;
use crate::judge::explanation::Explanation;
use crate::judge::metric::Metric;
use crate::judge::record::Both;

/// What a sentence calls lately.
const LATELY: Duration = Duration::from_secs(300);
/// What an incident that both sides have is told of.
const INCIDENT: Duration = Duration::from_secs(60);
/// Evidence from which a step waits, and from which it may be held.
const WATCHED: f64 = 5.0;
const NOTICE: f64 = 20.0;

/// The state while the last rollout has something to say; one that is done has become the split.
pub(super) fn state(service: &Service) -> Option<State> {
    let last = service.rollout.as_deref()?;
    Some(match last.stage.as_str() {
        "done" => return None,
        // Until somebody gives it traffic again.
        "rolled_back" => return last.is_still_back(service).then_some(State::RolledBack),
        "rolling_back" | "returning" => State::RollingBack,
        _ if last.held.is_some() => State::Held,
        _ if last.paused.is_some() => State::Paused,
        "switched" => State::Done,
        "ramp" => State::Ramping,
        _ => State::Starting,
    })
}

/// The sentence, and what comes next.
pub(super) fn said(state: State, last: &Rollout, lately: Lately<'_>) -> (String, String) {
    match state {
        State::Held => (held(last, lately), after_hold(last)),
        State::Paused => {
            let next = "Nothing goes up by itself. A breach still rolls back.";
            (paused(last), next.to_owned())
        }
        State::Done => (switched(last), after_switch(last)),
        State::RollingBack => (rolling_back(last), waits(last, "Waits for")),
        State::RolledBack => (rolled_back(last), after_rollback(last)),
        State::Ramping => (ramping(last, lately), next_step(last)),
        State::Starting | State::Idle | State::Split => (starting(last), next_step(last)),
    }
}

fn starting(last: &Rollout) -> String {
    let who = versioned(&last.candidate, last.version.as_deref());
    format!("{who} is being checked: {}. No user has met it.", last.place)
}

fn ramping(last: &Rollout, lately: Lately<'_>) -> String {
    let who = capitalised(last.candidate.as_str());
    if last.share_percent.is_zero() {
        return format!("{who} is at {}. No user meets it now.", last.place);
    }
    let sides = Both { active: &last.base, candidate: &last.candidate };
    let Both { active, candidate } = sides.map(|name| lately(name, LATELY));
    let evidence = explanation(last.judge.as_ref()).and_then(|said| said.evidence).unwrap_or(0.0);
    let how = match evidence {
        _ if candidate.of == 0 => return nothing_yet(last),
        e if e < WATCHED => "is holding up",
        e if e < NOTICE => "is worth watching",
        _ => "looks worse than chance explains",
    };
    let shares = format!(
        "{} of its {} requests failed, {} {} of {}",
        percent(candidate),
        candidate.of,
        last.base,
        percent(active),
        active.of
    );
    let unconfirmed = if evidence >= NOTICE { "; users do not confirm it yet" } else { "" };
    format!("{who} {how} at {} %: {shares}{unconfirmed}.", last.share_percent)
}

fn nothing_yet(last: &Rollout) -> String {
    let who = capitalised(last.candidate.as_str());
    format!("{who} is at {} %: none of its requests has ended yet.", last.share_percent)
}

fn next_step(last: &Rollout) -> String {
    match last.next_percent {
        Some(next) if last.waits_for.is_empty() => format!("Next: {next} %, now."),
        Some(next) => format!("Next: {next} % after {}.", last.waits_for.join(", ")),
        None => waits(last, "Goes on after"),
    }
}

fn waits(last: &Rollout, lead: &str) -> String {
    if last.waits_for.is_empty() {
        return "Nothing keeps it from going on.".to_owned();
    }
    format!("{lead} {}.", last.waits_for.join(", "))
}

fn paused(last: &Rollout) -> String {
    let pause = last.paused.as_ref();
    let by = pause.map_or("somebody", |pause| pause.by.as_str());
    let why = pause.and_then(|pause| pause.reason.as_ref()).map(|why| format!(": “{why}”"));
    let (place, since) = (place(last), since(last));
    format!("{by} paused {} at {place}{since}{}.", last.candidate, why.unwrap_or_default())
}

fn held(last: &Rollout, lately: Lately<'_>) -> String {
    let lead = format!("Held at {}{}", place(last), since(last));
    let candidate = &last.candidate;
    match last.held_by.as_deref() {
        Some("evidence") => {
            let evidence = explanation(last.judge.as_ref()).and_then(|said| said.evidence);
            let evidence = evidence.unwrap_or(NOTICE);
            format!("{lead}: evidence against {candidate} is {evidence:.0} of 100.")
        }
        Some("shared_incident") => {
            let sides = Both { active: &last.base, candidate };
            let Both { active: a, candidate: c } = sides.map(|name| lately(name, INCIDENT));
            let counts = |who: &str, side: Failures| {
                format!("{who} {} ({} of {})", percent(side), side.failed, side.of)
            };
            format!(
                "{lead}: {} and {candidate} are failing alike. Failed in the last 60 s: {}, {}. \
                 Going back would not help, so nobody was moved, and this time is not held against \
                 {candidate}. Look at what both share: network, GPU host, database, this machine.",
                last.base,
                counts(last.base.as_str(), a),
                counts(candidate.as_str(), c),
            )
        }
        _ => format!("{lead}: {}.", last.held.as_deref().unwrap_or("").trim_end_matches('.')),
    }
}

fn after_hold(last: &Rollout) -> String {
    let muted = last.muted.as_ref();
    let muted = muted
        .map(|mute| format!(" {} keeps it; the alert rests {} min more.", mute.by, mute.left_min));
    ends_by(last) + &muted.unwrap_or_default()
}

/// What ends a hold.
fn ends_by(last: &Rollout) -> String {
    match last.held_by.as_deref() {
        Some("evidence") => {
            "Goes on by itself after a step's time below 5; rolls back at 100, once users confirm it."
                .to_owned()
        }
        Some("shared_incident") => {
            format!("Goes on by itself when {} has kept its limit for a minute.", last.base)
        }
        Some("base_down") => format!(
            "Waits for you: bring {0} back and it goes back by itself, or roll back although {0} does not \
             answer.",
            last.base
        ),
        _ if last.needs_somebody => "Waits for you: resume, promote or roll back.".to_owned(),
        _ => "Goes on by itself when that is over.".to_owned(),
    }
}

fn switched(last: &Rollout) -> String {
    let who = versioned(&last.candidate, last.version.as_deref());
    format!("{who} is active{}. {} stays ready.", since(last), capitalised(last.base.as_str()))
}

fn after_switch(last: &Rollout) -> String {
    if last.waits_for.is_empty() {
        return format!("{} drains next.", capitalised(last.base.as_str()));
    }
    format!("Ends after {}; then {} drains.", last.waits_for.join(", "), last.base)
}

fn rolling_back(last: &Rollout) -> String {
    format!("{} goes back: {}.", capitalised(last.candidate.as_str()), reason(last))
}

fn rolled_back(last: &Rollout) -> String {
    let at = last.stands_since.as_deref().and_then(time_of_day);
    let at = at.map(|time| format!(" at {time}")).unwrap_or_default();
    let who = match last.cause.as_ref().map(|cause| cause.code.as_str()) {
        Some("operator") | None => "",
        Some("smoke" | "quality_gate" | "warm_up" | "not_ready") => " before any user met it",
        Some(_) => " by the guard",
    };
    format!("Rolled back{at}{who}: {}.", reason(last))
}

/// Why it goes back, with both sides' counts where errors are the cause.
fn reason(last: &Rollout) -> String {
    let Some(cause) = &last.cause else { return "no reason was kept".to_owned() };
    let text = || cause.text.trim_end_matches('.').to_owned();
    errors_since(cause).map_or_else(text, |Both { active, candidate }| {
        let failed =
            format!("{} failed {} of {} requests", last.candidate, candidate.hits, candidate.n);
        match active.n {
            // A limit is the candidate's own.
            0 => failed,
            n => format!("{failed}, {} {} of {n}", last.base, active.hits),
        }
    })
}

/// What failed on both sides since the trouble began, where that is the cause.
fn errors_since(cause: &Cause) -> Option<Both<Tally>> {
    let said = Explanation::deserialize(cause.details.get("explanation")?).ok()?;
    let part = said.parts.into_iter().find(|part| Some(part.metric) == said.strongest)?;
    let is_about_errors = matches!(part.metric, Metric::Errors | Metric::ErrorLimit);
    is_about_errors.then_some(part.onset.counted)
}

fn after_rollback(last: &Rollout) -> String {
    let took = last.rollback.as_ref().map(|took| format!(": {}", took.text)).unwrap_or_default();
    format!("All users are on {}{took}. Nothing more happens by itself.", last.base)
}

/// The judge's numbers, where there are any.
fn explanation(judge: Option<&Judge>) -> Option<Explanation> {
    Explanation::deserialize(judge?.details.get("explanation")?).ok()
}

fn percent(side: Failures) -> String {
    if side.of == 0 {
        return "nothing".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs four digits")]
    let share = side.failed as f64 / side.of as f64;
    format!("{:.1} %", share * 100.0)
}

/// `25 %` while users meet it, else the name of what is at work.
fn place(last: &Rollout) -> String {
    match last.stage.as_str() {
        "ramp" | "switched" => format!("{} %", last.share_percent),
        _ => last.place.clone(),
    }
}

/// ` since 14:19:02 UTC`
fn since(last: &Rollout) -> String {
    let time = last.stands_since.as_deref().and_then(time_of_day);
    time.map(|time| format!(" since {time}")).unwrap_or_default()
}

/// The time of day of an RFC 3339 stamp, which is in UTC.
fn time_of_day(stamp: &str) -> Option<String> {
    stamp.get(11..19).map(|time| format!("{time} UTC"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::name::Name;

    fn rollout(more: &Value) -> Rollout {
        let mut rollout = json!({
            "schema": 1, "id": 3, "service": "chat", "generation": 7, "candidate": "green",
            "base": "blue", "version": "v42", "plan": "default", "steps": [], "stage": "ramp",
            "place": "25 %, step 3 of 5", "share_percent": 25.0, "next_percent": 50.0,
            "waits_for": ["3 min 10 s", "120 more requests"], "in_stage_s": 1, "observed_s": 1,
            "started_by": "cli:ana", "started_at": "", "stands_since": "2026-11-21T14:19:02.000Z",
            "paused": null, "held": null, "needs_somebody": false, "frozen": null, "cause": null,
            "unarmed": [], "judge": null,
        });
        for (key, value) in more.as_object().unwrap() {
            rollout[key] = value.clone();
        }
        serde_json::from_value(rollout).unwrap()
    }

    fn judge(evidence: f64) -> Value {
        let part = |metric: &str| {
            let side = |hits: u32, n: u32| json!({ "n": n, "hits": hits, "clear_hits": hits });
            json!({ "metric": metric, "adds": evidence, "by_users": 1.0, "means": null,
                    "users": { "active": 1, "candidate": 1 },
                    "onset": { "since": 0, "counted":
                        { "active": side(9, 3_870), "candidate": side(61, 412) } } })
        };
        let explanation =
            json!({ "evidence": evidence, "strongest": "errors", "parts": [part("errors")] });
        json!({ "explanation": explanation })
    }

    fn told(state: State, more: &Value) -> (String, String) {
        let lately = |name: &Name, _: Duration| match name.as_str() {
            "blue" => Failures { failed: 118, of: 11_480 },
            _ => Failures { failed: 11, of: 1_204 },
        };
        said(state, &rollout(more), &lately)
    }

    #[test]
    fn each_state_has_its_pattern() {
        let judged = |evidence| json!({ "text": "", "requests": 9, "details": judge(evidence) });
        let cause = json!({ "code": "errors", "text": "", "details": judge(131.0) });
        let rolled_back = json!({ "stage": "rolled_back", "cause": cause, "rollback":
            { "text": "back after 0.7 s, on all 8 cores 0.4 ms later", "seconds": 0.7,
              "apply_seconds": 0.0004, "cores": 8 } });
        for (state, more, sentence, next) in [
            (
                State::Starting,
                json!({ "stage": "smoke", "place": "smoke tests", "next_percent": 1.0,
                        "waits_for": ["the smoke tests"] }),
                "Green (v42) is being checked: smoke tests. No user has met it.",
                "Next: 1 % after the smoke tests.",
            ),
            (
                State::Ramping,
                json!({}),
                "Green is holding up at 25 %: 0.9 % of its 1204 requests failed, blue 1.0 % of 11480.",
                "Next: 50 % after 3 min 10 s, 120 more requests.",
            ),
            (
                State::Ramping,
                json!({ "judge": judged(24.0) }),
                "Green looks worse than chance explains at 25 %: 0.9 % of its 1204 requests failed, \
                 blue 1.0 % of 11480; users do not confirm it yet.",
                "Next: 50 % after 3 min 10 s, 120 more requests.",
            ),
            (
                State::Paused,
                json!({ "paused": { "by": "cli:ana", "reason": "waiting for legal" } }),
                "cli:ana paused green at 25 % since 14:19:02 UTC: “waiting for legal”.",
                "Nothing goes up by itself. A breach still rolls back.",
            ),
            (
                State::Held,
                json!({ "held": "x", "held_by": "evidence", "judge": judged(37.0) }),
                "Held at 25 % since 14:19:02 UTC: evidence against green is 37 of 100.",
                "Goes on by itself after a step's time below 5; rolls back at 100, once users \
                 confirm it.",
            ),
            (
                State::Held,
                json!({ "held": "x", "held_by": "shared_incident" }),
                "Held at 25 % since 14:19:02 UTC: blue and green are failing alike. Failed in the \
                 last 60 s: blue 1.0 % (118 of 11480), green 0.9 % (11 of 1204). Going back would \
                 not help, so nobody was moved, and this time is not held against green. Look at \
                 what both share: network, GPU host, database, this machine.",
                "Goes on by itself when blue has kept its limit for a minute.",
            ),
            (
                State::Held,
                json!({ "held": "The step did not get its requests in time.",
                        "held_by": "too_little_data", "needs_somebody": true }),
                "Held at 25 % since 14:19:02 UTC: The step did not get its requests in time.",
                "Waits for you: resume, promote or roll back.",
            ),
            (
                State::Held,
                json!({ "held": "Few requests.", "held_by": "comparison",
                        "muted": { "by": "cli:ana", "reason": null, "left_min": 29 } }),
                "Held at 25 % since 14:19:02 UTC: Few requests.",
                "Goes on by itself when that is over. cli:ana keeps it; the alert rests 29 min more.",
            ),
            (
                State::RolledBack,
                rolled_back,
                "Rolled back at 14:19:02 UTC by the guard: green failed 61 of 412 requests, blue 9 \
                 of 3870.",
                "All users are on blue: back after 0.7 s, on all 8 cores 0.4 ms later. Nothing more \
                 happens by itself.",
            ),
            (
                State::RolledBack,
                json!({ "stage": "rolled_back", "cause": { "code": "operator", "details": null,
                        "text": "cli:ana asked for it" } }),
                "Rolled back at 14:19:02 UTC: cli:ana asked for it.",
                "All users are on blue. Nothing more happens by itself.",
            ),
            (
                State::Done,
                json!({ "stage": "switched", "next_percent": null,
                        "waits_for": ["12 s in which blue stays armed"] }),
                "Green (v42) is active since 14:19:02 UTC. Blue stays ready.",
                "Ends after 12 s in which blue stays armed; then blue drains.",
            ),
        ] {
            assert_eq!(told(state, &more), (sentence.to_owned(), next.to_owned()), "{state:?}");
        }
    }

    #[test]
    fn a_hold_that_needs_somebody_says_what_for() {
        for (held_by, next) in [
            ("comparison", "Waits for you: resume, promote or roll back."),
            (
                "base_down",
                "Waits for you: bring blue back and it goes back by itself, or roll back although \
                 blue does not answer.",
            ),
        ] {
            let more = json!({ "held": "x", "held_by": held_by, "needs_somebody": true });
            assert_eq!(told(State::Held, &more).1, next);
        }
    }
}
