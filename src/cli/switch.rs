//! `cyan switch`: gives all of the active environment's traffic to another one.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::{Session, pick};
use super::weights::before_and_after;
use crate::admin::api::{Applied, Preview, Service, Switch};
use crate::model::name::Name;

/// `cyan switch [SERVICE] [ENVIRONMENT]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service, unless there is only one, and the environment, unless it is the active one's
    /// candidate or predecessor
    #[arg(num_args = 0..=2, value_names = ["SERVICE", "ENVIRONMENT"])]
    words: Vec<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let (service, to) = read(&args.words, session.services().await?)?;
    let path = format!("/v1/services/{}/switch", service.name);
    let change = Switch { to, ..Switch::default() };
    let dry = format!("{path}?dry_run=true");
    let preview: Preview = session.client.change(Method::POST, &dry, &change, ANSWER_LIMIT).await?;
    if consent(session, &before_and_after(&service, &preview))? == Consent::Withheld {
        return Ok(());
    }
    // At this generation it goes where the preview went, be it by way of a rollout that takes its time.
    let change = Switch {
        generation: Some(preview.generation),
        reason: session.globals.reason.clone(),
        ..change
    };
    let applied: Applied =
        session.client.change(Method::POST, &path, &change, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

/// One word is a service if there is one of that name, else an environment of the only service.
fn read(words: &[String], services: Vec<Service>) -> Result<(Service, Option<Name>), Failure> {
    let (service, to) = match words {
        [] => (None, None),
        [word] if services.iter().any(|service| service.name == **word) => (Some(word), None),
        [word] => (None, Some(word)),
        [service, to, ..] => (Some(service), Some(to)),
    };
    let to = to.map(|to| Name::new(to).map_err(|error| Failure::usage(error.to_string())));
    Ok((pick(services, service.map(String::as_str))?, to.transpose()?))
}
