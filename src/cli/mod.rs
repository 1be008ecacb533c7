//! The command line: one verb per file. Verbs that look at or change a running Cyan talk to its admin
//! API and to nothing else.

pub mod admin_address;
mod announced;
pub mod check;
mod check_diff;
pub mod client;
pub mod compare;
pub mod completions;
pub mod confirm;
pub mod deploy;
pub mod drain;
pub mod environment;
pub mod evaluate;
mod event_reader;
pub mod events;
mod exchange;
pub mod exit_code;
pub mod failure;
pub mod freeze;
pub mod healthcheck;
pub mod init;
pub mod journal;
mod live_line;
mod local_time;
pub mod log_level;
mod lookout;
pub mod man;
pub mod outcome;
pub mod past_rollouts;
pub mod pin;
mod plan_flags;
#[cfg(test)]
mod reference;
pub mod reload;
pub mod replay;
pub mod requests;
pub mod reset;
pub mod rollback;
pub mod rollout;
pub mod score;
pub mod serve;
pub mod session;
pub mod smoke;
pub mod state;
pub mod stats;
pub mod status;
pub mod switch;
pub mod terminal;
pub mod top;
pub mod weights;
mod whereabouts;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::demo::mock_llm::{self, MockLlmArgs};
use crate::demo::{self, DemoArgs};
use failure::Failure;
use session::{Globals, Session};
use terminal::{Terminal, say};

/// A reverse proxy that releases new models and prompts by canary, and lets their answers decide.
#[derive(Debug, Parser)]
#[command(name = "cyan", version, after_help = exit_code::summary())]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the proxy
    Serve(serve::Args),
    /// Say whether a config file can be used
    Check(check::Args),
    /// Write a config file for two upstreams, after asking them what they are
    Init(init::Args),
    #[command(flatten)]
    Ask(Ask),
    /// Exit with 0 when the Cyan here is ready and with 1 when not, for containers
    Healthcheck(healthcheck::Args),
    /// Make a signed value with which a request may name its environment
    Pin(pin::Args),
    /// Judge a recorded rollout again
    Replay(replay::Args),
    /// Put the state file in order while no Cyan runs on it
    #[command(subcommand)]
    State(state::Verb),
    /// Emulate an LLM server
    MockLlm(Box<MockLlmArgs>),
    /// Show a release from beginning to end
    Demo(DemoArgs),
    /// Print what a shell needs to complete verbs, flags and values
    Completions(completions::Args),
    /// Print the manual page, or write one for each verb
    Man(man::Args),
}

/// What a running Cyan can be asked.
#[derive(Debug, Subcommand)]
enum Ask {
    /// Show who gets what, and what is wrong
    Status(status::Args),
    /// Show how the environments did lately, side by side
    Stats(stats::Args),
    /// Show two environments side by side, and whether the switch is safe; exit code 10 when it is not, 11
    /// when nobody can tell yet
    Compare(compare::Args),
    /// Show or set the weights of a service
    Weights(weights::Args),
    /// Give all of the active environment's traffic to another one
    Switch(switch::Args),
    /// Back to the environment that was active before; never asks
    Rollback(rollback::Args),
    /// Release an environment by steps, watched, and back by itself if it is worse
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// No automatic step in a service for a while; going back stays automatic
    Freeze(freeze::Freeze),
    /// Automatic steps again
    Unfreeze(freeze::Unfreeze),
    /// Wait until an environment without traffic has finished what it is working on
    Drain(drain::Args),
    /// Run the smoke tests of an environment, now, against each of its upstreams
    Smoke(smoke::Args),
    /// Put a new version on an environment without traffic; exit code 12 when it is not ready in time
    Deploy(deploy::Args),
    /// Create, change, show or remove an environment
    #[command(subcommand)]
    Environment(environment::Verb),
    /// Run the quality gate of an environment now; exit code 10 when it is not good enough
    Evaluate(evaluate::Args),
    /// Send a quality score, or the result of an evaluation
    Score(Box<score::Args>),
    /// Follow what happens
    Events(events::Args),
    /// Watch a release in the terminal
    Top(top::Args),
    /// Show who changed what, when and why
    Journal(journal::Args),
    /// Give a field that the API changed back to the config file
    #[command(subcommand)]
    Config(reset::Verb),
    /// Read the config file anew
    Reload(reload::Args),
    /// Show or set what the log of the running Cyan holds
    LogLevel(log_level::Args),
}

