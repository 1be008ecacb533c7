//! What is asked before something is done: for each action what will be, who moves, which gates are open and
//! how to undo it; and the call that does it.
//!
//! Made of the present state and sent with its generation, so that a question which was answered too late is
//! refused, and asked anew.

use serde::Serialize;
use serde_json::{Value, json};

use super::super::api::rollout::Rollout;
use super::super::api::{Environment, Service};
use crate::model::name::Name;
use crate::model::weight::Weight;

const UNDO: &str = "Back at any time: Roll back, or cyan rollback.";

/// A question, as a dialog shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::admin) struct Question {
    title: String,
    /// The button repeats what will be done.
    verb: String,
    /// Shares by environment, now and then.
    changes: Vec<[String; 3]>,
    lines: Vec<String>,
    /// What has to be written by hand, where one press cannot undo it.
    typed: Option<Name>,
    fields: Vec<Field>,
    /// Does it; `None` where there is nothing to do.
    call: Option<Call>,
}

/// Something to fill in.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Field {
    /// Where its value goes in the body of the call.
    path: Vec<String>,
    label: String,
    value: String,
    /// A number; else a text.
    is_number: bool,
    /// One of these, where there are some.
    choices: Vec<Name>,
    is_required: bool,
}

/// A call of the admin API, but for what is filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Call {
    method: &'static str,
    path: String,
    body: Value,
}

/// What is asked before `action`, which may be about an environment. `None` for what is not asked about, or
/// makes no sense now.
pub(in crate::admin) fn question(
    service: &Service,
    action: &str,
    environment: Option<&Name>,
) -> Option<Question> {
    let rollout = service.rollout.as_deref();
    let named = || service.environments.iter().find(|e| Some(&e.name) == environment);
    match action {
        "promote" => rollout.map(|rollout| promote(service, rollout)),
        "full" => rollout.map(|rollout| promote_full(service, rollout)),
        "resume" => rollout.map(|rollout| resume(service, rollout)),
        "release" => rollout.map(|rollout| release(service, rollout)),
        "start" => Some(start(service)),
        "switch" => named().and_then(|to| switch(service, to)),
        "drain" => named().map(|environment| drain(service, environment)),
        "weights" => Some(weights(service)),
        "freeze" => Some(freeze(service)),
        _ => None,
    }
}

/// The next step now; its open gates are named.
fn promote(service: &Service, rollout: &Rollout) -> Question {
    let to = rollout.next_percent.map_or(100.0, Weight::percent);
    let mut question = Question::new(
        format!("Promote {}?", rollout.candidate),
        format!("Promote to {}", percent(to)),
        &[&open(rollout), "Users of the active environment move, and keep what they got.", UNDO],
    );
    question.changes = shares(service, &rollout.candidate, to);
    let is_open = !rollout.waits_for.is_empty();
    let label = if is_open { "Why (goes into the journal)" } else { "Why, if you like" };
    question.fields = vec![Field::reason(label, is_open)];
    let is_step = rollout.next_percent.is_some() && rollout.stage == "ramp";
    let body = if is_step { json!({ "to_percent": to }) } else { json!({}) };
    question.call = Some(Call::of_rollout(service, rollout, "promote", body));
    question
}

/// All steps at once.
fn promote_full(service: &Service, rollout: &Rollout) -> Question {
    let mut question = Question::new(
        format!("Promote {} to everybody?", rollout.candidate),
        "Promote to 100 %".to_owned(),
        &[&open(rollout), "All users move at once.", UNDO],
    );
    question.changes = shares(service, &rollout.candidate, 100.0);
    question.typed = (!rollout.waits_for.is_empty()).then(|| rollout.candidate.clone());
    question.fields = vec![Field::reason("Why (goes into the journal)", true)];
    let body = json!({ "full": true });
    question.call = Some(Call::of_rollout(service, rollout, "promote", body));
    question
}

fn open(rollout: &Rollout) -> String {
    match rollout.waits_for.as_slice() {
        [] => "Nothing is waited for.".to_owned(),
        open => format!("Not waited for: {}.", open.join("; ").trim_end_matches('.')),
    }
}

