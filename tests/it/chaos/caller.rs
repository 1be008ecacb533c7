//! A client that asks, reads every byte of what it gets, and tells how it ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::net::TcpStream;

use super::http1::{self, Connection};
use super::http2::{self, Http2};
use super::ledger::Ledger;
use super::script::{Act, Script, Shape};
use super::told::{Ask, End, Leave, Told};
use crate::support::tls::shake;

/// Nobody waits longer for an answer; several times what the faults of a run can add up to.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two requests, mostly.
const PAUSE_MS: std::ops::Range<u64> = 0..80;
/// Now and then: longer than connections rest in a pool, and than a process that ends keeps them.
const LONG_PAUSE_MS: std::ops::Range<u64> = 500..3000;
/// Requests at once on a connection of HTTP/2.
const STREAMS: usize = 3;
/// Users, who keep their environment.
const USERS: u32 = 60;

/// Where Cyan is, and by which certificates it is known.
#[derive(Clone)]
pub struct Doors {
    /// Plain HTTP.
    pub plain: SocketAddr,
    /// HTTP over TLS.
    pub secure: SocketAddr,
    /// Settings that trust all its certificates.
    pub tls: Arc<rustls::ClientConfig>,
    /// The same, speaking HTTP/2.
    pub tls_http2: Arc<rustls::ClientConfig>,
}

/// The name in the certificates.
pub const HOST: &str = "chaos.test";

/// What is heard of a request.
pub struct Heard {
    /// The status of the answer.
    pub status: Option<u16>,
    /// The number that the upstream has repeated; `None` when Cyan itself answers.
    pub answered: Option<String>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// How it ended.
    pub end: End,
}

impl Heard {
    /// Before any answer.
    pub fn nothing(end: End) -> Self {
        Self { status: None, answered: None, body: Vec::new(), end }
    }
}

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Plain,
    Tls,
    Http2,
    Http2OverTls,
}

/// A client.
pub struct Caller {
    number: u32,
    via: Via,
    random: Rng,
    asked: u64,
    doors: Doors,
    ledger: Arc<Ledger>,
}

impl Caller {
    /// The client of this number: half of them speak plain HTTP/1.1.
    pub fn new(seed: u64, number: u32, doors: Doors, ledger: Arc<Ledger>) -> Self {
        let via = match number % 8 {
            0..4 => Via::Plain,
            4 | 5 => Via::Tls,
            6 => Via::Http2,
            _ => Via::Http2OverTls,
        };
        let random = Rng::with_seed(seed ^ (u64::from(number) + 1) << 40);
        Self { number, via, random, asked: 0, doors, ledger }
    }

