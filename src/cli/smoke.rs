//! `cyan smoke`: runs the smoke tests of an environment and shows each check on each upstream.

use std::convert::Infallible;
use std::time::Duration;

use http::Method;

use super::client::ANSWER_LIMIT;
use super::exit_code;
use super::failure::Failure;
use super::session::Session;
use super::terminal::{Ink, Terminal};
use crate::admin::api::{Because, CheckKind, CheckReport, Environment, SmokeReport};
use crate::model::name::Name;

/// How long a run may take; the server ends it before.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at how far it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// `cyan smoke [SERVICE] ENVIRONMENT`
#[derive(Debug, clap::Args)]
#[command(override_usage = "cyan smoke [OPTIONS] [SERVICE] ENVIRONMENT")]
pub struct Args {
    /// The service, unless there is only one, and the environment
    #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
    words: Vec<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (service, environment) = session.environment(&args.words).await?;
    if session.globals.dry_run {
        let text = format!("{}: {environment} would be tested; nothing was sent", service.name);
        return session.terminal.line(&text);
    }
    let path = format!("/v1/services/{}/environments/{environment}/smoke", service.name);
    let limit = RUN_LIMIT + ANSWER_LIMIT;
    let why = Because { reason: session.globals.reason.clone() };
    let ran = session.client.change(Method::POST, &path, &why, limit);
    let report: SmokeReport = tokio::select! {
        report = ran => report?,
        never = watch(session, &service.name, &environment) => match never {},
    };
    if session.globals.json {
        session.terminal.json(&report)?;
    } else {
        session.terminal.print(&table(&report, session.terminal))?;
    }
    if report.results.is_empty() && report.passed {
        session.remark(&format!(
            "hint: write [service.{}.rollout.smoke.NAME]; see docs/reference/smoke-tests.md",
            service.name
        ));
    }
    if report.passed {
        return Ok(());
    }
    let message = format!("{environment} did not pass its smoke tests");
    Err(Failure { exit_code: exit_code::ROLLED_BACK, message, hint: None })
}

/// Shows how many checks have ended, until it is dropped. A look that fails shows nothing: to give up the
/// call that runs them would end them.
async fn watch(session: &Session, service: &Name, environment: &Name) -> Infallible {
    let path = format!("/v1/services/{service}/environments/{environment}");
    let mut line = session.live_line();
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let look = session.client.get::<Environment>(&path).await;
        if let Ok(Environment { smoke: Some(ended), .. }) = look {
            let state = format!("smoke {}/{}", ended.checks, ended.of);
            line.show(&state, &format!("{state}  {environment}"));
        }
    }
}

/// One line per check and upstream, and a sentence below them.
fn table(report: &SmokeReport, terminal: Terminal) -> String {
    let width = |of: fn(&CheckReport) -> usize| report.results.iter().map(of).max().unwrap_or(0);
    let check = width(|result| result.check.as_str().len());
    let upstream = width(|result| result.upstream.len());
    let mut text = String::new();
    for result in &report.results {
        let mark = if result.passed {
            terminal.paint(Ink::Plain, "pass")
        } else {
            terminal.paint(Ink::Red, "FAIL")
        };
        let (name, address) = (&result.check, &result.upstream);
        let kind = kind(result.kind);
        text.push_str(&format!(
            "{mark}  {name:check$}  {kind:7}  {address:upstream$}  {}\n",
            result.saw
        ));
    }
    text + &report.explanation + "\n"
}

fn kind(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Request => "request",
        CheckKind::Probe => "probe",
        CheckKind::Hook => "hook",
    }
}
