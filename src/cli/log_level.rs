//! `cyan log-level`: what the log of the running Cyan holds. It changes nothing for anybody's users, so it
//! does not ask.

use http::Method;

use super::client::ANSWER_LIMIT;
use super::failure::Failure;
use super::session::Session;
use crate::admin::api::log_level::{LogLevel, SetLogLevel};

const PATH: &str = "/v1/log-level";

/// `cyan log-level [LEVEL]`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, each also for a part of the program:
    /// `info,cyan::control_plane=debug`; only shown when left out
    level: Option<String>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let before: LogLevel = session.client.get(PATH).await?;
    let (now, sentence) = match &args.level {
        None => (before.clone(), before.level),
        Some(level) if session.globals.dry_run => {
            (before.clone(), format!("{} -> {level}\ndry run: nothing was changed", before.level))
        }
        Some(level) => {
            let reason = session.globals.reason.clone();
            let body = SetLogLevel { level: level.clone(), reason };
            let now: LogLevel =
                session.client.change(Method::PUT, PATH, &body, ANSWER_LIMIT).await?;
            let sentence = format!("{} -> {}", before.level, now.level);
            (now, sentence)
        }
    };
    if session.globals.json {
        return session.terminal.json(&now);
    }
    session.terminal.line(&sentence)
}
