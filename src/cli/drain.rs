//! `cyan drain`: waits until an environment without traffic has finished what it is working on, and
//! shows how far it is.

use std::convert::Infallible;
use std::time::Duration;

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::session::Session;
use crate::admin::api::{Drain, Environment, StartDrain};
use crate::config::duration;

/// Between two looks at the count. Redrawn four times a second, a number reads as moving.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// `cyan drain [SERVICE] ENVIRONMENT [--deadline 30s]`
#[derive(Debug, clap::Args)]
#[command(override_usage = "cyan drain [OPTIONS] [SERVICE] ENVIRONMENT")]
pub struct Args {
    /// The service, unless there is only one, and the environment
    #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
    words: Vec<String>,
    /// How long exchanges may take; then they are ended
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    deadline: Duration,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (service, environment) = session.environment(&args.words).await?;
    let path = format!("/v1/services/{}/environments/{environment}", service.name);
    let before: Environment = session.client.get(&path).await?;
    let deadline = duration::print(args.deadline);
    let change = format!(
        "{}: {environment} is drained: {} in flight have {deadline}, then they are ended",
        service.name, before.in_flight
    );
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let start = StartDrain { deadline: Some(deadline), reason: session.globals.reason.clone() };
    let drain = format!("{path}/drain");
    let limit = args.deadline + ANSWER_LIMIT;
    let drained = session.client.change(Method::POST, &drain, &start, limit);
    let after: Environment = tokio::select! {
        after = drained => after?,
        never = watch(session, &path) => match never {},
    };
    tell(session, &after)
}

/// Shows the count until it is dropped: one line redrawn on a terminal, else a line for each change. A look
/// that fails shows nothing: how the drain goes is for the call that asked for it to say.
async fn watch(session: &Session, path: &str) -> Infallible {
    let mut line = session.live_line();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let look = session.client.get::<Environment>(path).await;
        if let Ok(Environment { drain: Some(drain), .. }) = look {
            line.show(&drain.in_flight.to_string(), &drain.progress());
        }
    }
}

fn tell(session: &Session, after: &Environment) -> Result<(), Failure> {
    if session.globals.json {
        return session.terminal.json(after);
    }
    session.terminal.line(&sentence(after))
}

fn sentence(after: &Environment) -> String {
    let name = &after.name;
    match &after.drain {
        Some(Drain { ended: 0, .. }) | None => format!("{name} is drained: nothing is in flight"),
        Some(Drain { ended: 1, .. }) => {
            format!("{name} is drained: the deadline ended the 1 exchange that remained")
        }
        Some(Drain { ended, .. }) => {
            format!("{name} is drained: the deadline ended the {ended} exchanges that remained")
        }
    }
}
