//! The command line: one verb per file. Verbs that look at or change a running Cyan talk to its admin
//! API and to nothing else.

pub mod admin_address;
pub mod check;
pub mod client;
pub mod confirm;
pub mod drain;
pub mod environment;
pub mod events;
pub mod exit_code;
pub mod failure;
pub mod journal;
pub mod outcome;
pub mod pin;
pub mod reload;
pub mod reset;
pub mod rollback;
pub mod serve;
pub mod session;
pub mod status;
pub mod switch;
pub mod terminal;
pub mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;
use session::{Globals, Session};

/// A reverse proxy that releases new models and prompts by canary, and lets their answers decide.
#[derive(Debug, Parser)]
#[command(name = "cyan", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// Stands below `cyan --help`; `exit_code` is the same list.
const EXIT_CODES: &str = "Exit codes: 0 done · 1 unexpected · 2 usage · 3 config invalid · \
4 admin API not reachable · 5 refused, nothing changed · 6 not permitted · \
12 still running when the time was up · 130 Ctrl-C";

/// What can be done.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the proxy
    Serve(serve::Args),
    /// Check a config file
    Check(check::Args),
    /// Show who gets what, and what is wrong
    Status(status::Args),
    /// Show or set the weights of a service
    Weights(weights::Args),
    /// Give all of the active environment's traffic to another one
    Switch(switch::Args),
    /// Back to the environment that was active before; never asks
    Rollback(rollback::Args),
    /// Wait until an environment without traffic has finished what it is working on
    Drain(drain::Args),
    /// Create, change, show or remove an environment
    #[command(subcommand)]
    Environment(environment::Verb),
    /// Follow what happens
    Events(events::Args),
    /// Show who changed what, when and why
    Journal(journal::Args),
    /// Give a field that the API changed back to the config file
    #[command(subcommand)]
    Config(reset::Verb),
    /// Read the config file anew
    Reload(reload::Args),
    /// Make a signed value with which a request may name its environment
    Pin(pin::Args),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            if let Some(hint) = &failure.hint {
                eprintln!("\nhint: {hint}");
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let globals = cli.globals;
    match cli.verb {
        Verb::Serve(args) => serve::run(&args, &globals),
        Verb::Check(args) => check::run(&args, &globals),
        Verb::Pin(args) => pin::run(&args, &globals),
        Verb::Status(args) => talk(globals, async |session| status::run(&args, session).await),
        Verb::Weights(args) => talk(globals, async |session| weights::run(&args, session).await),
        Verb::Switch(args) => talk(globals, async |session| switch::run(&args, session).await),
        Verb::Rollback(args) => talk(globals, async |session| rollback::run(&args, session).await),
        Verb::Drain(args) => talk(globals, async |session| drain::run(&args, session).await),
        Verb::Environment(verb) => {
            talk(globals, async |session| environment::run(&verb, session).await)
        }
        Verb::Events(args) => talk(globals, async |session| events::run(&args, session).await),
        Verb::Journal(args) => talk(globals, async |session| journal::run(&args, session).await),
        Verb::Config(verb) => talk(globals, async |session| reset::run(&verb, session).await),
        Verb::Reload(args) => talk(globals, async |session| reload::run(&args, session).await),
    }
}

/// Runs a verb that talks to the admin API, until it is done or Ctrl-C ends the watching.
fn talk(
    globals: Globals,
    verb: impl AsyncFnOnce(&Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Failure::unexpected(format!("cannot start an event loop: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            done = verb(&session) => done,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        }
    })
}
