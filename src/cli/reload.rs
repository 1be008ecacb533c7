//! `cyan reload`: has the running Cyan read its config file anew. All or nothing.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use crate::admin::api::{Applied, Because};

/// `cyan reload`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the verb.
pub async fn run(_: &Args, session: &Session) -> Result<(), Failure> {
    let change = "the config file is read anew; live weights and roles stay".to_owned();
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let body = Because { reason: session.globals.reason.clone() };
    let applied: Applied =
        session.client.change(Method::POST, "/v1/reload", &body, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}
