//! Each question in its words.

use super::*;

fn service(stage: &str, waits_for: &[&str], frozen: Option<&str>) -> Service {
    let environment = |name: &str, percent: f64, role: Option<&str>| {
        json!({ "name": name, "version": null, "role": role, "weight_percent": percent,
                "in_flight": 3, "upstreams": [], "overridden": [], "drain": null })
    };
    let green = if stage == "ramp" { 20.0 } else { 0.0 };
    let rollout = json!({
        "schema": 1, "id": 17, "service": "chat", "generation": 7, "candidate": "green",
        "base": "blue", "version": "v42", "plan": "default", "steps": [], "stage": stage,
        "place": "", "share_percent": 25.0, "next_percent": 50.0, "waits_for": waits_for,
        "in_stage_s": 1, "observed_s": 1, "started_by": "cli:ana", "started_at": "",
        "paused": null, "held": null, "needs_somebody": false, "frozen": null, "cause": null,
        "unarmed": [], "judge": null,
    });
    serde_json::from_value(json!({
        "name": "chat", "generation": 7, "explanation": "", "active": "blue",
        "environments": [environment("blue", 80.0 - green, Some("active")),
                         environment("green", green, Some("candidate")),
                         environment("red", 20.0, Some("fallback"))],
        "rollout": rollout, "frozen": frozen,
    }))
    .unwrap()
}

fn asked(service: &Service, action: &str) -> Question {
    question(service, action, Some(&Name::new("green").unwrap())).unwrap()
}

#[test]
fn each_action_says_what_will_be_and_its_button_repeats_the_verb() {
    let (ramp, back) = (
        service("ramp", &["3 min 10 s", "20 more scores"], None),
        service("rolled_back", &[], None),
    );
    let frozen = service("ramp", &[], Some("weekend (cli:ana)"));
    for (service, action, title, verb, line) in [
        (
            &ramp,
            "promote",
            "Promote green?",
            "Promote to 50 %",
            "Not waited for: 3 min 10 s; 20 more scores.",
        ),
        (&frozen, "promote", "Promote green?", "Promote to 50 %", "Nothing is waited for."),
        (
            &ramp,
            "full",
            "Promote green to everybody?",
            "Promote to 100 %",
            "Not waited for: 3 min 10 s; 20 more scores.",
        ),
        (
            &ramp,
            "resume",
            "Resume green?",
            "Resume at 25 %",
            "Automatic steps begin again. The next step is 50 %. Nobody moves now.",
        ),
        (
            &ramp,
            "release",
            "Release blue?",
            "Release blue",
            "blue drains, and limits no longer roll back by themselves. Nobody moves.",
        ),
        (
            &ramp,
            "start",
            "Start a rollout",
            "",
            "There is no environment without traffic that could be released.",
        ),
        (
            &ramp,
            "switch",
            "Switch to green?",
            "Switch to green",
            "All users of blue move at once. What is in flight is finished where it is.",
        ),
        (
            &ramp,
            "drain",
            "Drain green?",
            "Drain green",
            "green gets no new requests and has none of the traffic; 3 in flight are finished first.",
        ),
        (
            &ramp,
            "weights",
            "Set weights?",
            "Set weights",
            "Percent of the traffic, together 100. The rollout that is under way is paused by it.",
        ),
        (&back, "weights", "Set weights?", "Set weights", "Percent of the traffic, together 100."),
        (
            &ramp,
            "freeze",
            "Freeze automatic steps?",
            "Freeze",
            "No rollout of this service takes a step by itself until somebody lifts it. Rolling back stays automatic.",
        ),
        (&frozen, "freeze", "Lift the freeze?", "Unfreeze", "Frozen: weekend (cli:ana)."),
    ] {
        let asked = asked(service, action);
        let said = (asked.title.as_str(), asked.verb.as_str(), asked.lines[0].as_str());
        assert_eq!(said, (title, verb, line), "{action}");
    }
    assert_eq!(question(&ramp, "rollback", None), None, "going back is not asked about");
}

#[test]
fn a_promotion_names_the_rollout_the_share_and_who_moves() {
    let service = service("ramp", &["quality"], None);
    let asked = asked(&service, "promote");
    let [green, blue] = asked.changes.as_slice() else { panic!("{:?}", asked.changes) };
    assert_eq!(green.each_ref().map(String::as_str), ["green", "20 %", "40 %"]);
    assert_eq!(blue.each_ref().map(String::as_str), ["blue", "60 %", "40 %"]);
    let call = asked.call.unwrap();
    assert_eq!((call.method, call.path.as_str()), ("POST", "/v1/services/chat/rollout/promote"));
    assert_eq!(call.body, json!({ "rollout": 17, "to_percent": 50.0 }));
    assert!(asked.fields[0].is_required, "what is open asks for a reason");
}

#[test]
fn what_one_press_cannot_undo_is_written_by_hand() {
    let open = service("ramp", &["quality"], None);
    assert_eq!(asked(&open, "full").typed, Some(Name::new("green").unwrap()));
    assert_eq!(asked(&service("ramp", &[], None), "full").typed, None);
    assert_eq!(asked(&open, "release").typed, Some(Name::new("blue").unwrap()));
}

#[test]
fn a_start_after_a_rollback_asks_why_again() {
    let asked = asked(&service("rolled_back", &[], None), "start");
    let fields: Vec<_> =
        asked.fields.iter().map(|f| (f.label.as_str(), f.value.as_str())).collect();
    let why = ("Why again (goes into the journal)", "");
    assert_eq!(fields, [("Environment", "green"), ("Plan", "default"), why]);
    assert_eq!(asked.call.unwrap().body, json!({ "generation": 7, "again": true }));
}
