//! How true the times are that Cyan measures of a stream.
//!
//! Started by `benches/timing/run`. An upstream in this process notes when it has read each request and
//! when it writes each piece of content; clients ask for streams, first without a proxy and then through
//! Cyan. What Cyan says of each exchange (time to first token, longest gap) is taken from its access log
//! and held against the upstream's own notes, exchange by exchange. The same is done with what the clients
//! without a proxy saw: that is the jitter of the machine, below which nobody can measure.

mod client;
mod cyan;
mod error_of;
mod upstream;
#[path = "../shared/verdict.rs"]
mod verdict;

use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use error_of::{Errors, Times};
use upstream::Upstream;

/// The median of Cyan's error may be this large.
const MEDIAN_MAX: Duration = Duration::from_micros(200);
/// The 99th percentile may be this much above that of a client without a proxy.
const P99_ABOVE_DIRECT_MAX: Duration = Duration::from_millis(1);

#[derive(Debug, Parser)]
#[command(name = "benches/timing/run", about = "How true Cyan's TTFT and gaps are")]
struct Arguments {
    /// Streams open at the same time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2000))]
    streams: u16,
    /// Streams that each client asks for, one after the other
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    turns: u16,
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
        eprintln!("nothing measured; start it with benches/timing/run");
        return ExitCode::SUCCESS;
    }
    verdict::exit_code(run(&arguments))
}

/// Whether the promises hold.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let upstream = Upstream::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (streams, turns) = (arguments.streams, arguments.turns);
    let seen = runtime.block_on(client::ask_all(upstream.address, "direct", streams, turns))?;
    let direct = Errors::of(&seen, &upstream.sent());
    let cyan = cyan::Running::start(&arguments.cyan_binary, upstream.address)?;
    let seen = runtime.block_on(client::ask_all(cyan.address, "cyan", streams, turns))?;
    let said = cyan.stop()?;
    let told: HashMap<String, Times> =
        said.into_iter().filter(|(id, _)| seen.contains_key(id)).collect();
    let measured = Errors::of(&told, &upstream.sent());
    println!(
        "{streams} streams at a time, {} in all; error of each against the upstream's notes",
        seen.len()
    );
    println!(
        "                          exchanges   TTFT p50   TTFT p99    gap p50    gap p99  (µs)"
    );
    println!("client without a proxy    {direct}");
    println!("Cyan's access log         {measured}");
    let mut holds = told.len() == seen.len();
    println!("{} of {} exchanges are in the log", told.len(), seen.len());
    for (name, direct, measured) in
        [("TTFT", &direct.ttft, &measured.ttft), ("gap", &direct.gap, &measured.gap)]
    {
        let (median, p99) = (error_of::quantile(measured, 0.5), error_of::quantile(measured, 0.99));
        let p99_max = error_of::quantile(direct, 0.99) + P99_ABOVE_DIRECT_MAX;
        for (what, value, max) in [("median", median, MEDIAN_MAX), ("p99", p99, p99_max)] {
            let is_kept = value <= max;
            holds &= is_kept;
            let word = if is_kept { "met   " } else { "MISSED" };
            println!("{word} {name} {what}: {value:.1?} <= {max:.1?}");
        }
    }
    Ok(holds)
}
