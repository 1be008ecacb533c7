//! Says in a sentence who gets what. The one place where such sentences are made: API, command line and
//! every later surface show the same words.

use super::api::rollout::Rollout;
use super::api::{Environment, Service, Upstream};

/// The state of a service, e.g. `75 % goes to blue (v41) and 25 % to green (v42), the candidate.`
pub(super) fn explain(service: &Service) -> String {
    let release = service.rollout.as_deref().and_then(|last| release(service, last));
    let mut sentences = vec![release.unwrap_or_else(|| split(service))];
    sentences.extend(service.environments.iter().filter_map(trouble));
    sentences.extend(service.environments.iter().filter_map(served_by));
    sentences.extend(service.environments.iter().filter_map(draining));
    sentences.join(" ")
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
    format!("{text}{}.", armed.unwrap_or_default())
}

/// Where a rollout stands that has still something to say; one that is done has become the split.
fn release(service: &Service, last: &Rollout) -> Option<String> {
    let who = match &last.version {
        Some(version) => format!("{} ({version})", last.candidate),
        None => last.candidate.to_string(),
    };
    let why = last.cause.as_ref().map_or("", |cause| cause.text.as_str());
    Some(match (last.stage.as_str(), &last.held, &last.paused) {
        // Until somebody gives it traffic again.
        ("rolled_back", ..) if last.is_still_back(service) => {
            format!(
                "{who} was rolled back: {}. Everything is as before.",
                why.trim_end_matches('.')
            )
        }
        ("done" | "rolled_back", ..) => return None,
        ("rolling_back", ..) => format!("{who} goes back: {why}."),
        (_, Some(held), _) => format!("{who} is held, {}: {held}.", last.place),
        (_, None, Some(pause)) => {
            let why = pause.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("{who} is paused by {}, {}{why}.", pause.by, last.place)
        }
        ("switched", ..) => format!("{who} is active; {} stays ready for a rollback.", last.base),
        ("ramp", ..) => format!("{who} is released: {}.", last.place),
        _ => format!("{who} is to be released: {}.", last.place),
    })
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
    let reason = |upstream: &Upstream| upstream.suspect.clone().or(upstream.last_probe.clone());
    let said = environment.upstreams.iter().find_map(reason);
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    (needed && !usable).then(|| format!("No upstream of {} is usable{said}.", environment.name))
}

/// An environment whose requests another one serves.
fn served_by(environment: &Environment) -> Option<String> {
    let by = environment.served_by.as_ref()?;
    Some(format!("{by} serves requests of {}.", environment.name))
}

fn draining(environment: &Environment) -> Option<String> {
    let drain = environment.drain.as_ref().filter(|drain| drain.state == "draining")?;
    let left = drain.left_ms.div_ceil(1000);
    Some(format!("{} is draining: {} in flight, {left} s left.", environment.name, drain.in_flight))
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
            upstreams: vec![upstream],
            overridden: vec![],
            served_by: None,
            drain: None,
        }
    }

    fn sentence(environments: Vec<Environment>) -> String {
        let active = Name::new("blue").unwrap();
        let name = Name::new("chat").unwrap();
        explain(&Service {
            name,
            generation: 1,
            explanation: String::new(),
            active,
            environments,
            rollout: None,
            frozen: None,
        })
    }

    #[test]
    fn each_split_has_its_sentence() {
        let blue = |percent| environment("blue", percent, Some("active"));
        let green = |percent, role| environment("green", percent, Some(role));
        for (environments, expected) in [
            (vec![blue(100.0)], "Everything goes to blue (v1)."),
            (
                vec![blue(100.0), green(0.0, "previous")],
                "Everything goes to blue (v1); green stays ready for a rollback.",
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
        green.drain =
            Some(Drain { state: "draining".into(), in_flight: 3, left_ms: 11_200, ended: 0 });
        assert_eq!(
            sentence(vec![blue, green]),
            "Everything goes to blue (v1). No upstream of blue is usable: connection refused. \
             green is draining: 3 in flight, 12 s left."
        );
    }
}
