//! `cyan healthcheck`: whether the Cyan here is well, by exit code 0 or 1 and in a few seconds, for
//! `HEALTHCHECK` of a container image that has no shell.
//!
//! Container engines know these two codes only, so nothing else is ever returned. The answer comes from
//! `/readyz` or `/livez`, which ask for no token. A config file that was spoilt since says nothing against the
//! Cyan that runs: a restart would make an outage of it.

use std::process::ExitCode;
use std::time::Duration;

use super::client::Client;
use super::exit_code;
use super::failure::Failure;
use super::session::{Globals, actor};
use super::terminal::Terminal;
use super::{wait, whereabouts};
use crate::config::duration;

/// `cyan healthcheck`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only whether the process answers, not whether traffic should come
    #[arg(long)]
    live: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration::parse)]
    timeout: Duration,
}

impl Args {
    fn path(&self) -> &'static str {
        if self.live { "/livez" } else { "/readyz" }
    }
}

/// Asks, and says in one line what was answered.
pub fn run(args: &Args, globals: &Globals) -> Result<ExitCode, Failure> {
    let (terminal, json) = (Terminal::detect(globals.ascii), globals.json);
    let answer = whereabouts::of_health(globals).and_then(|address| {
        let client = Client { address, token: None, actor: actor() };
        wait(async { client.words(args.path(), args.timeout).await })
    });
    let (is_well, said) = answer.unwrap_or_else(|failure| (false, failure.message));
    if json {
        terminal.json(&serde_json::json!({ "schema": 1, "healthy": is_well, "said": said }))?;
    } else {
        terminal.line(&said)?;
    }
    Ok(ExitCode::from(if is_well { exit_code::DONE } else { exit_code::UNEXPECTED }))
}