/// Automatic steps again.
fn resume(service: &Service, rollout: &Rollout) -> Question {
    let next = rollout.next_percent.map(|next| format!(" The next step is {next} %."));
    let steps =
        format!("Automatic steps begin again.{} Nobody moves now.", next.unwrap_or_default());
    let mut question = Question::new(
        format!("Resume {}?", rollout.candidate),
        format!("Resume at {} %", rollout.share_percent),
        &[&steps, "What holds it for now does not hold this step again.", "Stop again by Pause."],
    );
    question.call = Some(Call::of_rollout(service, rollout, "resume", json!({})));
    question
}

/// The environment before need not stay ready any longer.
fn release(service: &Service, rollout: &Rollout) -> Question {
    let drains = format!(
        "{} drains, and limits no longer roll back by themselves. Nobody moves.",
        rollout.base
    );
    let verb = format!("Release {}", rollout.base);
    let mut question = Question::new(format!("{verb}?"), verb, &[&drains]);
    question.typed = Some(rollout.base.clone());
    question.call = Some(Call::of_rollout(service, rollout, "release", json!({})));
    question
}

/// A rollout of one of the environments without traffic.
fn start(service: &Service) -> Question {
    let is_free = |e: &&Environment| e.name != service.active && e.weight_percent.is_zero();
    let free: Vec<&Environment> = service.environments.iter().filter(is_free).collect();
    if free.is_empty() {
        let nothing = "There is no environment without traffic that could be released.";
        return Question::new("Start a rollout".to_owned(), String::new(), &[nothing]);
    }
    let last = service.rollout.as_deref();
    let was_back = last.is_some_and(|last| last.stage == "rolled_back");
    let candidate = free.iter().find(|e| e.role.as_deref() == Some("candidate"));
    let candidate =
        candidate.or_else(|| free.iter().find(|e| last.is_some_and(|l| l.candidate == e.name)));
    let preferred = candidate.or(free.first()).map_or(String::new(), |e| e.name.to_string());
    let checks = "It is checked first: readiness, smoke tests, quality and warm-up, as far as the service \
                  has them. Then users meet it, a step at a time, and go back by themselves if it is worse.";
    let mut question =
        Question::new("Start a rollout?".to_owned(), "Start rollout".to_owned(), &[checks, UNDO]);
    let choices = free.iter().map(|e| e.name.clone()).collect();
    let why = if was_back { "Why again (goes into the journal)" } else { "Why, if you like" };
    question.fields = vec![
        Field { choices, ..Field::text("candidate", "Environment", preferred) },
        Field::text("plan", "Plan", "default".to_owned()),
        Field::reason(why, was_back),
    ];
    let mut body = json!({ "generation": service.generation });
    if was_back {
        body["again"] = Value::Bool(true);
    }
    question.call = Some(Call::of_service(service, "POST", "/rollout", body));
    question
}

/// Everything of the active environment to another one.
fn switch(service: &Service, to: &Environment) -> Option<Question> {
    let from = service.environments.iter().find(|e| e.name == service.active)?;
    let moved = from.weight_percent.percent();
    let all = format!(
        "All users of {} move at once. What is in flight is finished where it is.",
        from.name
    );
    let verb = format!("Switch to {}", to.name);
    let mut question = Question::new(format!("{verb}?"), verb, &[&all, UNDO]);
    let share = |e: &Environment, then: f64| {
        [e.name.to_string(), percent(e.weight_percent.percent()), percent(then)]
    };
    question.changes = vec![share(to, to.weight_percent.percent() + moved), share(from, 0.0)];
    let body = json!({ "to": to.name, "generation": service.generation });
    question.call = Some(Call::of_service(service, "POST", "/switch", body));
    Some(question)
}

/// Accept nothing new, finish what is in flight.
fn drain(service: &Service, environment: &Environment) -> Question {
    let name = &environment.name;
    let finished = format!(
        "{name} gets no new requests and has none of the traffic; {} in flight are finished first.",
        environment.in_flight
    );
    let verb = format!("Drain {name}");
    let mut question =
        Question::new(format!("{verb}?"), verb, &[&finished, "Weights give it traffic again."]);
    let path = format!("/environments/{name}/drain");
    question.call = Some(Call::of_service(service, "POST", &path, json!({})));
    question
}

