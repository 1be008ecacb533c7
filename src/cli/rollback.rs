//! `cyan rollback`: back to the environment that was active before. Never asks, never waits for a look
//! at the state first: one word, one call.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use super::terminal::say;
use super::weights::before_and_after;
use crate::admin::api::{Applied, Preview, RollBack};

/// `cyan rollback [SERVICE]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service, unless there is only one
    service: Option<String>,
    /// All users at once, also where the plan of a rollout has them return in stages
    #[arg(long)]
    instant: bool,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let reason = session.globals.reason.clone();
    let body = RollBack { instant: args.instant, reason };
    if session.globals.dry_run {
        let service = session.service(args.service.as_deref()).await?;
        let path = format!("/v1/services/{}/rollback?dry_run=true", service.name);
        let preview: Preview =
            session.client.change(Method::POST, &path, &body, ANSWER_LIMIT).await?;
        for line in before_and_after(&service, &preview) {
            say(&line);
        }
        say("dry run: nothing was changed");
        return Ok(());
    }
    let service = match &args.service {
        Some(name) => name.clone(),
        None => session.service(None).await?.name.to_string(),
    };
    let path = format!("/v1/services/{service}/rollback");
    let applied: Applied = session.client.change(Method::POST, &path, &body, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}
