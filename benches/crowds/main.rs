//! What crowds cost the others: connections that rest, clients of the admin API, floods of HTTP/2 frames.
//!
//! Started by `benches/crowds/run`. Each crowd has a Cyan of its own, and normal requests that are timed
//! without it and beside it. `benches/slow_clients` does the same with clients that are slow.

mod admin;
mod beside;
mod crowd;
#[path = "../../tests/it/support/floods.rs"]
mod flood;
mod floods;
#[path = "../../tests/it/support/frames.rs"]
mod frames;
#[path = "../shared/gauge.rs"]
mod gauge;
#[path = "../shared/give_way.rs"]
mod give_way;
#[path = "../shared/load.rs"]
mod load;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/promise.rs"]
mod promise;
mod resting;
mod tls;
#[path = "../slow_clients/upstream.rs"]
#[expect(dead_code, reason = "what slow clients ask of it, nobody does here")]
mod upstream;
#[path = "../shared/verdict.rs"]
mod verdict;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use machine::Machine;
use process::Cyan;

/// The 99th percentile of normal requests may grow by this factor.
const P99_FACTOR_MAX: f64 = 2.0;

/// The crowds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// HTTP/1.1 connections that have had an answer and rest
    Resting,
    /// The same over TLS, with HTTP/2
    RestingTls,
    /// Clients of the admin API
    Admin,
    /// HTTP/2 frames that ask for nothing
    Floods,
}

#[derive(Debug, Parser)]
#[command(name = "benches/crowds/run", about = "What crowds cost the others")]
struct Arguments {
    /// Some of the crowds
    #[arg(long, value_delimiter = ',', default_values = ["resting", "resting-tls", "admin", "floods"])]
    only: Vec<Part>,
    /// HTTP/1.1 connections that rest
    #[arg(long, default_value_t = 10_000)]
    resting: usize,
    /// HTTP/2 connections over TLS that rest
    #[arg(long, default_value_t = 1000)]
    resting_tls: usize,
    /// Connections on which frames are sent without end
    #[arg(long, default_value_t = 50)]
    flooders: usize,
    /// Normal requests per second
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// Seconds for which they are timed, without and with each crowd
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=20))]
    seconds: u64,
    /// Another build of Cyan than the one of this checkout
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_cyan"), hide_default_value = true)]
    cyan_binary: PathBuf,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        eprintln!("nothing measured; start it with benches/crowds/run");
        return ExitCode::SUCCESS;
    }
    verdict::exit_code(run(&arguments))
}

/// Whether the promises hold.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let mut machine = Machine::describe(&arguments.cyan_binary);
    let upstream = upstream::start(|| {})?;
    let mut is_kept = true;
    for part in &arguments.only {
        is_kept &= match part {
            Part::Resting => resting::plain(arguments, upstream)?,
            Part::RestingTls => resting::tls(arguments, upstream)?,
            Part::Admin => admin::run(arguments, upstream)?,
            Part::Floods => floods::run(arguments, upstream)?,
        };
    }
    machine.ended();
    print!("{machine}");
    Ok(is_kept)
}

impl Arguments {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// A Cyan before this upstream, with further keys of its listener, and used to the load.
    fn start(&self, upstream: SocketAddr, listener: &str) -> std::io::Result<Cyan> {
        let services = format!(
            "{listener}[service.llm.environment.blue]\nupstreams = [\"http://{upstream}\"]\n"
        );
        let cyan = Cyan::start(&self.cyan_binary, &services)?;
        load::ask(cyan.address, self.rate, Duration::from_secs(3))?; // pools are full, memory is touched
        Ok(cyan)
    }
}
