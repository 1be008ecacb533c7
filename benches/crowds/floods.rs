//! Floods of HTTP/2 frames: what a connection costs before it is cut, by clients that come back at once.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::beside::Beside;
use crate::crowd::{Counts, Crowd, connect};
use crate::flood::Flood;
use crate::frames::PREFACE;
use crate::{Arguments, P99_FACTOR_MAX, load, promise};

/// What one connection may cost before it is cut.
const CPU_MS_MAX: f64 = 50.0;
/// What Cyan may hold for all of them.
const MIB_MAX: f64 = 64.0;
/// Frames written at once.
const BURST: u32 = 100;
/// A connection that may send so many was not cut: ten times what it may.
const FRAMES_MAX: u32 = 10_000;
/// By then Cyan has read the last of them.
const CUT_WITHIN: Duration = Duration::from_secs(5);
/// Until they have begun.
const ARRIVAL: Duration = Duration::from_millis(500);

/// Measures each kind by itself.
pub(crate) fn run(arguments: &Arguments, upstream: SocketAddr) -> Result<bool, Box<dyn Error>> {
    println!("{}   factor   failed       cut/s  CPU ms each  grown MiB", load::HEADING);
    let (mut is_whole, mut factor, mut cost, mut grown) = (true, 0.0_f64, 0.0_f64, 0.0_f64);
    for flood in Flood::ALL {
        let row = row(flood, arguments, upstream)?;
        is_whole &= row.seen.failed() + row.uncut == 0;
        factor = factor.max(row.seen.p99_factor());
        cost = cost.max(row.cpu_ms());
        grown = grown.max(row.seen.grown_kib() / 1024.0);
        row.print(&format!("{} x {}", arguments.flooders, name(flood)));
    }
    let is_fast = promise::is_kept("p99 of normal requests, times without", factor, P99_FACTOR_MAX);
    let is_cheap = promise::is_kept("ms of CPU per flood that was cut", cost, CPU_MS_MAX);
    let is_small = promise::is_kept("MiB for floods", grown, MIB_MAX);
    Ok(is_whole & is_fast & is_cheap & is_small)
}

/// One kind of flood.
struct Row {
    seen: Beside,
    /// Connections that were cut while normal requests went on beside them.
    cut: f64,
    /// Connections that could send on.
    uncut: usize,
}

impl Row {
    /// What Cyan took for each, beyond what the normal requests take.
    fn cpu_ms(&self) -> f64 {
        let more = self.seen.with.cpu.all.saturating_sub(self.seen.alone.cpu.all);
        more.as_secs_f64() * 1e3 / self.cut.max(1.0)
    }

    fn print(&self, name: &str) {
        println!("{}", self.seen.alone.timed.row("without"));
        println!(
            "{}  {:>7.2}  {:>7}  {:>10.0}  {:>11.2}  {:>9.1}",
            self.seen.with.timed.row(name),
            self.seen.p99_factor(),
            self.seen.failed(),
            self.cut / self.seen.with.time.as_secs_f64(),
            self.cpu_ms(),
            self.seen.grown_kib() / 1024.0,
        );
        if self.uncut > 0 {
            println!("{} connections sent {FRAMES_MAX} frames and were not cut", self.uncut);
        }
    }
}

fn row(flood: Flood, arguments: &Arguments, upstream: SocketAddr) -> Result<Row, Box<dyn Error>> {
    let cyan = arguments.start(upstream, "")?;
    let address = cyan.address;
    let uncut = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&uncut);
    let mut cut_before = 0;
    let seen = Beside::measure(&cyan, arguments.rate, arguments.time(), || {
        let crowd = Crowd::begin(arguments.flooders, move |number, counts| {
            come_back(address, flood, number, counts, Arc::clone(&counted))
        })?;
        std::thread::sleep(ARRIVAL);
        cut_before = crowd.counts.ended();
        Ok(crowd)
    })?;
    let cut = seen.crowd.counts.ended() - cut_before;
    let cut = u32::try_from(cut).map_or(f64::MAX, f64::from);
    Ok(Row { seen, cut, uncut: uncut.load(Ordering::Relaxed) })
}

fn name(flood: Flood) -> &'static str {
    match flood {
        Flood::Ping => "pings",
        Flood::Settings => "settings",
        Flood::EmptyData => "empty data",
        Flood::WindowUpdate => "window updates",
        Flood::RapidReset => "rapid resets",
        Flood::Continuation => "continuations",
    }
}

async fn come_back(
    address: SocketAddr,
    flood: Flood,
    number: usize,
    counts: Arc<Counts>,
    uncut: Arc<AtomicUsize>,
) {
    loop {
        if let Ok(true) = pour(address, flood, number, &counts).await {
            uncut.fetch_add(1, Ordering::Relaxed);
        }
        tokio::task::yield_now().await;
    }
}

/// Until it is cut; whether it sent all it had and was not.
async fn pour(
    address: SocketAddr,
    flood: Flood,
    number: usize,
    counts: &Arc<Counts>,
) -> io::Result<bool> {
    let mut stream = connect(address, number, None).await?;
    let _open = counts.opened();
    let (mut reading, mut writing) = stream.split();
    let pouring = async {
        writing.write_all(&[PREFACE, &flood.beginning()].concat()).await?;
        for sent in (0..FRAMES_MAX).step_by(BURST as usize) {
            writing.write_all(&flood.burst(sent, BURST)).await?;
        }
        tokio::time::sleep(CUT_WITHIN).await; // the kernel takes more than Cyan has read
        Ok(true)
    };
    let reading = async {
        let mut answers = [0; 4096];
        while reading.read(&mut answers).await? > 0 {}
        Ok(false)
    };
    tokio::select! {
        poured = pouring => poured,
        read = reading => read,
    }
}
