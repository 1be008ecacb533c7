//! The published cost of a switch: weights and switches through the admin API while requests and
//! streams go through the real program.
//!
//! Started by `benches/switch/run`. First the idle proxy is changed, and clients leave it in four ways;
//! then the load begins and the changes are made. What must never happen (a failed request, a cut
//! stream, a request that reaches an environment at weight 0 after the call returned) is counted and
//! fails the run. Times are stated beside a timer probe on the same cores, since they contain what the
//! machine makes everybody wait.

mod admin;
mod arrival;
mod clock;
mod driver;
mod figures;
mod http;
mod leave;
mod load;
#[path = "../shared/machine.rs"]
mod machine;
mod probe;
#[path = "../shared/process.rs"]
mod process;
mod report;
mod upstream;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use admin::Admin;
use clock::Drift;
use driver::Plan;
use figures::Figures;
use leave::Manner;
use load::Tally;
use machine::Machine;
use probe::Probe;
use process::Cyan;
use upstream::Environments;

/// Changes of the idle proxy.
const IDLE_CHANGES: u32 = 200;
/// Between them, so that every core sleeps when the next one comes.
const IDLE_PAUSE: Duration = Duration::from_millis(5);
/// Until every stream is open.
const WARM_UP: Duration = Duration::from_secs(3);
/// Beyond the seconds asked for: streams come to their end, slow calls are made good.
const OVERTIME_MAX: Duration = Duration::from_secs(120);
/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Parser)]
#[command(name = "benches/switch/run", about = "The published cost of a switch")]
struct Arguments {
    /// Length of the time under load
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=300))]
    seconds: u32,
    /// Changes of weights in it
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    changes: u32,
    /// Switches in it
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    switches: u32,
    /// Another build of Cyan than the one of this checkout
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_cyan"), hide_default_value = true)]
    cyan_binary: PathBuf,
    /// Name of the result file
    #[arg(long, hide = true, default_value = "unlabelled")]
    label: String,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test --all-targets` comes here too, and must not take a minute of all cores.
        eprintln!("nothing measured; start it with benches/switch/run");
        return ExitCode::SUCCESS;
    }
    match run_until_signal(&arguments) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A signal drops, and thereby ends, the proxy.
fn run_until_signal(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = run(arguments) => done,
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

async fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { seconds, changes, switches, .. } = *arguments;
    let plan = Plan { seconds, changes, switches };
    let mut machine = Machine::describe(&arguments.cyan_binary);
    let environments = Environments::start()?;
    let cyan = Cyan::start(&arguments.cyan_binary, &environments.service())?;
    let drift = Drift::watch();
    let mut figures = Figures::default();
    idle(&cyan, &environments, &mut figures).await?;
    under_load(plan, &cyan, &mut figures).await?;
    if drift.was_set() {
        return Err("the clock of this machine was set during the run; run again".into());
    }
    machine.ended();
    let (text, is_kept) = report::render(&figures, &machine);
    println!("{text}");
    println!(
        "raw results: {}",
        report::keep(&arguments.label, plan, &machine, &figures)?.display()
    );
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a change takes where nothing else goes on, and how soon a client that leaves is noticed.
async fn idle(
    cyan: &Cyan,
    environments: &Environments,
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    eprintln!("idle: {IDLE_CHANGES} changes");
    let mut admin = Admin::connect(cyan.admin)?;
    let plan = Plan { seconds: 0, changes: IDLE_CHANGES, switches: IDLE_CHANGES / 20 };
    let mut calls = Vec::new();
    for change in plan.steps() {
        tokio::time::sleep(IDLE_PAUSE).await;
        calls.push(admin.change(change)?);
    }
    figures.calls("idle", &calls);
    // Back where the load expects it.
    admin.change(admin::Change::Switch(0))?;
    for manner in Manner::ALL {
        eprintln!("{}", manner.name());
        let times = manner.measure(cyan, environments).await;
        let times = times.map_err(|error| format!("{}: {error}", manner.name()))?;
        figures.times(manner.name(), &times);
    }
    Ok(())
}

/// The run itself.
async fn under_load(plan: Plan, cyan: &Cyan, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let Plan { seconds, changes, switches } = plan;
    eprintln!("under load: {changes} changes and {switches} switches in {seconds} s");
    let is_over = Arc::new(AtomicBool::new(false));
    let load = tokio::task::spawn_local(load::run(cyan.address, Arc::clone(&is_over)));
    tokio::time::sleep(WARM_UP).await;
    let probe = Probe::start()?;
    let driver = plan.drive(cyan.admin);
    let changing = tokio::task::spawn_blocking(move || driver.join());
    let limit = Duration::from_secs(seconds.into()) + OVERTIME_MAX;
    let calls = tokio::time::timeout(limit, changing).await;
    is_over.store(true, Ordering::Relaxed); // it orders nothing
    let calls = calls.map_err(|_| "the changes took too long")??;
    let calls = calls.map_err(|_| "the thread that makes the changes panicked")??;
    let late = probe.end();
    let ended_ns = clock::now_ns();
    let tally: Tally = tokio::time::timeout(OVERTIME_MAX, load)
        .await
        .map_err(|_| "the streams did not come to their end")??;
    for failure in &tally.failures {
        eprintln!("failed: {failure}");
    }
    figures.calls("load", &calls);
    figures.times("probe", &late);
    figures.load(&tally, &calls, &driver::closed_times(&calls, ended_ns));
    figures.set("changes", f64::from(changes));
    figures.set("switches", f64::from(switches));
    Ok(())
}
