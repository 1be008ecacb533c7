//! `cyan environment`: creates, changes, shows and removes environments at run time.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use super::status;
use crate::admin::api::{Applied, Because, Environment, PutEnvironment, Service};
use crate::model::name::Name;

/// `cyan environment …`
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create an environment, or change its upstreams, version or model
    #[command(override_usage = "cyan environment put [OPTIONS] [SERVICE] ENVIRONMENT")]
    Put(Wanted),
    /// Remove an environment that has no traffic and nothing in flight
    #[command(override_usage = "cyan environment remove [OPTIONS] [SERVICE] ENVIRONMENT")]
    Remove {
        /// The service, unless there is only one, and the environment
        #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
        words: Vec<String>,
    },
    /// Show an environment with its upstreams
    #[command(override_usage = "cyan environment show [OPTIONS] [SERVICE] ENVIRONMENT")]
    Show {
        /// The service, unless there is only one, and the environment
        #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
        words: Vec<String>,
    },
}

/// What an environment shall be.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// The service, unless there is only one, and the environment
    #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
    pub(super) words: Vec<String>,
    /// An upstream: `http://HOST:PORT`, `https://HOST` or `unix:/path`; repeat for several. Left out,
    /// they stay
    #[arg(long = "upstream", value_name = "URL")]
    upstreams: Vec<String>,
    /// A label for model, prompt or build; empty removes it
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    /// What its servers call the model, whatever is asked for; empty passes on what is asked for
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Wanted {
    /// Whether nothing is said but the name.
    pub(super) fn is_empty(&self) -> bool {
        self.upstreams.is_empty() && self.version.is_none() && self.model.is_none()
    }
}

/// Runs the verb.
pub async fn run(verb: &Verb, session: &Session) -> Result<(), Failure> {
    match verb {
        Verb::Put(wanted) => match put(session, wanted, false).await? {
            Some(applied) => outcome::tell(session, &applied),
            None => Ok(()),
        },
        Verb::Remove { words } => remove(session, words).await,
        Verb::Show { words } => show(session, words).await,
    }
}

/// Puts what is wanted, if there is consent; `only_idle` refuses to do so under users.
pub(super) async fn put(
    session: &Session,
    wanted: &Wanted,
    only_idle: bool,
) -> Result<Option<Applied>, Failure> {
    let (service, environment) = session.environment(&wanted.words).await?;
    let before = service.environments.iter().find(|known| known.name == environment);
    let change = PutEnvironment {
        upstreams: (!wanted.upstreams.is_empty()).then(|| wanted.upstreams.clone()),
        version: wanted.version.clone(),
        model: wanted.model.clone(),
        only_idle,
        generation: Some(service.generation),
        reason: session.globals.reason.clone(),
    };
    if consent(session, &changes(&environment, before, &change))? == Consent::Withheld {
        return Ok(None);
    }
    let path = path(&service, &environment);
    session.client.change(Method::PUT, &path, &change, ANSWER_LIMIT).await.map(Some)
}

async fn remove(session: &Session, words: &[String]) -> Result<(), Failure> {
    let (service, environment) = session.environment(words).await?;
    let change = format!("{}: environment {environment} is removed", service.name);
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let body = Because { reason: session.globals.reason.clone() };
    let path = path(&service, &environment);
    let applied: Applied =
        session.client.change(Method::DELETE, &path, &body, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}

async fn show(session: &Session, words: &[String]) -> Result<(), Failure> {
    let (service, environment) = session.environment(words).await?;
    let shown: Environment = session.client.get(&path(&service, &environment)).await?;
    if session.globals.json {
        return session.terminal.json(&shown);
    }
    session.terminal.print(&status::environment_text(&service, &shown, session.terminal))
}

fn path(service: &Service, environment: &Name) -> String {
    format!("/v1/services/{}/environments/{environment}", service.name)
}

/// Before -> after, a line per field.
fn changes(name: &Name, before: Option<&Environment>, change: &PutEnvironment) -> Vec<String> {
    let mut lines = Vec::new();
    if before.is_none() {
        lines.push(format!("{name}: new environment, 0 % of the traffic"));
    }
    if let Some(after) = &change.upstreams {
        let addresses = |e: &Environment| {
            e.upstreams.iter().map(|u| u.address.as_str()).collect::<Vec<_>>().join(", ")
        };
        let before = before.map(addresses).filter(|text| !text.is_empty());
        let before = before.unwrap_or_else(|| "none".to_owned());
        lines.push(format!("{name}: upstreams {before} -> {}", after.join(", ")));
    }
    if let Some(after) = &change.version {
        let before = before.and_then(|environment| environment.version.as_deref());
        let after = if after.is_empty() { "none" } else { after };
        lines.push(format!("{name}: version {} -> {after}", before.unwrap_or("none")));
    }
    if let Some(after) = &change.model {
        let before = before.and_then(|environment| environment.model.as_deref());
        let after = if after.is_empty() { "as asked for" } else { after };
        lines.push(format!("{name}: model {} -> {after}", before.unwrap_or("as asked for")));
    }
    lines
}
