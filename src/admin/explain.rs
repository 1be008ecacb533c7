//! Says in a word and in sentences what a service is at and what comes next. The one place where such
//! sentences are made: API, command line and dashboard show the same words.
//!
//! Who or what acted, when, both sides' counts, one consequence; nobody is blamed.

pub(super) mod evidence;
pub(super) mod questions;
mod release;

use std::time::Duration;

use super::api::standing::State;
use super::api::{Environment, Service, Upstream};
use crate::model::name::Name;

/// Requests of an environment, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Failures {
    pub(super) failed: u64,
    pub(super) of: u64,
}

/// Finds what an environment did in the last so much time; asked only where a sentence needs it.
pub(super) type Lately<'a> = &'a dyn Fn(&Name, Duration) -> Failures;

/// Fills in the service's state and sentences, from everything else of it.
pub(super) fn explain(service: &mut Service, lately: Lately<'_>) {
    service.state = release::state(service).unwrap_or_else(|| without_rollout(service));
    let (sentence, mut next) = match service.rollout.as_deref() {
        Some(last) if !matches!(service.state, State::Idle | State::Split) => {
            release::said(service.state, last, lately)
        }
        _ => (split(service), prospects(service)),
    };
    let mut sentences = vec![sentence];
    sentences.extend(service.environments.iter().filter_map(trouble));
    sentences.extend(service.environments.iter().filter_map(served_by));
    sentences.extend(service.environments.iter().filter_map(draining));
    service.explanation = sentences.join(" ");
    if let Some(why) = &service.frozen {
        next += &format!(" Frozen: {why}.");
    }
    service.next = next;
}

fn without_rollout(service: &Service) -> State {
    let with_traffic = service.environments.iter().filter(|e| !e.weight_percent.is_zero());
    if with_traffic.count() > 1 { State::Split } else { State::Idle }
}

fn split(service: &Service) -> String {
    let with_traffic = service.environments.iter().filter(|e| !e.weight_percent.is_zero());
    let shares: Vec<_> = with_traffic.collect();
    let armed = service.environments.iter().find(|e| e.role.as_deref() == Some("previous"));
    let armed = armed.map(|e| format!("; {} stays ready for a rollback", e.name));
    let text = match shares.as_slice() {
        [] => "Nobody gets any traffic".to_owned(),
        [only] => format!("Everything goes to {}", called(only)),
        [first, rest @ ..] => {
            let (last, middle) = rest.split_last().expect("two or more have traffic here");
            let share = |e: &&Environment| format!("{} % to {}", e.weight_percent, called(e));
            let mut shares = vec![format!("{} % goes to {}", first.weight_percent, called(first))];
            shares.extend(middle.iter().map(share));
            format!("{} and {}", shares.join(", "), share(last))
        }
    };
    let rest = if service.state == State::Idle { " No rollout is running." } else { "" };
    format!("{text}{}.{rest}", armed.unwrap_or_default())
}

/// What an idle service could do next.
fn prospects(service: &Service) -> String {
    if service.state == State::Split {
        return "Nothing changes by itself: somebody set these weights.".to_owned();
    }
    let idle = |e: &&Environment| e.weight_percent.is_zero() && !e.upstreams.is_empty();
    let Some(other) = service.environments.iter().find(idle) else {
        return "There is no other environment with upstreams that could be released.".to_owned();
    };
    let usable = other.upstreams.iter().filter(|upstream| upstream.is_usable()).count();
    let (who, all) = (versioned(&other.name, other.version.as_deref()), other.upstreams.len());
    if usable > 0 {
        return format!("{who} can be released: {usable} of {all} upstreams usable.");
    }
    let said = other.upstreams.iter().find_map(said_last);
    format!("{who} does not answer{}.", said.map(|said| format!(": {said}")).unwrap_or_default())
}