/// Weights of all environments.
fn weights(service: &Service) -> Question {
    let is_running = service.rollout.as_deref().is_some_and(|rollout| !rollout.is_over());
    let pauses = if is_running { " The rollout that is under way is paused by it." } else { "" };
    let sum = format!("Percent of the traffic, together 100.{pauses}");
    let mut question = Question::new(
        "Set weights?".to_owned(),
        "Set weights".to_owned(),
        &[&sum, "Back by the same, or cyan rollback."],
    );
    let field = |e: &Environment| Field {
        path: vec!["weights".to_owned(), e.name.to_string()],
        label: format!("{}, now {} %", e.name, e.weight_percent),
        value: e.weight_percent.to_string(),
        is_number: true,
        choices: vec![],
        is_required: true,
    };
    question.fields = service.environments.iter().map(field).collect();
    let body = json!({ "generation": service.generation });
    question.call = Some(Call::of_service(service, "PUT", "/weights", body));
    question
}

/// No automatic step in this service, or again.
fn freeze(service: &Service) -> Question {
    if let Some(why) = &service.frozen {
        let lines = [&*format!("Frozen: {why}."), "Automatic steps begin again."];
        let mut question =
            Question::new("Lift the freeze?".to_owned(), "Unfreeze".to_owned(), &lines);
        question.call = Some(Call::of_service(service, "DELETE", "/freeze", json!({})));
        return question;
    }
    let none = "No rollout of this service takes a step by itself until somebody lifts it. Rolling back \
                stays automatic.";
    let mut question =
        Question::new("Freeze automatic steps?".to_owned(), "Freeze".to_owned(), &[none]);
    question.fields = vec![Field::reason("Why (shown wherever a rollout waits for it)", true)];
    question.call = Some(Call::of_service(service, "PUT", "/freeze", json!({})));
    question
}

/// The shares of both environments of a slot when the candidate has this one of what they get together.
fn shares(service: &Service, candidate: &Name, share_percent: f64) -> Vec<[String; 3]> {
    let rollout = service.rollout.as_deref();
    let base = rollout.filter(|_| *candidate == service.active).map(|rollout| &rollout.base);
    let other = base.unwrap_or(&service.active);
    let weight = |name: &Name| {
        let found = service.environments.iter().find(|e| e.name == *name);
        found.map_or(0.0, |e| e.weight_percent.percent())
    };
    let (mine, its) = (weight(candidate), weight(other));
    let then = (mine + its) * share_percent / 100.0;
    let line = |name: &Name, now, then| [name.to_string(), percent(now), percent(then)];
    vec![line(candidate, mine, then), line(other, its, mine + its - then)]
}

/// `12.5 %`
fn percent(percent: f64) -> String {
    format!("{} %", (percent * 100.0).round() / 100.0)
}

impl Question {
    fn new(title: String, verb: String, lines: &[&str]) -> Self {
        let lines = lines.iter().map(ToString::to_string).collect();
        Self { title, verb, changes: vec![], lines, typed: None, fields: vec![], call: None }
    }
}

impl Field {
    fn text(name: &str, label: &str, value: String) -> Self {
        Self {
            path: vec![name.to_owned()],
            label: label.to_owned(),
            value,
            is_number: false,
            choices: vec![],
            is_required: true,
        }
    }

    fn reason(label: &str, is_required: bool) -> Self {
        Self { is_required, ..Self::text("reason", label, String::new()) }
    }
}

impl Call {
    fn of_service(service: &Service, method: &'static str, path: &str, body: Value) -> Self {
        Self { method, path: format!("/v1/services/{}{path}", service.name), body }
    }

    /// Of this rollout and no later one.
    fn of_rollout(service: &Service, rollout: &Rollout, action: &str, mut body: Value) -> Self {
        body["rollout"] = rollout.id.into();
        Self::of_service(service, "POST", &format!("/rollout/{action}"), body)
    }
}

#[cfg(test)]
mod tests;