    /// Asks until it is over.
    pub async fn call(mut self, is_over: Arc<AtomicBool>) {
        let mut connection = None;
        let mut streams = Http2::default();
        while !is_over.load(Ordering::Relaxed) {
            match self.via {
                Via::Plain | Via::Tls => {
                    let ask = self.draw();
                    connection = self.ask(ask, connection).await;
                }
                Via::Http2 | Via::Http2OverTls => self.ask_many(&mut streams).await,
            }
            let is_long = self.random.u32(0..100) == 0;
            let pause = self.random.u64(if is_long { LONG_PAUSE_MS } else { PAUSE_MS });
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// One request over HTTP/1.1; the connection, if it goes on.
    async fn ask(&self, ask: Ask, kept: Option<Connection>) -> Option<Connection> {
        let began = Instant::now();
        let work = async {
            if let Some(mut kept) = kept
                && !kept.was_closed().await
            {
                let heard = http1::exchange(&mut kept, &ask, &self.ledger).await;
                // A process that ends closes connections at rest, maybe just now.
                if heard.end != End::Nothing || !self.ledger.was_taken_over_since(began) {
                    return Some((heard, kept));
                }
            }
            let mut fresh = self.connect().await?;
            let heard = http1::exchange(&mut fresh, &ask, &self.ledger).await;
            Some((heard, fresh))
        };
        let (heard, connection) = match tokio::time::timeout(PATIENCE, work).await {
            Ok(Some((heard, connection))) => (heard, connection.goes_on()),
            Ok(None) => (Heard::nothing(End::Nothing), None),
            Err(_) => (Heard::nothing(End::Hung), None),
        };
        self.tell(ask, began, &heard);
        connection
    }

    async fn connect(&self) -> Option<Connection> {
        if self.via == Via::Plain {
            let stream = TcpStream::connect(self.doors.plain).await.ok()?;
            let _ = stream.set_nodelay(true);
            return Some(Connection::over(Box::new(stream)));
        }
        let stream = shake(Arc::clone(&self.doors.tls), self.doors.secure, HOST).await;
        Some(Connection::over(Box::new(stream.ok()?)))
    }

    /// Some requests at once on one connection.
    async fn ask_many(&mut self, streams: &mut Http2) {
        let asks: Vec<_> = (0..STREAMS).map(|_| self.draw()).collect();
        let is_secure = self.via == Via::Http2OverTls;
        let connected = streams.connected(&self.doors, is_secure);
        let line = tokio::time::timeout(PATIENCE, connected).await.ok().flatten();
        let calls = asks.into_iter().map(|ask| {
            let (line, ledger) = (line.clone(), Arc::clone(&self.ledger));
            tokio::spawn(async move {
                let began = Instant::now();
                let Some(line) = line else { return (ask, began, Heard::nothing(End::Nothing)) };
                let heard = tokio::time::timeout(PATIENCE, http2::exchange(line, &ask, &ledger));
                (ask, began, heard.await.unwrap_or(Heard::nothing(End::Hung)))
            })
        });
        let calls: Vec<_> = calls.collect();
        for call in calls {
            let (ask, began, heard) = call.await.expect("a call does not panic");
            self.tell(ask, began, &heard);
        }
    }

    /// Holds what was heard against what should have been.
    fn tell(&self, ask: Ask, began: Instant, heard: &Heard) {
        let is_upstreams = heard.answered.is_some();
        let wrong_at = match &heard.answered {
            Some(number) if *number != ask.number.to_string() => Some(0),
            Some(_) => first_difference(heard, &ask.script.body()),
            None => None,
        };
        let words = if is_upstreams { String::new() } else { text(&heard.body) };
        self.ledger.tell(Told {
            ask,
            via: self.via.name(),
            began,
            ended: Instant::now(),
            status: heard.status,
            is_upstreams,
            received: heard.body.len(),
            wrong_at,
            end: heard.end,
            words,
        });
    }

    fn draw(&mut self) -> Ask {
        let random = &mut self.random;
        let has_tunnels = matches!(self.via, Via::Plain | Via::Tls);
        let script = Script::draw(random, has_tunnels);
        // Nobody else ends what says nothing; where nobody leaves, short limits do.
        let is_brisk = match script.act {
            Act::Hush => true,
            Act::Silent => random.bool(),
            _ => false,
        };
        let leaves = match script.act {
            Act::Silent if !is_brisk => Some(Leave::Waiting),
            Act::Finish | Act::Slow | Act::Pause if random.u32(0..100) < 8 => {
                Some(draw_leave(random, script))
            }
            _ => None,
        };
        self.asked += 1;
        Ask {
            number: u64::from(self.number) << 32 | self.asked,
            script,
            leaves,
            is_slow: random.u32(0..100) < 4,
            is_brisk,
            user: random.u32(0..USERS),
        }
    }
}

fn draw_leave(random: &mut Rng, script: Script) -> Leave {
    if script.upload > 0 && random.bool() {
        return Leave::Upload(random.usize(0..script.upload));
    }
    Leave::Answer(random.usize(0..script.body().len()))
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "HTTP/1.1",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::Http2 => "HTTP/2",
            Self::Http2OverTls => "HTTP/2 over TLS",
        }
    }
}

/// Where the bytes begin to be others, if they do. A part is right as far as it goes, but for a whole one.
fn first_difference(heard: &Heard, expected: &[u8]) -> Option<usize> {
    let shorter = heard.body.len().min(expected.len());
    let differs = (0..shorter).find(|&at| heard.body[at] != expected[at]);
    let is_long_enough = heard.end != End::Whole || heard.body.len() == expected.len();
    let ends_wrong = !is_long_enough || heard.body.len() > expected.len();
    differs.or(ends_wrong.then_some(shorter))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}

/// The path of a request; services are told apart by it.
pub fn path(ask: &Ask) -> &'static str {
    match ask.script.shape {
        _ if ask.is_brisk => "/brisk",
        Shape::Stream => "/v1/chat/completions",
        Shape::Tunnel => "/tunnel",
        Shape::Sized | Shape::Chunked => "/files",
    }
}

/// The method of a request.
pub fn method(script: &Script) -> &'static str {
    match script.shape {
        Shape::Stream => "POST",
        _ if script.upload > 0 => "POST",
        _ => "GET",
    }
}

/// How long a client waits that is about to leave.
pub async fn waits(ledger: &Ledger, number: u64) {
    let visited = async {
        while !ledger.was_visited(number) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Where its upstream has gone, nobody ever sees it.
    let _ = tokio::time::timeout(Duration::from_secs(2), visited).await;
}
