//! `cyan config reset`: gives a field that the API changed back to the config file.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::confirm::{Consent, consent};
use super::failure::Failure;
use super::outcome;
use super::session::Session;
use crate::admin::api::{Applied, ResetField};

/// `cyan config …`
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Let the file decide a field again
    #[command(override_usage = "cyan config reset [OPTIONS] --field <FIELD> [SERVICE] ENVIRONMENT")]
    Reset {
        /// The service, unless there is only one, and the environment
        #[arg(num_args = 1..=2, required = true, value_names = ["SERVICE", "ENVIRONMENT"])]
        words: Vec<String>,
        /// Which field
        #[arg(long, value_parser = ["upstreams", "version", "model"])]
        field: String,
    },
}

/// Runs the verb.
pub async fn run(verb: &Verb, session: &Session) -> Result<(), Failure> {
    let Verb::Reset { words, field } = verb;
    let (service, environment) = session.environment(words).await?;
    let change = format!("{}: {field} of {environment} -> as in the file", service.name);
    if consent(session, &[change])? == Consent::Withheld {
        return Ok(());
    }
    let path = format!("/v1/services/{}/environments/{environment}/reset", service.name);
    let body = ResetField { field: field.clone(), reason: session.globals.reason.clone() };
    let applied: Applied = session.client.change(Method::POST, &path, &body, ANSWER_LIMIT).await?;
    outcome::tell(session, &applied)
}
