//! `cyan deploy`: puts a new version on an environment that has no traffic, and waits until it is ready.
//! No user notices; to let them meet it is what `cyan rollout start` is for.

use std::time::Duration;

use tokio::time::Instant;

use super::environment::{self, Wanted};
use super::exit_code;
use super::failure::Failure;
use super::lookout::Lookout;
use super::outcome;
use super::session::Session;
use crate::admin::api::Ready;
use crate::config::duration;

/// Between two questions. A server that loads a model has other things to do.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take where nobody says: as long as a rollout would wait.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// `cyan deploy [SERVICE] ENVIRONMENT --upstream URL --version TEXT`
#[derive(Debug, clap::Args)]
#[command(override_usage = "cyan deploy [OPTIONS] [SERVICE] ENVIRONMENT")]
pub struct Args {
    #[command(flatten)]
    wanted: Wanted,
    /// Wait until every upstream answers
    #[arg(long)]
    wait: bool,
    /// How long to wait at most; 10m when left out
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "wait")]
    within: Option<Duration>,
}

/// Runs the verb.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if !put(args, session).await? {
        return Ok(());
    }
    let (service, environment) = session.environment(&args.wanted.words).await?;
    let path = format!("/v1/services/{}/environments/{environment}/ready", service.name);
    let began = Instant::now();
    // As they were written: without a service where there is only one.
    let words = args.wanted.words.join(" ");
    let ready = wait(session, &words, &path, args.within.unwrap_or(WITHIN)).await?;
    if session.globals.json {
        return session.terminal.json(&ready);
    }
    session.terminal.line(&sentence(&words, &ready, began.elapsed()))
}

/// Puts what is wanted; whether it is to be waited for.
async fn put(args: &Args, session: &Session) -> Result<bool, Failure> {
    if args.wanted.is_empty() {
        let nothing = Failure::usage("nothing to deploy")
            .hint("name --upstream, --version or --model; or --wait for what is there");
        return if args.wait { Ok(true) } else { Err(nothing) };
    }
    let Some(applied) = environment::put(session, &args.wanted, true).await? else {
        return Ok(false);
    };
    if !args.wait {
        outcome::tell(session, &applied)?;
        return Ok(false);
    }
    for warning in &applied.warnings {
        session.remark(&format!("note: {warning}"));
    }
    Ok(true)
}

/// Asks until it is ready, or the time is up.
async fn wait(
    session: &Session,
    words: &str,
    path: &str,
    within: Duration,
) -> Result<Ready, Failure> {
    let began = Instant::now();
    let mut line = session.live_line();
    let mut lookout = Lookout::within(within);
    let mut asked = 0;
    loop {
        let remark = |text: &str| line.remark(text);
        let Some(ready) = lookout.look::<Ready>(&session.client, path, remark).await? else {
            tokio::time::sleep(ASK_INTERVAL).await;
            continue;
        };
        asked += 1;
        let Some(problem) = &ready.problem else { return Ok(ready) };
        let passed = began.elapsed();
        let left = within.saturating_sub(passed);
        if left.is_zero() {
            drop(line);
            return Err(late(words, &ready, within, asked));
        }
        let seconds = passed.as_secs();
        let state = format!("{} is not ready: {problem}", ready.environment);
        line.show(&state, &format!("{state} ({seconds} s of {})", duration::spoken(within)));
        tokio::time::sleep(ASK_INTERVAL.min(left)).await;
    }
}

fn late(words: &str, ready: &Ready, within: Duration, asked: u32) -> Failure {
    let name = &ready.environment;
    let problem = ready.problem.as_deref().unwrap_or_default();
    let within = duration::spoken(within);
    let times = if asked == 1 { "asked once" } else { &format!("asked {asked} times") };
    Failure {
        exit_code: exit_code::STILL_RUNNING,
        message: format!("{name} is not ready after {within}: {problem}; {times}"),
        hint: Some(format!(
            "it has the new version and no traffic; wait on: cyan deploy {words} --wait"
        )),
    }
}

/// `green (v42) is ready: 2 upstreams answered, after 4 s; next: cyan rollout start green`
fn sentence(words: &str, ready: &Ready, took: Duration) -> String {
    let name = &ready.environment;
    let version =
        ready.version.as_ref().map_or_else(String::new, |version| format!(" ({version})"));
    let upstreams = match ready.upstreams {
        1 => "its upstream answers".to_owned(),
        many => format!("its {many} upstreams answer"),
    };
    format!(
        "{name}{version} is ready: {upstreams}, after {} s; next: cyan rollout start {words}",
        took.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    #[test]
    fn what_comes_next_can_be_called_as_it_is_printed() {
        let ready = Ready {
            environment: Name::new("green").unwrap(),
            version: Some("v42".to_owned()),
            upstreams: 2,
            ready: true,
            problem: None,
        };
        for words in ["green", "chat green"] {
            assert_eq!(
                sentence(words, &ready, Duration::from_secs(4)),
                format!(
                    "green (v42) is ready: its 2 upstreams answer, after 4 s; next: cyan rollout start {words}"
                )
            );
            let late = late(words, &ready, Duration::from_secs(60), 3);
            assert!(late.hint.unwrap().ends_with(&format!("on: cyan deploy {words} --wait")));
        }
    }
}
