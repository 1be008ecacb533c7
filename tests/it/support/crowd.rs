//! Clients that come all the time, and notice everything that goes wrong.
//!
//! Half of them keep their connection as long as they may, half connect for every request; some hold a
//! stream of numbered lines, some a tunnel through which numbered words go back and forth.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::client::Client;
use super::in_time;
use super::upstream::{Upstream, Visit};

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
/// Between two lines of a stream, and two words in a tunnel.
const BEAT: Duration = Duration::from_millis(50);
/// Between two requests of a client: eight clients come some hundred times per second.
const PAUSE: Duration = Duration::from_millis(10);

/// An upstream with streams, tunnels and plain answers.
pub struct Choir {
    /// Where it listens.
    pub upstream: Upstream,
    is_enough: watch::Sender<bool>,
}

impl Choir {
    /// Starts it.
    pub async fn start() -> Self {
        let is_enough = watch::Sender::new(false);
        let told = is_enough.clone();
        let upstream = Upstream::scripted(move |visit| sing(visit, told.subscribe())).await;
        Self { upstream, is_enough }
    }

    /// Has every stream come to its end.
    pub fn is_enough(&self) {
        self.is_enough.send_replace(true);
    }
}

async fn sing(mut visit: Visit, is_enough: watch::Receiver<bool>) {
    while let Some(head) = visit.request().await {
        match head.split(' ').nth(1) {
            Some("/stream") => stream(&mut visit, &is_enough).await,
            Some("/socket") => return echo(visit).await,
            _ => visit.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await,
        }
    }
}

async fn stream(visit: &mut Visit, is_enough: &watch::Receiver<bool>) {
    visit
        .send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
    let mut number = 0_u64;
    while !*is_enough.borrow() {
        let line = format!("data: {number}\n\n");
        visit.send(format!("{:x}\r\n{line}\r\n", line.len())).await;
        number += 1;
        tokio::time::sleep(BEAT).await;
    }
    visit.send("0\r\n\r\n").await;
}

async fn echo(mut visit: Visit) {
    visit.send(SWITCHING).await;
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = visit.stream.read(&mut piece).await {
        visit.send(&piece[..length]).await;
    }
}

/// A stream that is read to its end by a client.
pub struct OpenStream(JoinHandle<()>);

impl OpenStream {
    /// Opens it, and waits for its first line.
    pub async fn open(address: SocketAddr) -> Self {
        let mut client = Client::connect(address).await;
        client.send("GET /stream HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let seen = client.read_until(b"data: 0\n\n").await;
        assert!(seen.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&seen));
        Self(tokio::spawn(async move {
            client.read_until(b"\r\n").await; // the end of the first line's chunk
            let mut number = 1_u64;
            while client.read_until(b"\r\n").await != b"0\r\n" {
                let lines = client.read_until(b"\r\n").await;
                let lines = String::from_utf8(lines).expect("text");
                for line in lines.trim_end_matches("\r\n").split_terminator("\n\n") {
                    assert_eq!(line, format!("data: {number}"));
                    number += 1;
                }
            }
            client.read_until(b"\r\n").await;
        }))
    }

    /// Waits for its end, which has to be clean, with every line before it.
    pub async fn ends_whole(self) {
        in_time(self.0).await.expect("the stream was not cut");
    }
}

/// A tunnel through which words go.
pub struct OpenTunnel {
    close: Arc<AtomicBool>,
    talking: JoinHandle<u64>,
}

impl OpenTunnel {
    /// Opens it.
    pub async fn open(address: SocketAddr) -> Self {
        let mut client = Client::connect(address).await;
        let answer = client.get("/socket", UPGRADE).await;
        assert_eq!(answer.status, 101);
        let close = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&close);
        let talking = tokio::spawn(async move {
            let mut said = 0;
            while !told.load(Ordering::Relaxed) {
                let word = format!("word {said};");
                client.send(&word).await;
                client.read_until(word.as_bytes()).await;
                said += 1;
                tokio::time::sleep(BEAT).await;
            }
            said
        });
        Self { close, talking }
    }

    /// Closes it; every word has to have come back until now.
    pub async fn ends_whole(self) -> u64 {
        self.close.store(true, Ordering::Relaxed);
        in_time(self.talking).await.expect("the tunnel was not cut")
    }
}

/// The streams have come to their end with every line, and each tunnel has carried words to the last.
pub async fn all_end_whole(streams: Vec<OpenStream>, tunnels: Vec<OpenTunnel>) {
    for stream in streams {
        stream.ends_whole().await;
    }
    for tunnel in tunnels {
        assert!(tunnel.ends_whole().await > 1);
    }
}

/// Clients with short requests, until they are dropped.
pub struct Crowd {
    answered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    clients: JoinSet<()>,
}

impl Crowd {
    /// Clients who come from now on.
    pub fn at(address: SocketAddr) -> Self {
        let (answered, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for number in 0..8 {
            let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
            clients.spawn(come(address, number % 2 == 0, answered, failed));
        }
        Self { answered, failed, clients }
    }

    /// Requests that were answered as they should be.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more were.
    pub async fn goes_on(&self, more: u64) {
        let enough = self.answered() + more;
        super::eventually("clients are served", || self.answered() >= enough).await;
    }

    /// Lets them go: how many requests were answered, and how many failed.
    pub async fn leave(mut self) -> (u64, u64) {
        self.clients.shutdown().await;
        (self.answered(), self.failed.load(Ordering::Relaxed))
    }
}

async fn come(address: SocketAddr, stays: bool, answered: Arc<AtomicU64>, failed: Arc<AtomicU64>) {
    let mut connection = None;
    loop {
        let is_well = match connection.take() {
            Some(client) => ask(client, stays).await,
            None => match tokio::net::TcpStream::connect(address).await {
                Ok(stream) => ask(Client::over(stream), stays).await,
                Err(_) => Err(()),
            },
        };
        match is_well {
            Ok(client) => {
                answered.fetch_add(1, Ordering::Relaxed);
                connection = client;
            }
            Err(()) => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// One request; the connection, if it may be used again.
async fn ask(mut client: Client, stays: bool) -> Result<Option<Client>, ()> {
    let close = if stays { "" } else { "connection: close\r\n" };
    let request = format!("GET / HTTP/1.1\r\nhost: test\r\n{close}\r\n");
    client.try_send(request).await.map_err(|_| ())?;
    let answer = client.try_answer().await.ok_or(())?;
    if answer.status != 200 || !answer.is_whole || answer.body != b"ok" {
        return Err(());
    }
    let is_last = answer.header("connection").is_some_and(|value| value == "close");
    Ok(Some(client).filter(|_| stays && !is_last))
}
