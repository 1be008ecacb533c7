//! Small requests over keep-alive connections: closed loop for cost, fixed rate for latency.
//!
//! In a closed loop a slow answer holds back the next question, so its latencies flatter; they are
//! only shown beside the throughput. At a fixed rate each request counts from the instant at which
//! it *should* have been sent, whether or not a connection was free (no coordinated omission).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock::{self, Pace};
use crate::message;
use crate::subject::{Running, Stage};
use crate::window::{Window, as_f64};
use crate::workload::{Figures, Plan};

/// Connections that stay open.
const CONNECTIONS: usize = 64;
/// Different sticky keys, so that each request is hashed anew. Even, so that a user without a
/// proxy in between stays on one environment.
const USERS: usize = 1024;
/// Requests that may wait for a connection; more means the rate cannot be held.
const WAITING_MAX: usize = 4096;
/// The length of a small question: a short prompt with its parameters.
const QUESTION_BYTES: usize = 1024;

/// As many requests as go through.
pub(crate) async fn closed_loop(
    running: &Running,
    stage: &Stage,
    plan: &Plan,
) -> io::Result<Figures> {
    let tally = Rc::new(Tally::default());
    let clients = spawn_clients(running, &tally, None);
    measure(running, stage, plan, &tally, clients).await
}

/// `rate` requests per second, evenly spaced.
pub(crate) async fn fixed_rate(
    running: &Running,
    stage: &Stage,
    plan: &Plan,
    rate: u32,
) -> io::Result<Figures> {
    let (tally, queue) = (Rc::new(Tally::default()), Rc::new(Queue::default()));
    let mut clients = spawn_clients(running, &tally, Some(&queue));
    let mut pace = Pace::per_second(rate)?;
    let refused = Rc::clone(&tally);
    clients.spawn_local(async move {
        loop {
            for intended in pace.due().await? {
                if !queue.put(intended) {
                    refused.count(intended, false);
                }
            }
        }
    });
    measure(running, stage, plan, &tally, clients).await
}

/// One task for each connection.
fn spawn_clients(
    running: &Running,
    tally: &Rc<Tally>,
    queue: Option<&Rc<Queue>>,
) -> JoinSet<io::Result<()>> {
    let requests = Rc::new(Requests::new());
    let mut clients = JoinSet::new();
    for number in 0..CONNECTIONS {
        let (tally, requests, queue) = (Rc::clone(tally), Rc::clone(&requests), queue.cloned());
        let address = running.address_for(number);
        clients.spawn_local(ask(number, address, requests, tally, queue));
    }
    clients
}

/// Asks for one user after the other: when the queue says so, or at once where there is none.
async fn ask(
    number: usize,
    address: SocketAddr,
    requests: Rc<Requests>,
    tally: Rc<Tally>,
    queue: Option<Rc<Queue>>,
) -> io::Result<()> {
    let mut client = Client::connect(address).await?;
    for user in (number..).step_by(CONNECTIONS) {
        let start = match &queue {
            Some(queue) => queue.take().await,
            None => Instant::now(),
        };
        let outcome = client.exchange(requests.next(user)).await;
        tally.count(start, outcome.is_ok());
        if outcome.is_err() {
            client = Client::connect(address).await?;
        }
    }
    Ok(())
}

/// Lets the clients warm up, counts for the length of the window, and ends them.
async fn measure(
    running: &Running,
    stage: &Stage,
    plan: &Plan,
    tally: &Tally,
    mut clients: JoinSet<io::Result<()>>,
) -> io::Result<Figures> {
    let run = async {
        tokio::time::sleep(plan.warm_up).await;
        let window = Window::open(running, stage)?;
        tally.is_counting.set(true);
        tokio::time::sleep(plan.window).await;
        tally.is_counting.set(false);
        window.close(running, stage)
    };
    let usage = tokio::select! {
        usage = run => usage?,
        // No client ends by itself, unless it could not connect again.
        Some(ended) = clients.join_next() => {
            ended.map_err(io::Error::other)??;
            return Err(io::Error::other("a client ended before its time"));
        }
    };
    let mut figures = Figures::of(&usage);
    let done = tally.done.get();
    figures.set("failed", as_f64(tally.failed.get()));
    figures.set("requests_per_s", usage.per_second(done));
    figures.set_known("cpu_us_per_request", usage.cpu_us_per(done));
    figures.set_quantiles("latency", &tally.latency_ns.borrow());
    Ok(figures)
}

/// What the clients of one sample have seen inside its window.
struct Tally {
    is_counting: Cell<bool>,
    done: Cell<u64>,
    failed: Cell<u64>,
    latency_ns: RefCell<Histogram<u64>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            is_counting: Cell::default(),
            done: Cell::default(),
            failed: Cell::default(),
            latency_ns: RefCell::new(clock::histogram()),
        }
    }
}

impl Tally {
    fn count(&self, start: Instant, is_ok: bool) {
        if !self.is_counting.get() {
            return;
        }
        let count = if is_ok { &self.done } else { &self.failed };
        count.set(count.get() + 1);
        self.latency_ns.borrow_mut().saturating_record(clock::nanoseconds(start.elapsed()));
    }
}

/// Requests whose time has come and that no connection has taken yet.
#[derive(Default)]
struct Queue {
    waiting: RefCell<VecDeque<Instant>>,
    filled: Notify,
}

impl Queue {
    /// False when the queue is full.
    fn put(&self, intended: Instant) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let has_room = waiting.len() < WAITING_MAX;
        if has_room {
            waiting.push_back(intended);
            self.filled.notify_one();
        }
        has_room
    }

    async fn take(&self) -> Instant {
        loop {
            let first = self.waiting.borrow_mut().pop_front();
            if let Some(intended) = first {
                return intended;
            }
            self.filled.notified().await;
        }
    }
}

/// Requests as bytes, rendered once: half questions with a body, half without.
struct Requests(Vec<Vec<u8>>);

impl Requests {
    fn new() -> Self {
        let body = format!("{{\"prompt\":\"{}\"}}", "x".repeat(QUESTION_BYTES - 13));
        let render = |user: usize| match user / CONNECTIONS % 2 {
            0 => request("POST /v1/chat/completions", user, &body),
            _ => request("GET /v1/models", user, ""),
        };
        Self((0..USERS).map(render).collect())
    }

    fn next(&self, user: usize) -> &[u8] {
        &self.0[user % USERS]
    }
}

/// A request with the headers that a Python client of an LLM server sends, and the sticky key.
pub(crate) fn request(line: &str, user: usize, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: llm.example\r\nAccept: application/json\r\n\
         Accept-Encoding: identity\r\nContent-Type: application/json\r\n\
         User-Agent: peers-bench/1\r\nAuthorization: Bearer sk-0123456789abcdef\r\n\
         X-Client-Runtime: CPython\r\nX-Client-Retry-Count: 0\r\nX-User-Id: user-{user:06}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A keep-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, without Nagle's algorithm.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads its answer, which must have status 200 and a length.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        while !is_whole(&self.buffer)? {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The last answer, head and body.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.buffer
    }
}

fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = message::head_end(answer) else { return Ok(false) };
    let length = message::content_length(&answer[..head]);
    match length.filter(|_| answer.starts_with(b"HTTP/1.1 200")) {
        Some(length) => Ok(answer.len() >= head + length),
        None => Err(io::Error::other(String::from_utf8_lossy(&answer[..head]).into_owned())),
    }
}
