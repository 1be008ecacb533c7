//! Clients of the admin API that ask without end, read nothing, send too much or only hold their place.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::beside::Beside;
use crate::crowd::{Counts, Crowd, connect};
use crate::{Arguments, P99_FACTOR_MAX, load, promise};

/// What Cyan may hold for all of them: 16 bodies of 1 MiB, 64 KiB and a page of metrics for each of 256
/// connections, and what comes and goes.
const MIB_MAX: f64 = 96.0;
/// Until a crowd has come.
const ARRIVAL: Duration = Duration::from_secs(3);
/// Before a connection that was ended is opened again.
const PAUSE: Duration = Duration::from_millis(20);
/// What the kernel may keep for a client that does not read.
const RECEIVE_BYTES: u32 = 4096;
/// Between two looks at whether such a client was cut.
const LOOK: Duration = Duration::from_millis(500);
/// How long somebody who wants to roll back would wait for an answer before giving up.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(15);
/// Within the body limit of the admin API, 1 MiB.
const BODY_BYTES: usize = 1_000_000;

const STATS: &str = "/v1/services/llm/environments/blue/stats";

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Asks for the metrics, or for statistics, as soon as it has its answer.
    Scrape,
    /// Asks for the metrics a hundred times and reads nothing.
    Unread,
    /// Follows events, or requests, and reads nothing.
    Follow,
    /// Connects and says nothing.
    Silent,
    /// Sends large bodies, as fast as they are taken.
    Bodies,
}

/// Each with how many there are.
const CROWDS: [(Kind, usize); 5] = [
    (Kind::Scrape, 240),
    (Kind::Unread, 240),
    (Kind::Follow, 240),
    (Kind::Silent, 1000),
    (Kind::Bodies, 240),
];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scrape => "scrapers",
            Self::Unread => "unread metrics",
            Self::Follow => "unread events",
            Self::Silent => "silent",
            Self::Bodies => "large bodies",
        })
    }
}

/// Measures each kind by itself: together they would only take each other's places.
pub(crate) fn run(arguments: &Arguments, upstream: SocketAddr) -> Result<bool, Box<dyn Error>> {
    println!("{}   factor   failed   answers/s  control %  grown MiB  status", load::HEADING);
    let (mut failed, mut factor, mut grown) = (0, 0.0_f64, 0.0_f64);
    for (kind, count) in CROWDS {
        let seen = beside(kind, count, arguments, upstream)?;
        failed += seen.failed();
        factor = factor.max(seen.p99_factor());
        grown = grown.max(seen.grown_kib() / 1024.0);
    }
    let is_fast = promise::is_kept("p99 of normal requests, times without", factor, P99_FACTOR_MAX);
    let is_small = promise::is_kept("MiB for admin clients", grown, MIB_MAX);
    Ok(failed == 0 && is_fast & is_small)
}

fn beside(
    kind: Kind,
    count: usize,
    arguments: &Arguments,
    upstream: SocketAddr,
) -> Result<Beside, Box<dyn Error>> {
    let cyan = arguments.start(upstream, "")?;
    let admin = cyan.admin;
    let mut operator = None;
    let seen = Beside::measure(&cyan, arguments.rate, arguments.time(), || {
        let crowd =
            Crowd::begin(count, move |number, counts| come_back(admin, kind, number, counts))?;
        std::thread::sleep(ARRIVAL);
        operator = Some(std::thread::spawn(move || status(admin)));
        Ok(crowd)
    })?;
    let operator = operator.and_then(|asking| asking.join().ok()).transpose();
    let operator = match operator {
        Ok(time) => format!("{:.0} ms", time.unwrap_or_default().as_secs_f64() * 1e3),
        Err(error) => error.to_string(),
    };
    println!("{}", seen.alone.timed.row("without"));
    println!(
        "{}  {:>7.2}  {:>7}  {:>10.0}  {:>9.0}  {:>9.1}  {operator}",
        seen.with.timed.row(&format!("beside {count} {kind}")),
        seen.p99_factor(),
        seen.failed(),
        answers_per_second(&seen),
        seen.with.control_percent(),
        seen.grown_kib() / 1024.0,
    );
    Ok(seen)
}

/// Since it came.
fn answers_per_second(seen: &Beside) -> f64 {
    let answers = u32::try_from(seen.crowd.counts.answers()).map_or(f64::MAX, f64::from);
    answers / (seen.with.time + ARRIVAL).as_secs_f64()
}

/// How long somebody waits who asks what is going on, on a connection of their own.
fn status(admin: SocketAddr) -> io::Result<Duration> {
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&admin, OPERATOR_PATIENCE)?;
    stream.set_read_timeout(Some(OPERATOR_PATIENCE))?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(began.elapsed());
    }
    Err(io::Error::other(answer.lines().next().unwrap_or("no answer").to_owned()))
}

async fn come_back(admin: SocketAddr, kind: Kind, number: usize, counts: Arc<Counts>) {
    loop {
        let _ = stay(admin, kind, number, &counts).await; // an error is the end of it, too
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until it is cut.
async fn stay(
    admin: SocketAddr,
    kind: Kind,
    number: usize,
    counts: &Arc<Counts>,
) -> io::Result<()> {
    let reads = matches!(kind, Kind::Scrape | Kind::Silent | Kind::Bodies);
    let mut stream = connect(admin, number, (!reads).then_some(RECEIVE_BYTES)).await?;
    let _open = counts.opened();
    let is_even = number.is_multiple_of(2);
    match kind {
        Kind::Scrape => {
            let asked = get(if is_even { "/metrics" } else { STATS });
            loop {
                stream.write_all(asked.as_bytes()).await?;
                answer(&mut stream).await?;
                counts.answered();
            }
        }
        Kind::Bodies => {
            let head = "POST /v1/services/llm/rollback HTTP/1.1\r\nhost: localhost\r\n\
                        content-type: application/json\r\n";
            // One that is taken and refused for what it says, and one that is refused for its length.
            let length = if is_even { BODY_BYTES } else { 100 * BODY_BYTES };
            let head = format!("{head}content-length: {length}\r\n\r\n{{\"reason\":\"");
            let text = "x".repeat(BODY_BYTES - "{\"reason\":\"\"}".len()) + "\"}";
            loop {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(text.as_bytes()).await?;
                answer(&mut stream).await?;
                counts.answered();
            }
        }
        Kind::Unread => stream.write_all(get("/metrics").repeat(100).as_bytes()).await?,
        Kind::Follow => {
            let path = if is_even { "/v1/requests" } else { "/v1/events" };
            stream.write_all(get(path).as_bytes()).await?;
        }
        Kind::Silent => return stream.read(&mut [0]).await.map(drop),
    }
    loop {
        tokio::time::sleep(LOOK).await;
        // An empty write finds no reset; the socket itself knows.
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// Reads an answer whose length is told.
async fn answer(stream: &mut tokio::net::TcpStream) -> io::Result<()> {
    let mut read = Vec::with_capacity(16 << 10);
    let end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = memchr::memmem::find(&read, b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while read.len() < end + length {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
