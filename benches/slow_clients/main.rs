//! What slow clients cost the others, and what they make Cyan hold.
//!
//! Started by `benches/slow_clients/run`. First thousands of connections trickle request heads and
//! bodies, and hundreds open streams that they do not read, all at once; normal requests go on beside
//! them, and are timed before and meanwhile. Whatever Cyan cuts comes back at once. Then one client asks
//! for a large answer and reads nothing for a minute, then all of it. Peers, where they are asked for, meet
//! the same crowd before: what it costs on this machine with another proxy.

mod attack;
#[path = "../shared/gauge.rs"]
mod gauge;
#[path = "../shared/give_way.rs"]
mod give_way;
#[path = "../shared/load.rs"]
mod load;
#[path = "../shared/machine.rs"]
mod machine;
mod peer;
#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/promise.rs"]
mod promise;
mod stall;
mod upstream;
#[path = "../shared/verdict.rs"]
mod verdict;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use attack::{Attack, Kind};
use gauge::{resident_kib, time_on_core};
use give_way::give_way;
use load::Timed;
use machine::Machine;
use peer::Peer;
use process::Cyan;

/// The 99th percentile of normal requests may grow by this factor.
const P99_FACTOR_MAX: f64 = 2.0;
/// What one held connection may cost.
const KIB_PER_CONNECTION_MAX: f64 = 64.0;
/// What an answer that nobody reads may cost.
const KIB_OF_UNREAD_ANSWER_MAX: f64 = 256.0;

#[derive(Debug, Parser)]
#[command(name = "benches/slow_clients/run", about = "What slow clients cost the others")]
struct Arguments {
    /// Connections that trickle a request head
    #[arg(long, default_value_t = 5000)]
    heads: usize,
    /// Connections that trickle a request body
    #[arg(long, default_value_t = 5000)]
    bodies: usize,
    /// Bytes of such a body that come at once; with 16384 or more there is a connection upstream
    #[arg(long, default_value_t = 1, value_name = "BYTES")]
    body_begins: u16,
    /// Connections that do not read the stream they asked for
    #[arg(long, default_value_t = 500)]
    readers: usize,
    /// Normal requests per second
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// Seconds for which they are timed, without and with slow clients
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds for which the large answer is not read
    #[arg(long, default_value_t = 60)]
    stall: u64,
    /// Others in Cyan's place before it, from their Debian packages
    #[arg(long, value_delimiter = ',', value_name = "PEER")]
    peers: Vec<Peer>,
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
        eprintln!("nothing measured; start it with benches/slow_clients/run");
        return ExitCode::SUCCESS;
    }
    verdict::exit_code(run(&arguments))
}

/// Whether the promises hold.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let mut machine = Machine::describe(&arguments.cyan_binary);
    let upstream = upstream::start(|| {})?;
    // What slow clients have an upstream do is no normal client's wait: theirs is a machine of its own.
    let theirs = upstream::start(give_way)?;
    println!("{}", load::HEADING);
    for peer in &arguments.peers {
        let running = peer.start(upstream, theirs)?;
        let measured = Measured::of(arguments, running.address, running.process.id())?;
        measured.print(&peer.to_string());
    }
    let crowd = beside_the_slow(arguments, upstream, theirs)?;
    let unread = unread_answer(arguments, upstream)?;
    machine.ended();
    print!("{machine}");
    Ok(crowd & unread)
}

/// Times normal requests without and with slow clients.
fn beside_the_slow(
    arguments: &Arguments,
    upstream: SocketAddr,
    theirs: SocketAddr,
) -> Result<bool, Box<dyn Error>> {
    let slow = format!(
        "[service.slow]\nhosts = [\"{}\"]\n\
         [service.slow.environment.blue]\nupstreams = [\"http://{theirs}\"]\n",
        attack::HOST
    );
    let cyan = start(arguments, upstream, &slow)?;
    let measured = Measured::of(arguments, cyan.address, cyan.process.id())?;
    let counted = gauge::client_connections(&cyan)?;
    measured.print("cyan");
    println!("client connections       {counted:>9} open, as Cyan counts them");
    let is_fast =
        promise::is_kept("p99 of normal requests, times idle", measured.factor(), P99_FACTOR_MAX);
    let per_connection = measured.kib_per_connection();
    let is_small =
        promise::is_kept("KiB per held connection", per_connection, KIB_PER_CONNECTION_MAX);
    Ok((measured.failed() == 0) & is_fast & is_small)
}

