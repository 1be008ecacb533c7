//! Streams of events: cost and delay of each, time to the first, and memory of those at rest.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock::{self, Pace};
use crate::event::EventReader;
use crate::load;
use crate::process::Process;
use crate::subject::{Running, Stage};
use crate::window::{Window, as_f64};
use crate::workload::{Figures, Plan};

/// Streams opened per second: 1000 within two seconds.
const OPENED_PER_SECOND: u32 = 500;
/// The same where only their number matters.
const IDLE_OPENED_PER_SECOND: u32 = 2000;
/// Until every stream has its first event.
const OPEN_TIME_MAX: Duration = Duration::from_secs(60);
/// The question that each stream begins with, in bytes.
const PROMPT_BYTES: usize = 1024;

/// `streams` running streams: TTFT while they are opened, then cost and delay of each event.
pub(crate) async fn running_streams(
    running: &Running,
    stage: &Stage,
    plan: &Plan,
    streams: u32,
) -> io::Result<Figures> {
    let opened = Opened::all("/stream", running, streams, OPENED_PER_SECOND).await?;
    tokio::time::sleep(plan.warm_up).await;
    let tally = &opened.tally;
    let window = Window::open(running, stage)?;
    tally.is_counting.set(true);
    tokio::time::sleep(plan.window).await;
    tally.is_counting.set(false);
    let usage = window.close(running, stage)?;
    let mut figures = Figures::of(&usage);
    let events = tally.events.get();
    figures.set("failed", as_f64(tally.failed.get()));
    figures.set("events_per_s", usage.per_second(events));
    figures.set_known("cpu_us_per_event", usage.cpu_us_per(events));
    figures.set_quantiles("delay", &tally.delay_ns.borrow());
    figures.set_quantiles("ttft", &tally.first_ns.borrow());
    Ok(figures)
}

/// `streams` open streams on which nothing moves: what each holds in the proxy's memory.
pub(crate) async fn idle_streams(
    running: &Running,
    process: &Process,
    streams: u32,
) -> io::Result<Figures> {
    let base_kib = as_f64(process.pss_kib()?);
    let opened = Opened::all("/idle", running, streams, IDLE_OPENED_PER_SECOND).await?;
    // What was needed only to open them may be given back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kib = as_f64(process.pss_kib()?);
    let mut figures = Figures::default();
    figures.set("failed", as_f64(opened.tally.failed.get()));
    figures.set("base_pss_kib", base_kib);
    figures.set("pss_kib_per_stream", (kib - base_kib) / f64::from(streams));
    Ok(figures)
}

/// Streams that are open until this is dropped.
struct Opened {
    tally: Rc<Tally>,
    _streams: JoinSet<()>,
}

impl Opened {
    /// Opens them evenly spaced and waits until each has its first event.
    async fn all(path: &str, running: &Running, count: u32, per_second: u32) -> io::Result<Self> {
        let tally = Rc::new(Tally::default());
        let mut streams = JoinSet::new();
        let mut pace = Pace::per_second(per_second)?;
        let body = "x".repeat(PROMPT_BYTES);
        let line = format!("POST {path}");
        let mut users = 0..count as usize;
        while !users.is_empty() {
            for (intended, user) in pace.due().await?.zip(&mut users) {
                let (tally, address) = (Rc::clone(&tally), running.address_for(user));
                let request = load::request(&line, user, &body);
                streams.spawn_local(async move {
                    let ended = async {
                        let stream = TcpStream::connect(address).await?;
                        follow(stream, &request, intended, &tally).await
                    };
                    if let Err(error) = ended.await {
                        tally.fail(&error);
                    }
                });
            }
        }
        let all = tokio::time::timeout(OPEN_TIME_MAX, tally.has_answered(u64::from(count)));
        all.await.map_err(|_| {
            let first = tally.first_ns.borrow().len();
            io::Error::other(format!("{first} of {count} streams began within {OPEN_TIME_MAX:?}"))
        })?;
        Ok(Self { tally, _streams: streams })
    }
}

/// Asks for a stream and reads it; it has no end, so each way out is a failure.
async fn follow(
    mut stream: TcpStream,
    request: &[u8],
    intended: Instant,
    tally: &Tally,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut reader = EventReader::default();
    let mut is_first = true;
    let mut buffer = [0; 2048];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now_ns = clock::now_ns();
        let counted = reader.feed(&buffer[..read], |sent_ns| {
            if std::mem::take(&mut is_first) {
                tally.first(intended);
            } else {
                tally.event(now_ns.saturating_sub(sent_ns));
            }
        });
        counted.map_err(io::Error::other)?;
    }
}

/// What all streams of one sample have seen.
struct Tally {
    /// Events count in the window only; first events and failures count always.
    is_counting: Cell<bool>,
    events: Cell<u64>,
    failed: Cell<u64>,
    delay_ns: RefCell<Histogram<u64>>,
    first_ns: RefCell<Histogram<u64>>,
    changed: Notify,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            is_counting: Cell::default(),
            events: Cell::default(),
            failed: Cell::default(),
            delay_ns: RefCell::new(clock::histogram()),
            first_ns: RefCell::new(clock::histogram()),
            changed: Notify::new(),
        }
    }
}

impl Tally {
    fn first(&self, intended: Instant) {
        self.first_ns.borrow_mut().saturating_record(clock::nanoseconds(intended.elapsed()));
        self.changed.notify_one();
    }

    fn event(&self, delay_ns: u64) {
        if self.is_counting.get() {
            self.events.set(self.events.get() + 1);
            self.delay_ns.borrow_mut().saturating_record(delay_ns);
        }
    }

    fn fail(&self, error: &io::Error) {
        if self.failed.replace(self.failed.get() + 1) == 0 {
            eprintln!("first stream that failed: {error}");
        }
        self.changed.notify_one();
    }

    /// Until each stream has begun or failed.
    async fn has_answered(&self, count: u64) {
        while self.first_ns.borrow().len() + self.failed.get() < count {
            self.changed.notified().await;
        }
    }
}
