//! The rollout of a service in `cyan status`: one word, where it stands, what comes next and why.

use crate::admin::api::Service;
use crate::admin::api::rollout::Rollout;

/// A state: its glyph, the glyph in ASCII, and its word, which always stand together.
pub(in crate::cli) type State = (&'static str, &'static str, &'static str);

/// What a service is at, in the words of the API.
pub(in crate::cli) fn state(service: &Service) -> State {
    let state = service.state;
    (state.glyph(), state.ascii_glyph(), state.word())
}

/// What there is to say of it below the environments, each with its label.
pub(in crate::cli) fn facts(service: &Service) -> Vec<(&'static str, String)> {
    let running = service.rollout.as_deref().filter(|rollout| !rollout.is_over());
    let mut facts: Vec<_> = running.map(under_way).unwrap_or_default();
    facts.extend(service.frozen.iter().map(|why| ("frozen", why.clone())));
    facts
}

fn under_way(rollout: &Rollout) -> Vec<(&'static str, String)> {
    let requests = rollout.judge.as_ref().map(|judge| format!(", {} requests", judge.requests));
    let requests = requests.unwrap_or_default();
    let place = format!("{} by plan {}: {}{requests}", rollout.id, rollout.plan, rollout.place);
    let mut facts = vec![("rollout", place)];
    let waits = rollout.waits_for.join(", ");
    match rollout.next_percent {
        Some(next) if waits.is_empty() => facts.push(("next", format!("{next} %, now"))),
        Some(next) => facts.push(("next", format!("{next} %, after {waits}"))),
        None if waits.is_empty() => {}
        None => facts.push(("waits for", waits)),
    }
    facts.extend(rollout.judge.as_ref().map(|judge| ("why", judge.text.clone())));
    facts
}

/// The commands that make sense while it is under way.
pub(super) fn you_can(service: &Service) -> Option<String> {
    let name = &service.name;
    let rollout = service.rollout.as_deref().filter(|rollout| !rollout.is_over())?;
    let verbs = match rollout.stage.as_str() {
        "rolling_back" => return Some(format!("cyan rollback {name}")),
        "switched" => "release",
        _ if rollout.held.is_some() => "resume|mute|promote",
        _ if rollout.paused.is_some() => "resume|promote",
        _ => "pause|promote",
    };
    Some(format!("cyan rollback {name}, cyan rollout {verbs} {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A service at this stage of a rollout; `more` is laid over it.
    fn service(stage: &str, more: &serde_json::Value) -> Service {
        let green_percent = if stage == "ramp" { 25.0 } else { 0.0 };
        let environment = |name: &str, percent: f64| {
            json!({"name": name, "version": null, "role": null, "weight_percent": percent,
                   "in_flight": 0, "upstreams": [], "overridden": [], "drain": null})
        };
        let mut rollout = json!({
            "schema": 1, "id": 3, "service": "chat", "generation": 7, "candidate": "green",
            "base": "blue", "version": "v42", "plan": "default", "steps": [], "stage": stage,
            "place": "25 %, step 3 of 5", "share_percent": 25.0, "next_percent": 50.0,
            "waits_for": ["3m10s", "120 more requests"], "in_stage_s": 1, "observed_s": 1,
            "started_by": "cli:ana", "started_at": "", "paused": null, "held": null,
            "needs_somebody": false, "frozen": null, "cause": null, "unarmed": [],
            "judge": {"text": "Evidence against green is 1.4.", "requests": 80, "details": null},
        });
        for (key, value) in more.as_object().unwrap() {
            rollout[key] = value.clone();
        }
        let service = json!({
            "name": "chat", "generation": 7, "explanation": "", "active": "blue",
            "environments": [environment("blue", 100.0 - green_percent), environment("green", green_percent)],
            "rollout": rollout, "frozen": null,
        });
        serde_json::from_value(service).unwrap()
    }

    #[test]
    fn each_state_has_its_commands() {
        let paused = json!({"paused": {"by": "cli:ana", "reason": null}});
        for (stage, more, commands) in [
            ("ready", json!({}), Some("pause|promote")),
            ("smoke", json!({}), Some("pause|promote")),
            ("ramp", json!({}), Some("pause|promote")),
            ("ramp", paused, Some("resume|promote")),
            ("ramp", json!({"held": "few requests"}), Some("resume|mute|promote")),
            ("switched", json!({}), Some("release")),
            ("rolled_back", json!({}), None),
            ("done", json!({}), None),
        ] {
            let service = service(stage, &more);
            let can =
                commands.map(|verbs| format!("cyan rollback chat, cyan rollout {verbs} chat"));
            assert_eq!(you_can(&service), can, "{stage}");
        }
    }

    #[test]
    fn a_rollout_says_where_it_is_what_comes_next_and_why() {
        let mut service = service("ramp", &json!({}));
        service.frozen = Some("weekend (cli:ana)".into());
        let expected = [
            ("rollout", "3 by plan default: 25 %, step 3 of 5, 80 requests"),
            ("next", "50 %, after 3m10s, 120 more requests"),
            ("why", "Evidence against green is 1.4."),
            ("frozen", "weekend (cli:ana)"),
        ];
        let facts = facts(&service);
        let facts: Vec<_> = facts.iter().map(|(label, text)| (*label, text.as_str())).collect();
        assert_eq!(facts, expected);
    }
}
