//! The two environments: each answer says who gave it and when the kernel had its request.
//!
//! `/` is answered at once, `/stream` by events for about ten seconds, `/hold` never: there the time
//! counts at which the proxy leaves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, LocalSet};

use crate::arrival;
use crate::clock;
use crate::http;

/// Time between two events of a stream.
const EVENT_EVERY: Duration = Duration::from_millis(100);
/// Events of a stream: the least, and by how many streams differ, so that they do not end together.
const EVENTS: (u32, u32) = (80, 40);
/// What a stream ends with.
pub(crate) const LAST_EVENT: &str = "data: [DONE]\n\n";
/// No request of this bench is longer.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Names of the environments, in the order of their numbers.
pub(crate) const NAMES: [&str; 2] = ["blue", "green"];

/// Both environments, on a thread that ends with the process.
#[derive(Clone)]
pub(crate) struct Environments {
    /// Where they listen.
    pub(crate) addresses: [SocketAddr; 2],
    left_ns: Arc<AtomicU64>,
}

impl Environments {
    /// Starts them on free loopback ports.
    pub(crate) fn start() -> io::Result<Self> {
        let listeners = [listen()?, listen()?];
        let addresses = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let left_ns = Arc::new(AtomicU64::new(0));
        let environments = Self { addresses, left_ns: Arc::clone(&left_ns) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("environments".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async {
                let mut accepting = JoinSet::new();
                for (listener, name) in listeners.into_iter().zip(NAMES) {
                    accepting.spawn_local(accept(listener, name, Arc::clone(&left_ns)));
                }
                if let Some(Ok(Err(error))) = accepting.join_next().await {
                    eprintln!("an environment accepts no more: {error}");
                }
            });
        })?;
        Ok(environments)
    }

    /// The service that they make up, in the words of a config: blue active, with everything.
    pub(crate) fn service(&self) -> String {
        let mut text =
            "[service.llm]\nactive = \"blue\"\nsticky = [\"header:x-user-id\"]\n".to_owned();
        for ((name, address), weight) in NAMES.iter().zip(self.addresses).zip([100, 0]) {
            text.push_str(&format!(
                "[service.llm.environment.{name}]\nupstreams = [\"http://{address}\"]\nweight = {weight}\n"
            ));
        }
        text
    }

    /// When the proxy last left a held request or an unfinished stream; zero before. Reading takes it.
    pub(crate) fn take_left_ns(&self) -> u64 {
        // Relaxed: a single number.
        self.left_ns.swap(0, Ordering::Relaxed)
    }
}

fn listen() -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(
    listener: std::net::TcpListener,
    name: &'static str,
    left_ns: Arc<AtomicU64>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        arrival::stamp_arrivals(&stream)?;
        let left_ns = Arc::clone(&left_ns);
        tokio::task::spawn_local(async move {
            let mut visit = Visit { name, stream, buffer: Vec::new(), left_ns };
            // The proxy may close a connection whenever it likes; that ends the task, no more.
            let _ = visit.serve().await;
        });
    }
}

/// One connection of the proxy.
struct Visit {
    name: &'static str,
    stream: TcpStream,
    buffer: Vec<u8>,
    left_ns: Arc<AtomicU64>,
}

impl Visit {
    async fn serve(&mut self) -> io::Result<()> {
        while let Some((head, arrived_ns)) = self.request().await? {
            let seen = format!("{} {arrived_ns}\n", self.name);
            match head.split(' ').nth(1) {
                Some("/stream") => self.stream_events(&seen).await?,
                Some("/hold") => return self.hold().await,
                // Reads none of the body; the exchange is watched at the admin API.
                Some("/blocked") => return std::future::pending().await,
                _ => {
                    let length = seen.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{seen}");
                    self.stream.write_all(answer.as_bytes()).await?;
                }
            }
        }
        Ok(())
    }

    /// A head and when its last byte came. Requests here have no body that is read.
    async fn request(&mut self) -> io::Result<Option<(String, u64)>> {
        let mut arrived_ns = 0;
        loop {
            if let Some(end) = http::head_end(&self.buffer) {
                let head = self.buffer.drain(..end).collect();
                return Ok(Some((String::from_utf8(head).map_err(io::Error::other)?, arrived_ns)));
            }
            let (count, at_ns) = arrival::read(&self.stream, &mut self.buffer).await?;
            if count == 0 || self.buffer.len() > REQUEST_BYTES_MAX {
                return Ok(None);
            }
            arrived_ns = at_ns;
        }
    }

    async fn stream_events(&mut self, first: &str) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        self.stream.write_all(format!("{head}{}", chunk(first)).as_bytes()).await?;
        let event = chunk("data: {\"choices\":[{\"delta\":{\"content\":\" token\"}}]}\n\n");
        let mut pace = tokio::time::interval(EVENT_EVERY);
        for _ in 0..EVENTS.0 + fastrand::u32(0..EVENTS.1) {
            tokio::select! {
                _ = pace.tick() => self.stream.write_all(event.as_bytes()).await?,
                read = arrival::read(&self.stream, &mut self.buffer) => self.note_if_left(&read)?,
            }
        }
        let last = format!("{}0\r\n\r\n", chunk(LAST_EVENT));
        self.stream.write_all(last.as_bytes()).await
    }

    /// Waits until the proxy closes.
    async fn hold(&mut self) -> io::Result<()> {
        loop {
            let read = arrival::read(&self.stream, &mut self.buffer).await;
            self.note_if_left(&read)?;
        }
    }

    /// Notes when the proxy has left, which is an error in the middle of an answer.
    fn note_if_left(&mut self, read: &io::Result<(usize, u64)>) -> io::Result<()> {
        self.buffer.clear();
        if matches!(read, Ok((1.., _))) {
            return Ok(());
        }
        // Relaxed: a single number.
        self.left_ns.store(clock::now_ns(), Ordering::Relaxed);
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
