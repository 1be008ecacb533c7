//! Sets Cyan beside nginx, HAProxy and a direct connection, in one run on one machine.
//!
//! Started by `benches/peers/run`. Each sample has a proxy of its own, started afresh and pinned
//! to one core, while load and upstream emulator keep to the others. Subjects alternate within
//! each round and the order turns round after round, so that drift of the machine meets all alike.
//! The figure that counts is CPU time per request or event: it survives a busy machine better
//! than any clock time.

mod clock;
mod equal_work;
mod event;
mod limits;
mod load;
mod machine;
mod message;
mod process;
mod report;
mod results;
mod sse;
mod subject;
mod upstream;
mod window;
mod workload;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use machine::Machine;
use process::CoreSet;
use results::{Sample, Samples};
use subject::{Running, Stage, Subject};
use workload::{Figures, Group, Plan, Workload};

/// Descriptors for 5000 idle streams: two for each in the proxy and in this process, and spare.
const DESCRIPTORS: u64 = 32_768;
/// No sample takes longer; the longest opens for a minute at most.
const SAMPLE_TIME_MAX: Duration = Duration::from_secs(120);
/// Exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Parser)]
#[command(name = "benches/peers/run", about = "Cyan beside nginx, HAProxy and a direct connection")]
struct Arguments {
    /// Shorter windows and fewer streams: for a look, not for quoting
    #[arg(long)]
    quick: bool,
    /// Only these workloads
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["keepalive", "latency", "sse", "memory"])]
    only: Vec<Group>,
    /// Leave these out
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Subject>,
    /// Times that everything is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
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
        // `cargo test --all-targets` comes here too, and must not take ten minutes of all cores.
        eprintln!("nothing measured; start it with benches/peers/run");
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

/// Runs everything on this one thread, so that a signal drops, and thereby ends, every proxy.
fn run_until_signal(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let (proxy_core, other_cores) = split_cores(&CoreSet::allowed()?)?;
    CoreSet::of(&other_cores).apply()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = run(arguments, proxy_core, &other_cores) => done.map(|()| ExitCode::SUCCESS),
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// The last core for the proxy, the others for load and upstream; a single core serves both.
fn split_cores(allowed: &[usize]) -> Result<(usize, Vec<usize>), Box<dyn Error>> {
    match allowed {
        [] => Err("no core may be used by this process".into()),
        [only] => Ok((*only, vec![*only])),
        [others @ .., last] => Ok((*last, others.to_vec())),
    }
}

async fn run(
    arguments: &Arguments,
    proxy_core: usize,
    other_cores: &[usize],
) -> Result<(), Box<dyn Error>> {
    let descriptors = process::raise_descriptor_limit(DESCRIPTORS)?;
    let plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    let plan = plan.within_descriptors(descriptors);
    let cyan = arguments.cyan_binary.clone();
    let subjects: Vec<_> =
        Subject::ALL.into_iter().filter(|subject| !arguments.without.contains(subject)).collect();
    let mut machine = Machine::describe(proxy_core, other_cores, &subjects, &cyan);
    println!("{machine}");
    let stage = Stage { environments: upstream::start()?, proxy_core, cyan };
    for &subject in subjects.iter().filter(|&&subject| subject != Subject::Direct) {
        equal_work::check(subject, &Running::start(subject, &stage).await?).await?;
    }
    let workloads = plan.workloads(&arguments.only);
    let samples =
        measure_all(&workloads, &subjects, arguments.rounds.into(), &stage, &plan).await?;
    machine.ended();
    println!("{}", report::render(&samples, &workloads));
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/results");
    let suffix = if arguments.quick { "-quick" } else { "" };
    let kept = samples.keep(&results, &format!("{}{suffix}", arguments.label), &machine)?;
    println!("raw results: {}", kept.display());
    Ok(())
}

async fn measure_all(
    workloads: &[Workload],
    subjects: &[Subject],
    rounds: usize,
    stage: &Stage,
    plan: &Plan,
) -> Result<Samples, Box<dyn Error>> {
    let mut samples = Samples::default();
    for &workload in workloads {
        for round in 0..rounds {
            let mut order = subjects.to_vec();
            order.retain(|&subject| subject != Subject::Direct || workload.includes_direct());
            if round % 2 == 1 {
                order.reverse();
            }
            for subject in order {
                eprintln!("{}, round {} of {rounds}: {subject}", workload.name(), round + 1);
                let figures = measure_once(workload, subject, stage, plan).await?;
                samples.push(Sample { workload: workload.name(), subject, round, figures });
            }
        }
    }
    Ok(samples)
}

/// One sample with a proxy of its own.
async fn measure_once(
    workload: Workload,
    subject: Subject,
    stage: &Stage,
    plan: &Plan,
) -> Result<Figures, Box<dyn Error>> {
    let running = Running::start(subject, stage).await?;
    let sample = workload.run(&running, stage, plan);
    let outcome = tokio::time::timeout(SAMPLE_TIME_MAX, sample)
        .await
        .map_err(|_| format!("{subject} took longer than {SAMPLE_TIME_MAX:?}"))?;
    let figures = outcome.map_err(|error| format!("{subject}, {}: {error}", workload.name()))?;
    Ok(figures)
}
