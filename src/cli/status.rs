//! `cyan status`: who gets what, what is wrong, and what can be done, in a form that fits 80 columns.

pub(super) mod release;

use std::fmt::Write as _;

use super::failure::Failure;
use super::session::{Session, pick};
use super::terminal::{Ink, Terminal};
use crate::admin::api::{Environment, Service, Status, Upstream};
use crate::model::upstream::Probe;

/// `cyan status [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this service
    service: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let mut status: Status = session.client.get("/v1/status").await?;
    if let Some(name) = &args.service {
        status.services = vec![pick(status.services, Some(name))?];
    }
    if session.globals.json {
        return session.terminal.json(&status);
    }
    session.terminal.print(&text(&status, session.terminal))
}

/// The whole status.
fn text(status: &Status, terminal: Terminal) -> String {
    let mut text: String =
        status.services.iter().map(|service| service_text(service, terminal)).collect();
    for warning in &status.warnings {
        let _ = writeln!(text, "{} {warning}", terminal.paint(Ink::Bold, "!"));
    }
    let _ = writeln!(
        text,
        "cyan {}, {}, up {}, {} cores, {} connections, {} requests",
        status.version,
        status.readiness.replace('_', " "),
        ago(status.uptime_s),
        status.cores,
        status.connections,
        status.requests
    );
    text
}

