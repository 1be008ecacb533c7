//! `cyan rollout`: starts a release, follows it, and takes part in it.

mod follow;

use std::fmt::Write as _;
use std::time::Duration;

use http::Method;
use serde::Serialize;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::past_rollouts;
use super::plan_flags::{InWords, PlanFlags};
use super::session::Session;
use super::terminal::say;
use super::weights::before_and_after;
use crate::admin::api::rollout::{ActOnRollout, Rollout, StartRollout};
use crate::admin::api::{Applied, Preview, Service};
use crate::config::duration;
use crate::model::name::Name;
use follow::follow;

/// What can be done with a rollout.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Release an environment: by steps, watched, and back by itself if it is worse
    Start(Box<Start>),
    /// Show how it goes
    Status(Status),
    /// Show earlier ones, and what became of them
    List(past_rollouts::Args),
    /// Take no automatic step any more; it is watched all the same
    Pause(OfService),
    /// Take automatic steps again, and let go what is held
    Resume(OfService),
    /// Keep it held; its alert rests for 30 minutes
    Mute(OfService),
    /// Take the next step now
    Promote(Promote),
    /// Everything back; never asks
    Rollback(super::rollback::Args),
    /// After the switch: the environment before need not stay ready any longer
    Release(OfService),
}

/// `cyan rollout start [SERVICE] ENVIRONMENT`
#[derive(Debug, clap::Args)]
#[command(override_usage = "cyan rollout start [OPTIONS] [SERVICE] ENVIRONMENT")]
pub struct Start {
    /// The service, unless there is only one, and the environment
    #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
    words: Vec<String>,
    /// The plan, from the config
    #[arg(long, value_name = "NAME", default_value = "default")]
    plan: String,
    /// Other steps than the plan's: `--steps 5%,"25% 10m",100%`
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    steps: Vec<String>,
    #[command(flatten)]
    rules: PlanFlags,
    /// Start although the active environment breaks a limit, which is not armed then
    #[arg(long)]
    without_broken_limits: bool,
    /// Start although this version was rolled back lately or too often
    #[arg(long)]
    again: bool,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    /// How long to follow it at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "wait")]
    timeout: Option<Duration>,
}

/// `cyan rollout status [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Status {
    /// The service, unless there is only one
    service: Option<String>,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    /// How long to follow it at most
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "wait")]
    timeout: Option<Duration>,
}

/// `cyan rollout promote [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Promote {
    /// The service, unless there is only one
    service: Option<String>,
    /// All steps at once: the switch
    #[arg(long)]
    full: bool,
}

/// `cyan rollout pause [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct OfService {
    /// The service, unless there is only one
    service: Option<String>,
}

/// Runs the verb.
pub async fn run(verb: &Verb, session: &Session) -> Result<(), Failure> {
    match verb {
        Verb::Start(args) => start(args, session).await,
        Verb::Status(args) => status(args, session).await,
        Verb::List(args) => past_rollouts::run(args, session).await,
        Verb::Pause(args) => act(args, session, "pause").await,
        Verb::Resume(args) => act(args, session, "resume").await,
        Verb::Mute(args) => act(args, session, "mute").await,
        Verb::Promote(args) => promote(args, session).await,
        // One way back, by whatever name it is called.
        Verb::Rollback(args) => super::rollback::run(args, session).await,
        Verb::Release(args) => release(args, session).await,
    }
}

async fn start(args: &Start, session: &Session) -> Result<(), Failure> {
    let (service, candidate) = session.environment(&args.words).await?;
    let steps = if args.steps.is_empty() {
        format!("by plan {}", args.plan)
    } else {
        format!("by {}", args.steps.join(", "))
    };
    let overrides = args.rules.overrides();
    let with = if overrides.is_empty() {
        String::new()
    } else {
        format!(", with {}", InWords(&overrides))
    };
    let change = format!("{}: {candidate} is released {steps}{with}", service.name);
    let start = StartRollout {
        candidate: Some(candidate),
        plan: Some(args.plan.clone()),
        steps: args.steps.clone(),
        overrides,
        without_broken_limits: args.without_broken_limits,
        again: args.again,
        generation: Some(service.generation),
        reason: session.globals.reason.clone(),
    };
    let path = path(&service.name);
    if session.globals.dry_run {
        eprintln!("{change}");
        return preview(session, &service, &path, &start).await;
    }
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let applied: Applied = session.client.change(Method::POST, &path, &start, ANSWER_LIMIT).await?;
    if !args.wait {
        return outcome::tell(session, &applied);
    }
    for warning in &applied.warnings {
        session.remark(&format!("note: {warning}"));
    }
    follow(session, &service.name, args.timeout).await
}

