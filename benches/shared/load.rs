//! Normal requests: short ones, evenly spaced, on connections that are kept.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections that share the rate.
const CONNECTIONS: u32 = 32;
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// What stands above rows.
pub(crate) const HEADING: &str = "normal requests           requests    p50 ms    p99 ms    max ms";

/// How long the requests took.
pub(crate) struct Timed {
    /// Of those that were answered, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// How many were not.
    pub(crate) failed: usize,
}

impl Timed {
    /// The value below which this share of them lies.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let count = u32::try_from(self.latencies.len()).map_or(f64::MAX, f64::from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (count * share) as usize;
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(index.min(last)).copied().unwrap_or_default()
    }

    /// The 99th percentile.
    pub(crate) fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// One row of a table.
    pub(crate) fn row(&self, name: &str) -> String {
        let count = self.latencies.len();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| self.quantile(q).as_secs_f64() * 1e3);
        format!("{name:<24} {count:>9} {p50:>9.2} {p99:>9.2} {max:>9.2}")
    }
}

/// Asks `rate` times a second for so long.
pub(crate) fn ask(address: SocketAddr, rate: u32, time: Duration) -> io::Result<Timed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let begin = Instant::now() + Duration::from_millis(50);
        let apart = Duration::from_secs(1) * CONNECTIONS / rate;
        let mut clients = JoinSet::new();
        for number in 0..CONNECTIONS {
            let first = begin + apart * number / CONNECTIONS;
            clients.spawn(client(address, number, first, apart, begin + time));
        }
        let mut timed = Timed { latencies: Vec::new(), failed: 0 };
        while let Some(done) = clients.join_next().await {
            let one = done.map_err(io::Error::other)?;
            timed.latencies.extend(one.latencies);
            timed.failed += one.failed;
        }
        timed.latencies.sort_unstable();
        Ok(timed)
    })
}

async fn client(
    address: SocketAddr,
    number: u32,
    first: Instant,
    apart: Duration,
    end: Instant,
) -> Timed {
    let body = "y".repeat(512);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\nx-user-id: user-{number}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut timed = Timed { latencies: Vec::new(), failed: 0 };
    let (mut stream, mut due) = (None, first);
    while due < end {
        // One that had to wait for the answer before it counts from when it was due.
        let asked = if Instant::now() > due {
            due
        } else {
            tokio::time::sleep_until(due.into()).await;
            Instant::now()
        };
        match tokio::time::timeout(PATIENCE, exchange(&mut stream, address, &request)).await {
            Ok(Ok(())) => timed.latencies.push(asked.elapsed()),
            _ => {
                timed.failed += 1;
                stream = None;
            }
        }
        due += apart;
    }
    timed
}

async fn exchange(
    kept: &mut Option<TcpStream>,
    address: SocketAddr,
    request: &str,
) -> io::Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            kept.insert(stream)
        }
    };
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(2048);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(at) = memchr::memmem::find(&answer, b"\r\n\r\n") else { continue };
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other("another status"));
        }
        if answer.len() >= at + 4 + 512 {
            return Ok(());
        }
    }
}