/// One service: its state, a line per environment, what can be done.
pub fn service_text(service: &Service, terminal: Terminal) -> String {
    let indent = service.name.as_str().len().max(6) + 1;
    let (glyph, plain, word) = release::state(service);
    let glyph = if terminal.ascii { plain } else { glyph };
    let state = terminal.paint(Ink::Bold, &format!("{glyph} {word}"));
    let mut text = format!("{:indent$}{state}  {}\n", service.name.as_str(), service.explanation);
    let columns = Columns::of(service);
    for (index, environment) in service.environments.iter().enumerate() {
        let line = columns.line(environment, index, terminal);
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
    for environment in service.environments.iter().filter(|e| !e.overridden.is_empty()) {
        let fields = environment.overridden.join(", ");
        let name = &environment.name;
        let _ = writeln!(
            text,
            "{:indent$}note     {name}: {fields} set by the API (back: cyan config reset)",
            ""
        );
    }
    for (label, fact) in release::facts(service) {
        let _ = writeln!(text, "{:indent$}{label:8} {fact}", "");
    }
    let can = release::you_can(service).unwrap_or_else(|| you_can(service));
    let _ = writeln!(text, "{:indent$}you can  {can}", "");
    text
}

/// One environment with its upstreams.
pub fn environment_text(service: &Service, shown: &Environment, terminal: Terminal) -> String {
    let index = service.environments.iter().position(|e| e.name == shown.name).unwrap_or(0);
    let mut text = Columns::of(service).line(shown, index, terminal) + "\n";
    for upstream in &shown.upstreams {
        let _ = writeln!(text, "  {}", upstream_text(upstream));
    }
    if let Some(drain) = &shown.drain {
        let _ = writeln!(text, "  {}: {} in flight", drain.state, drain.in_flight);
    }
    text
}

fn upstream_text(upstream: &Upstream) -> String {
    let state = match upstream.probe {
        _ if upstream.ejected => "ejected after failures",
        Probe::Up | Probe::Unknown if upstream.suspect.is_some() => "suspect",
        Probe::Up => "up",
        Probe::Down => "down",
        Probe::Unknown => "not probed",
    };
    let said = match (state, &upstream.suspect) {
        ("suspect", Some(why)) => Some(why),
        _ => upstream.last_probe.as_ref(),
    };
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{}  {} in flight  {state}{said}", upstream.address, upstream.in_flight)
}

/// Widths that line the environments of a service up.
struct Columns {
    name: usize,
    version: usize,
    in_flight: usize,
}

impl Columns {
    fn of(service: &Service) -> Self {
        let widest =
            |of: fn(&Environment) -> usize| service.environments.iter().map(of).max().unwrap_or(0);
        Self {
            name: widest(|e| e.name.as_str().len()),
            version: widest(|e| e.version.as_ref().map_or(0, |version| version.chars().count())),
            in_flight: widest(|e| e.in_flight.to_string().len()),
        }
    }

    fn line(&self, environment: &Environment, index: usize, terminal: Terminal) -> String {
        let (ink, glyph) = mark(environment.name.as_str(), index, terminal.ascii);
        let name = format!("{glyph} {:width$}", environment.name, width = self.name);
        let mut line = terminal.paint(ink, &name);
        let _ = write!(line, "  {:>5} %", environment.weight_percent.to_string());
        if self.version > 0 {
            let version = environment.version.as_deref().unwrap_or("");
            let _ = write!(line, "  {version:width$}", width = self.version);
        }
        let role = environment.role.as_deref().unwrap_or("");
        let in_flight = environment.in_flight;
        let _ = write!(line, "  {role:9}  {in_flight:>width$} in flight", width = self.in_flight);
        let _ = write!(line, "  {}", health(environment));
        if let Some(drain) = environment.drain.as_ref().filter(|drain| drain.state == "draining") {
            let _ = write!(line, "  draining, {} s left", drain.left_ms.div_ceil(1000));
        }
        line
    }
}

/// The colour and glyph of an environment: three have their own, others follow their place.
pub(super) fn mark(name: &str, index: usize, ascii: bool) -> (Ink, &'static str) {
    let (ink, glyph, plain) = match name {
        "blue" => (Ink::Blue, "●", "*"),
        "green" => (Ink::Green, "▲", "^"),
        "red" => (Ink::Red, "■", "#"),
        _ if index.is_multiple_of(2) => (Ink::Yellow, "◆", "+"),
        _ => (Ink::Plain, "✚", "x"),
    };
    (ink, if ascii { plain } else { glyph })
}

/// `2/3 healthy`, counting what is not known to be bad.
fn health(environment: &Environment) -> String {
    let all = environment.upstreams.len();
    if all == 0 {
        return "no upstream".to_owned();
    }
    let usable = environment.upstreams.iter().filter(|upstream| upstream.is_usable()).count();
    let probed = environment.upstreams.iter().any(|upstream| upstream.probe != Probe::Unknown);
    let word = if probed { "healthy" } else { "usable" };
    format!("{usable}/{all} {word}")
}

/// The commands that make sense now.
fn you_can(service: &Service) -> String {
    let name = &service.name;
    let in_role = |role: &str| {
        service.environments.iter().find(|environment| environment.role.as_deref() == Some(role))
    };
    if in_role("previous").is_some() {
        return format!("cyan rollback {name}");
    }
    match in_role("candidate") {
        Some(candidate) if !candidate.weight_percent.is_zero() => {
            format!("cyan rollback {name}, cyan switch {name} {}", candidate.name)
        }
        Some(candidate) => {
            let active = &service.active;
            format!(
                "cyan rollout start {name} {c}, cyan weights {name} {active}=95 {c}=5",
                c = candidate.name
            )
        }
        None => format!("cyan environment put {name} NAME --upstream URL"),
    }
}

/// A length of time as people say it: `42 s`, `3 min`, `5 h`, `2 d`.
fn ago(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::Drain;
    use crate::admin::api::standing::State;
    use crate::model::name::Name;
    use crate::model::weight::Weight;

    fn terminal(colour: bool, ascii: bool) -> Terminal {
        Terminal { colour, ascii, redraws: false, can_ask: false }
    }

    fn upstream(probe: Probe, ejected: bool) -> Upstream {
        Upstream {
            address: "http://127.0.0.1:8001".into(),
            probe,
            last_probe: Some("200 in 3 ms".into()),
            ejected,
            suspect: None,
            in_flight: 2,
            addresses: vec![],
        }
    }

    fn environment(name: &str, percent: f64, role: &str, in_flight: u32) -> Environment {
        Environment {
            name: Name::new(name).unwrap(),
            version: (name == "green").then(|| "v42".into()),
            model: None,
            role: Some(role.to_owned()),
            weight_percent: Weight::from_percent(percent).unwrap(),
            in_flight,
            queued: 0,
            upstreams: vec![upstream(Probe::Up, false), upstream(Probe::Up, false)],
            overridden: vec![],
            served_by: None,
            drain: None,
            smoke: None,
        }
    }

    fn service(environments: Vec<Environment>) -> Service {
        Service {
            name: Name::new("chat").unwrap(),
            generation: 7,
            state: State::Split,
            explanation: "97.5 % goes to blue and 2.5 % to green (v42), the candidate.".into(),
            next: String::new(),
            active: Name::new("blue").unwrap(),
            environments,
            rollout: None,
            frozen: None,
        }
    }

    fn split() -> Service {
        let mut blue = environment("blue", 97.5, "active", 58);
        blue.upstreams[1] = upstream(Probe::Down, false);
        blue.overridden.push("upstreams".into());
        service(vec![blue, environment("green", 2.5, "candidate", 9)])
    }

    #[test]
    fn a_split_service_fits_eighty_columns() {
        let text = service_text(&split(), terminal(false, false));
        assert_eq!(
            text,
            "\
chat   – SPLIT  97.5 % goes to blue and 2.5 % to green (v42), the candidate.
       ● blue    97.5 %       active     58 in flight  1/2 healthy
       ▲ green    2.5 %  v42  candidate   9 in flight  2/2 healthy
       note     blue: upstreams set by the API (back: cyan config reset)
       you can  cyan rollback chat, cyan switch chat green
"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn ascii_means_ascii_and_colour_is_never_alone() {
        let text = service_text(&split(), terminal(false, true));
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("* blue") && text.contains("^ green"), "{text}");
        let coloured = service_text(&split(), terminal(true, false));
        assert!(coloured.contains("\x1b[32m▲ green\x1b[0m"), "{coloured}");
    }

    #[test]
    fn each_state_has_the_commands_that_make_sense() {
        let blue = || environment("blue", 100.0, "active", 0);
        let green = |role| environment("green", 0.0, role, 0);
        for (environments, expected) in [
            (vec![blue()], "cyan environment put chat NAME --upstream URL"),
            (
                vec![blue(), green("candidate")],
                "cyan rollout start chat green, cyan weights chat blue=95 green=5",
            ),
            (vec![blue(), green("previous")], "cyan rollback chat"),
        ] {
            assert_eq!(you_can(&service(environments)), expected);
        }
    }

    #[test]
    fn an_environment_shows_its_upstreams_and_its_drain() {
        let mut green = environment("green", 0.0, "previous", 4);
        green.upstreams[1] = upstream(Probe::Unknown, true);
        let mut hung = upstream(Probe::Up, false);
        hung.suspect = Some("2 streams open, no content for 63 s, though /health says 200".into());
        green.upstreams.push(hung);
        green.drain = Some(Drain {
            state: "draining".into(),
            in_flight: 4,
            left_ms: 11_900,
            ended: 0,
            oldest_ms: None,
        });
        let service = service(vec![environment("blue", 100.0, "active", 0), green.clone()]);
        assert_eq!(
            environment_text(&service, &green, terminal(false, false)),
            "\
▲ green      0 %  v42  previous   4 in flight  1/3 healthy  draining, 12 s left
  http://127.0.0.1:8001  2 in flight  up: 200 in 3 ms
  http://127.0.0.1:8001  2 in flight  ejected after failures: 200 in 3 ms
  http://127.0.0.1:8001  2 in flight  suspect: 2 streams open, no content for 63 s, though /health says 200
  draining: 4 in flight
"
        );
    }

    #[test]
    fn lengths_of_time_change_their_unit() {
        for (seconds, expected) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(ago(seconds), expected);
        }
    }
}