async fn status(args: &Status, session: &Session) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    if args.wait {
        return follow(session, &service.name, args.timeout).await;
    }
    let rollout: Rollout = session.client.get(&path(&service.name)).await?;
    tell(session, &rollout)
}

async fn promote(args: &Promote, session: &Session) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    if session.globals.dry_run {
        let act = ActOnRollout { full: args.full, ..ActOnRollout::default() };
        return preview_of(session, &service, "promote", act).await;
    }
    let rollout: Rollout = session.client.get(&path(&service.name)).await?;
    let to = match rollout.next_percent {
        Some(next) if !args.full => format!("{next} %"),
        _ => "100 %".to_owned(),
    };
    let change = format!(
        "{}: {} goes from {} % to {to} now, whatever it waits for",
        service.name, rollout.candidate, rollout.share_percent
    );
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let is_step = !args.full && rollout.stage == "ramp";
    let act = ActOnRollout {
        full: args.full,
        // What was agreed to, and not the step after one that was taken meanwhile.
        to_percent: rollout.next_percent.filter(|_| is_step),
        generation: (!is_step).then_some(rollout.generation),
        ..ActOnRollout::default()
    };
    ask(session, &service.name, "promote", act).await
}

/// The environment before is given up, which nothing undoes.
async fn release(args: &OfService, session: &Session) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    if session.globals.dry_run {
        return preview_of(session, &service, "release", ActOnRollout::default()).await;
    }
    let change = format!(
        "{}: the environment before is drained; a rollback is possible no more",
        service.name
    );
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    ask(session, &service.name, "release", ActOnRollout::default()).await
}

async fn act(args: &OfService, session: &Session, action: &str) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    if session.globals.dry_run {
        return preview_of(session, &service, action, ActOnRollout::default()).await;
    }
    ask(session, &service.name, action, ActOnRollout::default()).await
}

async fn ask(
    session: &Session,
    service: &Name,
    action: &str,
    act: ActOnRollout,
) -> Result<(), Failure> {
    let act = with_reason(session, act);
    let path = format!("{}/{action}", path(service));
    let applied: Applied = session.client.change(Method::POST, &path, &act, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

/// What it would do, worked out by the server as it would do it; what would be refused is.
async fn preview(
    session: &Session,
    service: &Service,
    path: &str,
    body: &impl Serialize,
) -> Result<(), Failure> {
    let path = format!("{path}?dry_run=true");
    let preview: Preview = session.client.change(Method::POST, &path, body, ANSWER_LIMIT).await?;
    for line in before_and_after(service, &preview) {
        say(&line);
    }
    say("dry run: nothing was changed");
    Ok(())
}

/// The same of something that is asked of the rollout.
async fn preview_of(
    session: &Session,
    service: &Service,
    action: &str,
    act: ActOnRollout,
) -> Result<(), Failure> {
    let act = with_reason(session, act);
    preview(session, service, &format!("{}/{action}", path(&service.name)), &act).await
}

fn with_reason(session: &Session, mut act: ActOnRollout) -> ActOnRollout {
    act.reason.clone_from(&session.globals.reason);
    act
}

fn path(service: &Name) -> String {
    format!("/v1/services/{service}/rollout")
}

fn tell(session: &Session, rollout: &Rollout) -> Result<(), Failure> {
    if session.globals.json {
        return session.terminal.json(rollout);
    }
    session.terminal.print(&text(rollout))
}

/// A rollout, one fact a line.
fn text(rollout: &Rollout) -> String {
    let version = rollout.version.as_ref().map_or_else(String::new, |v| format!(" ({v})"));
    // What is over says so in a whole sentence.
    let is_over = matches!(rollout.stage.as_str(), "done" | "rolled_back");
    let who = if is_over { String::new() } else { format!("{}{version} ", rollout.candidate) };
    let mut text = format!("{}  rollout {}: {who}{}\n", rollout.service, rollout.id, rollout.place);
    let mut line = |label: &str, what: &str| {
        let _ = writeln!(text, "  {label:10}{what}");
    };
    line("steps", &rollout.steps.join(", "));
    if let Some(next) = rollout.next_percent {
        line("next", &format!("{next} %"));
    }
    for waits_for in &rollout.waits_for {
        line("waits for", waits_for);
    }
    if let Some(judge) = &rollout.judge {
        line("why", &judge.text);
    }
    if let Some(cause) = &rollout.cause {
        line("cause", &cause.text);
    }
    if let Some(rollback) = &rollout.rollback {
        line("took", &rollback.text);
    }
    for unarmed in &rollout.unarmed {
        line("unarmed", unarmed);
    }
    text
}