/// Normal requests without and with slow clients, and what held these cost.
struct Measured {
    idle: Timed,
    attacked: Timed,
    held: Vec<(Kind, usize, usize)>,
    kib_before: f64,
    kib: f64,
    /// Share of one core that the proxy had beside slow clients.
    core_share: f64,
}

impl Measured {
    fn of(arguments: &Arguments, address: SocketAddr, pid: u32) -> io::Result<Self> {
        let seconds = Duration::from_secs(arguments.seconds);
        load::ask(address, arguments.rate, seconds / 4)?; // pools are full, memory is touched
        let idle = load::ask(address, arguments.rate, seconds)?;
        let kib_before = resident_kib(pid)?;
        let wanted = [
            (Kind::Head, arguments.heads),
            (Kind::Body(arguments.body_begins), arguments.bodies),
            (Kind::Reader, arguments.readers),
        ];
        let attack = Attack::begin(address, &wanted)?;
        attack.wait_until_held()?;
        let (began, ran) = (Instant::now(), time_on_core(pid)?);
        let attacked = load::ask(address, arguments.rate, seconds)?;
        let ran = time_on_core(pid)?.saturating_sub(ran);
        let core_share = ran.as_secs_f64() / began.elapsed().as_secs_f64();
        let (held, kib) = (attack.held(), resident_kib(pid)?);
        Ok(Self { idle, attacked, held, kib_before, kib, core_share })
    }

    fn failed(&self) -> usize {
        self.idle.failed + self.attacked.failed
    }

    fn factor(&self) -> f64 {
        self.attacked.p99().as_secs_f64() / self.idle.p99().as_secs_f64()
    }

    fn held(&self) -> usize {
        self.held.iter().map(|(_, held, _)| held).sum()
    }

    fn kib_per_connection(&self) -> f64 {
        (self.kib - self.kib_before) / whole(self.held().max(1))
    }

    fn print(&self, name: &str) {
        println!("{}", self.idle.row(&format!("{name}, idle")));
        println!("{}", self.attacked.row(&format!("{name}, slow clients")));
        for (kind, held, reopened) in &self.held {
            println!("{kind:<24} {held:>9} held, {reopened} cut and opened again");
        }
        println!(
            "RSS                      {:>9.0} KiB before, {:.0} KiB with {} held: {:.1} KiB each",
            self.kib_before,
            self.kib,
            self.held(),
            self.kib_per_connection()
        );
        println!(
            "{} normal requests failed; p99 {:.2} times idle; {:.1} % of a core",
            self.failed(),
            self.factor(),
            self.core_share * 100.0
        );
    }
}

/// Lets a client leave a large answer unread, then read it.
fn unread_answer(arguments: &Arguments, upstream: SocketAddr) -> Result<bool, Box<dyn Error>> {
    let limit = "[service.llm.environment.blue.timeouts]\nwrite_stall = \"10m\"\n";
    let cyan = start(arguments, upstream, limit)?;
    load::ask(cyan.address, arguments.rate, Duration::from_secs(5))?;
    let rss = || resident_kib(cyan.process.id());
    let stalled = stall::unread(cyan.address, Duration::from_secs(arguments.stall), rss)?;
    println!(
        "{} MB answer, unread for {} s: RSS {:.0} KiB before, at most {:.0} KiB; then read whole: {}",
        upstream::LARGE_BYTES / 1_000_000,
        arguments.stall,
        stalled.before_kib,
        stalled.most_kib,
        stalled.is_whole
    );
    let grown = stalled.most_kib - stalled.before_kib;
    let is_small =
        promise::is_kept("KiB for an answer nobody reads", grown, KIB_OF_UNREAD_ANSWER_MAX);
    Ok(is_small & stalled.is_whole)
}

fn start(arguments: &Arguments, upstream: SocketAddr, more: &str) -> io::Result<Cyan> {
    let services =
        format!("[service.llm.environment.blue]\nupstreams = [\"http://{upstream}\"]\n{more}");
    Cyan::start(&arguments.cyan_binary, &services)
}

fn whole(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
