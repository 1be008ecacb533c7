//! `cyan weights`: shows or sets who gets what share.

use std::collections::BTreeMap;

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use super::status;
use crate::admin::api::{Applied, Preview, Service, SetWeights};
use crate::model::name::Name;
use crate::model::weight::Weight;

/// `cyan weights [SERVICE] [blue=95 green=5 …]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service, unless there is only one, then percent by environment: `blue=95 green=5`.
    /// Without any, the weights are shown. Environments left out keep theirs
    #[arg(value_name = "SERVICE|NAME=PERCENT")]
    words: Vec<String>,
    /// Who shall share the active environment's slot from now on; it must have no traffic
    #[arg(long, value_name = "ENVIRONMENT")]
    candidate: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (service, weights) = read(&args.words)?;
    let service = session.service(service).await?;
    if weights.is_empty() && args.candidate.is_none() {
        return show(session, &service);
    }
    let candidate = args.candidate.as_deref().map(name).transpose()?;
    let change = SetWeights { weights, candidate, generation: None, reason: None };
    set(session, &service, change).await
}

async fn set(session: &Session, service: &Service, change: SetWeights) -> Result<(), Failure> {
    let path = format!("/v1/services/{}/weights", service.name);
    let dry = format!("{path}?dry_run=true");
    let preview: Preview = session.client.change(Method::PUT, &dry, &change, ANSWER_LIMIT).await?;
    let mut changes = before_and_after(service, &preview);
    if let Some(candidate) = &change.candidate {
        changes.push(format!("{}: {candidate} is the candidate", service.name));
    }
    if consent(session, &changes)? == Consent::Withheld {
        return Ok(());
    }
    let reason = session.globals.reason.clone();
    let change = SetWeights { generation: Some(preview.generation), reason, ..change };
    let applied: Applied = session.client.change(Method::PUT, &path, &change, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

/// Lines like `chat: blue 95 % -> 75 %, green 5 % -> 25 %`.
pub fn before_and_after(service: &Service, preview: &Preview) -> Vec<String> {
    let one = |c: &crate::admin::api::WeightChange| {
        format!("{} {} % -> {} %", c.environment, c.before, c.after)
    };
    let weights: Vec<_> = preview.weights_percent.iter().map(one).collect();
    let mut lines = Vec::new();
    if !weights.is_empty() {
        lines.push(format!("{}: {}", service.name, weights.join(", ")));
    }
    let active = &preview.active;
    if active.before != active.after {
        let line = format!("{}: active {} -> {}", service.name, active.before, active.after);
        lines.push(line);
    }
    lines.extend(preview.note.iter().map(|note| format!("{}: {note}", service.name)));
    if lines.is_empty() {
        lines.push(format!("{}: weights stay as they are", service.name));
    }
    lines
}

fn show(session: &Session, service: &Service) -> Result<(), Failure> {
    if session.globals.json {
        return session.terminal.json(service);
    }
    session.terminal.print(&status::service_text(service, session.terminal))
}

/// The service, if the first word is one, and the pairs.
fn read(words: &[String]) -> Result<(Option<&str>, BTreeMap<Name, Weight>), Failure> {
    let (service, pairs) = match words {
        [first, rest @ ..] if !first.contains('=') => (Some(first.as_str()), rest),
        pairs => (None, pairs),
    };
    let mut weights = BTreeMap::new();
    for pair in pairs {
        let (environment, percent) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`{pair}` is no weight"))
                .hint("write NAME=PERCENT, e.g. blue=95 green=5")
        })?;
        let environment = name(environment)?;
        let percent = percent.strip_suffix('%').unwrap_or(percent);
        let number: f64 = percent.parse().map_err(|_| {
            Failure::usage(format!("`{percent}` is no number"))
                .hint("write percent from 0 to 100, e.g. green=2.5")
        })?;
        let weight =
            Weight::from_percent(number).map_err(|error| Failure::usage(error.to_string()))?;
        if weights.insert(environment.clone(), weight).is_some() {
            let message = format!("environment `{environment}` is named twice");
            return Err(Failure::usage(message).hint("name each once"));
        }
    }
    Ok((service, weights))
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_word_without_an_equals_sign_is_the_service() {
        for (line, service, count) in [
            ("", None, 0),
            ("chat", Some("chat"), 0),
            ("chat blue=95 green=5%", Some("chat"), 2),
            ("blue=97.5 green=2.5", None, 2),
        ] {
            let words = words(line);
            let (found, weights) = read(&words).unwrap();
            assert_eq!((found, weights.len()), (service, count), "{line}");
        }
    }

    #[test]
    fn what_is_no_weight_is_a_usage_error() {
        for (line, message) in [
            ("chat blue", "`blue` is no weight"),
            ("blue=x", "`x` is no number"),
            ("blue=101", "`101` is not a share of traffic; write percent from 0 to 100"),
            ("blue=1 blue=2", "environment `blue` is named twice"),
        ] {
            assert_eq!(read(&words(line)).unwrap_err().message, message);
        }
    }
}
