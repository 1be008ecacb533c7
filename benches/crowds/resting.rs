//! Connections that have had one answer and rest: what they hold, what they cost while nothing happens, and
//! that they are closed once they have rested too long.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use crate::beside::{Beside, Cpu};
use crate::crowd::{Counts, Crowd, connect};
use crate::gauge::{client_connections, resident_kib};
use crate::process::Cyan;
use crate::tls::{self, Tls};
use crate::{Arguments, P99_FACTOR_MAX, load, promise};

/// Until all have come. One asks for a certificate's signature, the others for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// `listen.timeouts.idle` is 90 s; some of the clients came last.
const CLOSED_WITHIN: Duration = Duration::from_secs(120);
/// What the last of them has left to do is done after this long.
const SETTLE: Duration = Duration::from_secs(2);
/// Clients that ask once more do it so far apart: a thousand per second.
const APART: Duration = Duration::from_millis(1);
/// What all of them together may cost while nothing happens.
const PERCENT_OF_CORE_MAX: f64 = 5.0;
/// Length of the body that the upstream answers with.
const BODY_BYTES: usize = 512;

/// What they speak.
#[derive(Clone)]
enum Kind {
    Http1,
    Http2(TlsConnector),
}

/// One row: how many, and what they may hold each.
struct Row<'a> {
    name: &'a str,
    count: usize,
    kib_max: f64,
}

/// Measures connections of HTTP/1.1.
pub(crate) fn plain(arguments: &Arguments, upstream: SocketAddr) -> Result<bool, Box<dyn Error>> {
    let cyan = arguments.start(upstream, "")?;
    let row = Row { name: "HTTP/1.1 at rest", count: arguments.resting, kib_max: 16.0 };
    row.measure(arguments, &cyan, cyan.address, &Kind::Http1)
}

/// Measures connections of HTTP/2 over TLS.
pub(crate) fn tls(arguments: &Arguments, upstream: SocketAddr) -> Result<bool, Box<dyn Error>> {
    let tls = Tls::new()?;
    let cyan = arguments.start(upstream, &tls.keys())?;
    let row = Row { name: "HTTP/2, TLS at rest", count: arguments.resting_tls, kib_max: 64.0 };
    row.measure(arguments, &cyan, tls.address, &Kind::Http2(tls.connector.clone()))
}

impl Row<'_> {
    fn measure(
        &self,
        arguments: &Arguments,
        cyan: &Cyan,
        address: SocketAddr,
        kind: &Kind,
    ) -> Result<bool, Box<dyn Error>> {
        let time = arguments.time();
        let percent_without = percent_of_core(cyan, time)?;
        let (ask_again, asked) = watch::channel(());
        let (mut percent_with, mut rss, mut counted) = (0.0, (0.0, 0.0), String::new());
        let measured = Beside::measure(cyan, arguments.rate, time, || {
            rss.0 = resident_kib(cyan.process.id())?;
            let crowd = begin(self.count, address, kind, &asked)?;
            let count = self.count;
            crowd.until("all have come", PATIENCE, |counts| counts.open() == count)?;
            std::thread::sleep(SETTLE);
            rss.1 = resident_kib(cyan.process.id())?;
            counted = client_connections(cyan)?;
            percent_with = percent_of_core(cyan, time)?;
            Ok(crowd)
        })?;
        let crowd = &measured.crowd;
        ask_again.send_replace(());
        let begun = Instant::now();
        crowd.until("all are answered once more", PATIENCE, |counts| {
            counts.answers() == 2 * self.count || counts.ended() > 0
        })?;
        let left = crowd.counts.open();
        crowd.until("all are closed", CLOSED_WITHIN, |counts| counts.open() == 0)?;
        let closed_after = begun.elapsed();
        std::thread::sleep(SETTLE);

        println!("{}", load::HEADING);
        println!("{}", measured.alone.timed.row("without"));
        println!("{}", measured.with.timed.row(self.name));
        println!("client connections       {counted:>9} open, as Cyan counts them");
        println!(
            "RSS                      {:>9.0} KiB before, {:.0} KiB with {} at rest, {:.0} KiB when they had gone",
            rss.0,
            rss.1,
            self.count,
            resident_kib(cyan.process.id())?
        );
        println!("{left} of {} answered once more on the same connection", self.count);
        println!(
            "all closed by Cyan {:.0} s after they began to ask again",
            closed_after.as_secs_f64()
        );
        println!("{} normal requests failed", measured.failed());
        let is_whole = measured.failed() == 0 && left == self.count;
        let each = (rss.1 - rss.0) / whole(self.count);
        let more = percent_with - percent_without;
        Ok(is_whole
            & promise::is_kept(
                "p99 of normal requests, times without",
                measured.p99_factor(),
                P99_FACTOR_MAX,
            )
            & promise::is_kept("KiB per connection at rest", each, self.kib_max)
            & promise::is_kept("% of a core for all at rest", more, PERCENT_OF_CORE_MAX))
    }
}

