//! What a rollout does to users, from a healthy release to a total failure: how many requests a bad
//! release gets before all cores have left it, and that a good one comes through.
//!
//! Started by `benches/rollouts/run`. Each row plays on stages of its own: the real program, two emulated
//! LLM servers, users at a steady rate, a short plan, and a fault that begins at a known time. Several
//! stages play at once, since each is nearly idle. `benches/README.md` says what each figure is.

mod admin;
mod cost;
#[path = "../shared/machine.rs"]
mod machine;
mod play;
#[path = "../shared/process.rs"]
mod process;
mod report;
mod scenario;
mod stage;
#[path = "../shared/verdict.rs"]
mod verdict;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};

use clap::Parser;

use machine::Machine;
use play::Outcome;
use report::Row;
use scenario::Scenario;

#[derive(Debug, Parser)]
#[command(name = "benches/rollouts/run", about = "What a rollout does to users")]
struct Arguments {
    /// Only these rows; `--list` names them all
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    only: Vec<String>,
    /// Runs of each row, instead of its own number
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// Stages that play at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    at_once: u8,
    /// What users and answers are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Names the rows and ends
    #[arg(long)]
    list: bool,
    /// Another build of Cyan than the one of this checkout
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_cyan"), hide_default_value = true)]
    cyan_binary: PathBuf,
    /// Name of the result files
    #[arg(long, hide = true, default_value = "unlabelled")]
    label: String,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test --all-targets` comes here too, and must not take half an hour.
        eprintln!("nothing measured; start it with benches/rollouts/run");
        return ExitCode::SUCCESS;
    }
    verdict::exit_code(run(&arguments))
}

/// Whether every promise held.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let scenarios = scenario::all();
    let known: Vec<_> = scenarios.iter().map(|s| s.name).chain([cost::NAME]).collect();
    if arguments.list {
        known.iter().for_each(|name| println!("{name}"));
        return Ok(true);
    }
    if let Some(unknown) = arguments.only.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no row `{unknown}`; there are {}", known.join(", ")).into());
    }
    let is_chosen =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|n| n == name);
    raise_descriptor_limit()?;
    let mut machine = Machine::describe(&arguments.cyan_binary);
    let mut rows = Vec::new();
    for scenario in scenarios.iter().filter(|scenario| is_chosen(scenario.name)) {
        eprintln!("{}", scenario.name);
        rows.push(row(scenario, arguments));
    }
    if is_chosen(cost::NAME) {
        eprintln!("{}", cost::NAME);
        rows.push(cost::row(&arguments.cyan_binary, arguments.seed));
    }
    machine.ended();
    println!("{}", report::render(&rows, &machine));
    let all_kept = rows.iter().all(|row| row.is_kept);
    let path = report::keep(&arguments.label, &known, rows, &machine)?;
    println!("raw results: {}", path.display());
    Ok(all_kept)
}

/// Plays a row, some stages at a time.
fn row(scenario: &Scenario, arguments: &Arguments) -> Row {
    let runs = arguments.runs.unwrap_or(scenario.runs);
    let seeds = Mutex::new((0..u64::from(runs)).map(|run| arguments.seed + run));
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..u32::from(arguments.at_once).min(runs) {
            let (seeds, tell) = (&seeds, tell.clone());
            let binary: &Path = &arguments.cyan_binary;
            scope.spawn(move || {
                let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(seed) = next() {
                    let played = play::play(scenario, binary, seed);
                    // The receiver outlives the scope.
                    let _ = tell.send(played.map_err(|error| error.to_string()));
                }
            });
        }
    });
    drop(tell);
    let (mut outcomes, mut problems): (Vec<Outcome>, Vec<String>) = (Vec::new(), Vec::new());
    for played in told {
        match played {
            Ok(played) => outcomes.extend(played),
            Err(problem) => problems.push(problem),
        }
    }
    let row = Row::of(scenario, &outcomes, &problems);
    eprintln!("  {}", row.found);
    row
}

/// Thousands of streams have three sockets each; the program under test inherits the limit.
fn raise_descriptor_limit() -> std::io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live struct of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
