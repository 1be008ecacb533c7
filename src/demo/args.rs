//! `cyan demo`: what can be chosen, and how it ends.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use super::ending::Ending;
use super::evaluation;
use super::fault::Fault;
use super::pace::Pace;
use super::stage::{Stage, StageOptions};
use super::story::Story;

/// Exit code of a demo that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Show a release: two emulated LLM servers, Cyan between, traffic, and a rollout of the new version.
///
/// Everything is local and ends by itself. Exit code 0: the new version got all users or, with a fault,
/// was rolled back, no request was lost by it, and each step had its share; 1: something else happened,
/// and is said.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// What goes wrong with the new version while it is released
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// How much faster than usual to tell it, with fewer steps from 2 and from 4 on; the whole takes
    /// about two minutes at 1
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// First port to try for clients
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// First port to try for the admin API
    #[arg(long, default_value_t = 9901)]
    admin_port: u16,
    /// Requests per second
    #[arg(long, default_value_t = 200)]
    rate: u16,
    /// Users among whom requests are drawn
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    users: u32,
    /// Keep everything running after the story, until Ctrl-C; on a terminal it asks
    #[arg(long)]
    stay: bool,
    /// Ask the candidate as the demo's quality gate does
    #[arg(long, hide = true)]
    evaluate: bool,
}

/// Tells the story. Returns when it is told, or when Ctrl-C ends it.
pub fn run(args: &DemoArgs) -> ExitCode {
    let good = if args.evaluate { evaluation::run().map(|()| Some(true)) } else { play(args) };
    match good {
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; `None` when the story was broken off.
fn play(args: &DemoArgs) -> Result<Option<bool>, String> {
    let rate = f64::from(args.rate.max(1));
    let pace = Pace::new(args.speed, rate);
    let evaluator = std::env::current_exe();
    let evaluator = evaluator.map_err(|error| format!("cannot find this program: {error}"))?;
    let options = StageOptions {
        port: args.port,
        admin_port: args.admin_port,
        users: args.users,
        rate,
        evaluator: Some(evaluator),
    };
    // The runtime lives longer than the stage: parts of it must not be dropped inside.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start an event loop: {error}"))?;
    let stage = Stage::open(&options, &pace)?;
    let mut story = Story::new(&stage, &pace, args.fault, say);
    let told = runtime.block_on(async {
        tokio::select! {
            told = story.tell() => told.map(Some),
            _ = tokio::signal::ctrl_c() => Ok(None),
        }
    })?;
    let Some(end) = told else { return Ok(None) };
    let steps = story.into_steps();
    if args.stay || asks_to_stay() {
        say("Everything stays as it is, with traffic, until Ctrl-C.");
        // Without signals there is nothing to wait for, and the demo ends as it would have anyway.
        let _ = runtime.block_on(tokio::signal::ctrl_c());
    }
    let ending = Ending::of(args.fault, end, &stage.close(), &steps);
    say(&ending.text);
    Ok(Some(ending.is_good))
}

/// Whether somebody at a terminal wants to look around. Nobody is asked elsewhere.
fn asks_to_stay() -> bool {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return false;
    }
    print!("Keep it running, to look around? [y/N] ");
    let mut answer = String::new();
    // Who cannot be asked does not want to stay.
    let asked = io::stdout().flush().and_then(|()| io::stdin().read_line(&mut answer));
    asked.is_ok() && answer.trim_start().starts_with(['y', 'Y'])
}

/// A line on standard output. A reader that has left misses the rest, and the demo goes on.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.1..=50.0).contains(&speed) => Ok(speed),
        _ => Err(format!("`{text}` is no speed; write a number from 0.1 to 50")),
    }
}