/// The whole tree of verbs and flags, for what is generated from it.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(exit_code) => exit_code,
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            if let Some(hint) = &failure.hint {
                say(&format!("\nhint: {hint}"));
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let globals = cli.globals;
    match cli.verb {
        Verb::Serve(args) => serve::run(&args, &globals),
        Verb::Check(args) => check::run(&args, &globals),
        Verb::Init(args) => done(init::run(&args, &globals)),
        Verb::Ask(verb) => {
            let session = Session::open(globals)?;
            wait(verb.run(&session))
        }
        Verb::Healthcheck(args) => healthcheck::run(&args, &globals),
        Verb::Pin(args) => done(pin::run(&args, &globals)),
        Verb::Replay(args) => replay::run(&args, &globals),
        Verb::State(verb) => done(state::run(&verb, &globals)),
        Verb::MockLlm(args) => Ok(mock_llm::run(*args)),
        Verb::Demo(args) => Ok(demo::run(&args)),
        Verb::Completions(args) => done(completions::run(&args, Terminal::detect(globals.ascii))),
        Verb::Man(args) => done(man::run(&args, Terminal::detect(globals.ascii))),
    }
}

fn done(result: Result<(), Failure>) -> Result<ExitCode, Failure> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Waits for an answer of a running Cyan, or until Ctrl-C ends the waiting.
fn wait<T>(answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::unexpected(format!("cannot start an event loop: {error}")))?;
    let answered = runtime.block_on(async {
        tokio::select! {
            answered = answer => answered,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        }
    });
    // A name server or a keyboard that says nothing is not waited for.
    runtime.shutdown_background();
    answered
}

impl Ask {
    async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let answered = match self {
            Self::Compare(args) => return compare::run(&args, session).await,
            Self::Top(args) => return top::run(&args, session).await,
            Self::Status(args) => status::run(&args, session).await,
            Self::Stats(args) => stats::run(&args, session).await,
            Self::Weights(args) => weights::run(&args, session).await,
            Self::Switch(args) => switch::run(&args, session).await,
            Self::Rollback(args) => rollback::run(&args, session).await,
            Self::Rollout(verb) => rollout::run(&verb, session).await,
            Self::Freeze(args) => freeze::run(&args, session).await,
            Self::Unfreeze(args) => freeze::lift(&args, session).await,
            Self::Drain(args) => drain::run(&args, session).await,
            Self::Smoke(args) => smoke::run(&args, session).await,
            Self::Deploy(args) => deploy::run(&args, session).await,
            Self::Environment(verb) => environment::run(&verb, session).await,
            Self::Evaluate(args) => evaluate::run(&args, session).await,
            Self::Score(args) => score::run(&args, session).await,
            Self::Events(args) => events::run(&args, session).await,
            Self::Journal(args) => journal::run(&args, session).await,
            Self::Config(verb) => reset::run(&verb, session).await,
            Self::Reload(args) => reload::run(&args, session).await,
            Self::LogLevel(args) => log_level::run(&args, session).await,
        };
        done(answered)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_waits_for_what_was_given_up() {
        let (answer, silent) = std::sync::mpsc::channel::<()>();
        let given_up = super::wait(async {
            tokio::task::spawn_blocking(move || silent.recv());
            Ok("timed out")
        });
        assert_eq!(given_up, Ok("timed out"));
        drop(answer); // a runtime that waits for its threads would not have come here
    }

    #[test]
    fn where_an_environment_must_be_named_the_service_need_not() {
        fn check(command: &mut clap::Command) {
            let words = command.get_arguments().find(|arg| arg.get_id() == "words");
            if words.is_some_and(clap::Arg::is_required_set) {
                let usage = command.render_usage().to_string();
                let name = command.get_bin_name().unwrap_or_default().to_owned();
                let begins = format!("Usage: {name} [OPTIONS] ");
                assert!(usage.starts_with(&begins), "{usage}");
                assert!(usage.ends_with(" [SERVICE] ENVIRONMENT"), "{usage}");
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut command = super::command();
        command.build();
        check(&mut command);
    }

    #[test]
    fn no_two_flags_of_a_verb_are_alike() {
        super::command().debug_assert();
    }
}