fn begin(
    count: usize,
    address: SocketAddr,
    kind: &Kind,
    asked: &watch::Receiver<()>,
) -> io::Result<Crowd> {
    let (kind, asked) = (kind.clone(), asked.clone());
    Crowd::begin(count, move |number, counts| {
        let (kind, asked) = (kind.clone(), asked.clone());
        async move {
            let rested = match kind {
                Kind::Http1 => http1(address, number, &counts, asked).await,
                Kind::Http2(connector) => http2(address, number, &counts, asked, connector)
                    .await
                    .map_err(io::Error::other),
            };
            if let Err(error) = rested {
                eprintln!("client {number}: {error}");
            }
        }
    })
}

/// Asks, rests, asks once more when it is told to, and rests until it is closed.
async fn http1(
    address: SocketAddr,
    number: usize,
    counts: &Arc<Counts>,
    mut asked: watch::Receiver<()>,
) -> io::Result<()> {
    let mut stream = connect(address, number, None).await?;
    exchange(&mut stream).await?;
    let _open = counts.opened();
    counts.answered();
    loop {
        let mut byte = [0];
        tokio::select! {
            Ok(()) = asked.changed() => {
                tokio::time::sleep(turn(number)).await;
                exchange(&mut stream).await?;
                counts.answered();
            }
            read = stream.read(&mut byte) => return read.map(drop),
        }
    }
}

async fn exchange(stream: &mut tokio::net::TcpStream) -> io::Result<()> {
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: test\r\nx-user-id: rest\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memmem::find(&answer, b"\r\n\r\n");
        if end.is_some_and(|end| answer.len() >= end + 4 + BODY_BYTES) {
            return Ok(());
        }
    }
}

async fn http2(
    address: SocketAddr,
    number: usize,
    counts: &Arc<Counts>,
    mut asked: watch::Receiver<()>,
    connector: TlsConnector,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = connect(address, number, None).await?;
    let stream = connector.connect(tls::name(), stream).await?;
    let (mut sender, connection) = h2::client::handshake(stream).await?;
    let mut driving = tokio::spawn(connection);
    ask(&mut sender).await?;
    let _open = counts.opened();
    counts.answered();
    loop {
        tokio::select! {
            Ok(()) = asked.changed() => {
                tokio::time::sleep(turn(number)).await;
                ask(&mut sender).await?;
                counts.answered();
            }
            _ = &mut driving => return Ok(()),
        }
    }
}

async fn ask(
    sender: &mut h2::client::SendRequest<bytes::Bytes>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let request = Request::get("https://test/v1/models").header("x-user-id", "rest").body(())?;
    let mut ready = sender.clone().ready().await?;
    let (answer, _) = ready.send_request(request, true)?;
    let mut body = answer.await?.into_body();
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    Ok(())
}

/// When a client asks once more.
fn turn(number: usize) -> Duration {
    APART * u32::try_from(number).unwrap_or(u32::MAX)
}

/// What Cyan takes of a core in this time, all threads together.
fn percent_of_core(cyan: &Cyan, time: Duration) -> io::Result<f64> {
    let (began, before) = (Instant::now(), Cpu::of(cyan)?);
    std::thread::sleep(time);
    let used = Cpu::of(cyan)?.since(before).all;
    Ok(used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0)
}

fn whole(count: usize) -> f64 {
    u32::try_from(count.max(1)).map_or(f64::MAX, f64::from)
}
