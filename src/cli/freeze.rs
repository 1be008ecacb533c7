//! `cyan freeze` and `cyan unfreeze`: no automatic step in a service, for example before Monday. Going
//! back stays automatic, so that a freeze never asks; its end does.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use super::terminal::say;
use crate::admin::api::rollout::SetFreeze;
use crate::admin::api::{Applied, Because, Service};

/// `cyan freeze [SERVICE] --reason TEXT [--until TIME]`
#[derive(Debug, clap::Args)]
pub struct Freeze {
    /// The service, unless there is only one
    service: Option<String>,
    /// Until when: `2026-11-23T08:00:00Z`; until `cyan unfreeze` when left out
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// `cyan unfreeze [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Unfreeze {
    /// The service, unless there is only one
    service: Option<String>,
}

/// Runs `cyan freeze`.
pub async fn run(args: &Freeze, session: &Session) -> Result<(), Failure> {
    let Some(reason) = session.globals.reason.clone() else {
        return Err(Failure::usage("a freeze needs a reason")
            .hint("say why with --reason; it is shown wherever a rollout waits"));
    };
    let service = session.service(args.service.as_deref()).await?;
    if session.globals.dry_run {
        say(&format!("{}: no automatic step any more: {reason}", service.name));
        say("dry run: nothing was changed");
        return Ok(());
    }
    let freeze = SetFreeze { reason, until: args.until.clone() };
    let path = path(&service);
    let applied: Applied = session.client.change(Method::PUT, &path, &freeze, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

/// Runs `cyan unfreeze`.
pub async fn lift(args: &Unfreeze, session: &Session) -> Result<(), Failure> {
    let service = session.service(args.service.as_deref()).await?;
    let why = service.frozen.as_deref().unwrap_or("it is not frozen");
    let change = format!("{}: automatic steps may be taken again ({why})", service.name);
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let because = Because { reason: session.globals.reason.clone() };
    let path = path(&service);
    let applied: Applied =
        session.client.change(Method::DELETE, &path, &because, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

fn path(service: &Service) -> String {
    format!("/v1/services/{}/freeze", service.name)
}