/// `Green (v42)`, as a sentence begins.
fn versioned(name: &Name, version: Option<&str>) -> String {
    let version = version.map(|version| format!(" ({version})")).unwrap_or_default();
    format!("{}{version}", capitalised(name.as_str()))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `green (v42), the candidate`
fn called(environment: &Environment) -> String {
    let version = environment.version.as_ref().map(|v| format!(" ({v})")).unwrap_or_default();
    let candidate = environment.role.as_deref() == Some("candidate");
    let role = if candidate { ", the candidate" } else { "" };
    format!("{}{version}{role}", environment.name)
}

/// An environment with traffic that cannot serve it.
fn trouble(environment: &Environment) -> Option<String> {
    let needed = !environment.weight_percent.is_zero();
    let usable = environment.upstreams.iter().any(Upstream::is_usable);
    let said = environment.upstreams.iter().find_map(said_last);
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    (needed && !usable).then(|| format!("No upstream of {} is usable{said}.", environment.name))
}

/// Why an upstream is suspect, or what it answered last.
fn said_last(upstream: &Upstream) -> Option<String> {
    upstream.suspect.clone().or_else(|| upstream.last_probe.clone())
}

/// An environment whose requests another one serves.
fn served_by(environment: &Environment) -> Option<String> {
    let by = environment.served_by.as_ref()?;
    Some(format!("{by} serves requests of {}.", environment.name))
}

fn draining(environment: &Environment) -> Option<String> {
    let drain = environment.drain.as_ref().filter(|drain| drain.state == "draining")?;
    Some(format!("{} is draining: {}.", environment.name, drain.progress()))
}

#[cfg(test)]
mod tests {
    use super::super::api::Drain;
    use super::*;
    use crate::model::name::Name;
    use crate::model::upstream::Probe;
    use crate::model::weight::Weight;

    fn environment(name: &str, percent: f64, role: Option<&str>) -> Environment {
        let upstream = Upstream {
            address: "http://127.0.0.1:8001".into(),
            probe: Probe::Up,
            last_probe: None,
            ejected: false,
            suspect: None,
            in_flight: 0,
            addresses: vec![],
        };
        Environment {
            name: Name::new(name).unwrap(),
            version: Some("v1".into()),
            model: None,
            role: role.map(str::to_owned),
            weight_percent: Weight::from_percent(percent).unwrap(),
            in_flight: 0,
            queued: 0,
            upstreams: vec![upstream],
            overridden: vec![],
            served_by: None,
            drain: None,
            smoke: None,
        }
    }

    fn said(environments: Vec<Environment>) -> (String, String) {
        let active = Name::new("blue").unwrap();
        let mut service = Service {
            name: Name::new("chat").unwrap(),
            generation: 1,
            state: State::Idle,
            explanation: String::new(),
            next: String::new(),
            active,
            environments,
            rollout: None,
            frozen: None,
        };
        explain(&mut service, &|_, _| Failures::default());
        (service.explanation, service.next)
    }

    fn sentence(environments: Vec<Environment>) -> String {
        said(environments).0
    }

    #[test]
    fn each_split_has_its_sentence() {
        let blue = |percent| environment("blue", percent, Some("active"));
        let green = |percent, role| environment("green", percent, Some(role));
        for (environments, expected) in [
            (vec![blue(100.0)], "Everything goes to blue (v1). No rollout is running."),
            (
                vec![blue(100.0), green(0.0, "previous")],
                "Everything goes to blue (v1); green stays ready for a rollback. No rollout is running.",
            ),
            (
                vec![blue(97.5), green(2.5, "candidate")],
                "97.5 % goes to blue (v1) and 2.5 % to green (v1), the candidate.",
            ),
            (
                vec![blue(50.0), green(30.0, "candidate"), environment("red", 20.0, None)],
                "50 % goes to blue (v1), 30 % to green (v1), the candidate and 20 % to red (v1).",
            ),
        ] {
            assert_eq!(sentence(environments), expected);
        }
    }

    #[test]
    fn trouble_and_drains_are_said() {
        let mut blue = environment("blue", 100.0, Some("active"));
        blue.upstreams[0].probe = Probe::Down;
        blue.upstreams[0].last_probe = Some("connection refused".into());
        let mut green = environment("green", 0.0, None);
        green.drain = Some(Drain {
            state: "draining".into(),
            in_flight: 3,
            left_ms: 11_200,
            ended: 0,
            oldest_ms: Some(41_400),
        });
        assert_eq!(
            sentence(vec![blue, green]),
            "Everything goes to blue (v1). No rollout is running. No upstream of blue is usable: connection refused. \
             green is draining: 3 in flight, the oldest for 41 s, 12 s left."
        );
    }

    #[test]
    fn an_idle_service_says_what_could_be_released() {
        let blue = || environment("blue", 100.0, Some("active"));
        let mut silent = environment("green", 0.0, None);
        silent.upstreams[0].probe = Probe::Down;
        silent.upstreams[0].last_probe = Some("connection refused".into());
        for (other, expected) in [
            (None, "There is no other environment with upstreams that could be released."),
            (Some(silent), "Green (v1) does not answer: connection refused."),
            (
                Some(environment("green", 0.0, None)),
                "Green (v1) can be released: 1 of 1 upstreams usable.",
            ),
            (
                Some(environment("green", 10.0, None)),
                "Nothing changes by itself: somebody set these weights.",
            ),
        ] {
            assert_eq!(said([blue()].into_iter().chain(other).collect()).1, expected);
        }
    }
}
