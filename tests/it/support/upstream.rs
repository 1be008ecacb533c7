//! An upstream that does what a test wants, byte by byte, and remembers what it saw.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What an upstream does on each of its connections, from accept to close.
type Script = Arc<dyn Fn(Visit) -> futures_box::BoxFuture + Send + Sync>;

mod futures_box {
    /// A script's future.
    pub type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A real TCP server on a free loopback port; it stops when dropped, with all its connections.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: AbortHandle,
}

/// What an upstream has seen.
#[derive(Default)]
pub struct Seen {
    heads: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
    connections: watch::Sender<usize>,
    closed: watch::Sender<usize>,
}

/// One connection to an upstream.
pub struct Visit {
    /// The socket.
    pub stream: TcpStream,
    ahead: Vec<u8>,
    seen: Arc<Seen>,
}

impl Upstream {
    /// An upstream that runs a script on each connection.
    pub async fn scripted<F>(script: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        Self::at(listener, script)
    }

    /// The same on a socket that listens already.
    pub fn at<F>(listener: TcpListener, script: impl Fn(Visit) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Seen::default());
        let script: Script = Arc::new(move |visit| Box::pin(script(visit)));
        let accepting = tokio::spawn(accept(listener, script, Arc::clone(&seen))).abort_handle();
        Self { address, seen, accepting }
    }

    /// Answers every request alike, keeping connections open.
    pub async fn replying(status: u16, body: &'static str) -> Self {
        Self::scripted(move |visit| visit.reply(status, body)).await
    }

    /// Sends these bytes for every request and then closes.
    pub async fn sending(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::scripted(move |mut visit| {
            let bytes = bytes.clone();
            async move {
                visit.request().await;
                visit.send(bytes).await;
            }
        })
        .await
    }

    /// As an upstream in a config.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().expect("no test panics with the lock").clone()
    }

    /// The bodies of all requests so far.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.seen.bodies.lock().expect("no test panics with the lock").clone()
    }

    /// Listens no more, and ends its connections.
    pub fn stop(&self) {
        self.accepting.abort();
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.seen.connections.borrow()
    }

    /// Connections that have ended.
    pub fn closed(&self) -> usize {
        *self.seen.closed.borrow()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, script: Script, seen: Arc<Seen>) {
    let mut visits = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        seen.connections.send_modify(|count| *count += 1);
        let visit = Visit { stream, ahead: Vec::new(), seen: Arc::clone(&seen) };
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        visits.spawn(async move {
            script(visit).await;
            seen.closed.send_modify(|count| *count += 1);
        });
    }
}

impl Visit {
    /// Answers every request alike, until the connection is closed.
    pub async fn reply(mut self, status: u16, body: &'static str) {
        while self.request().await.is_some() {
            let length = body.len();
            let reply = format!("HTTP/1.1 {status} Yes\r\ncontent-length: {length}\r\n\r\n{body}");
            self.send(reply).await;
        }
    }

    /// Reads a request; `None` when the connection ends instead.
    pub async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let body = self.body(&head).await?;
        self.seen.bodies.lock().expect("no test panics with the lock").push(body);
        Some(head)
    }

    /// Reads the head of a request.
    pub async fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).expect("heads are text");
        self.seen.heads.lock().expect("no test panics with the lock").push(head.clone());
        Some(head)
    }

    async fn body(&mut self, head: &str) -> Option<Vec<u8>> {
        let field = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        if field("transfer-encoding:").is_some() {
            let mut body = Vec::new();
            loop {
                while !self.ahead.windows(2).any(|window| window == b"\r\n") {
                    self.fill().await?;
                }
                let at = self.ahead.windows(2).position(|window| window == b"\r\n")?;
                let line: Vec<u8> = self.ahead.drain(..at + 2).collect();
                let size =
                    usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
                while self.ahead.len() < size + 2 {
                    self.fill().await?;
                }
                body.extend(self.ahead.drain(..size));
                self.ahead.drain(..2);
                if size == 0 {
                    return Some(body);
                }
            }
        }
        let length = field("content-length:").map_or(0, |length| length.parse().expect("a number"));
        while self.ahead.len() < length {
            self.fill().await?;
        }
        Some(self.ahead.drain(..length).collect())
    }

    /// How many heads the upstream has read so far.
    pub fn seen_heads(&self) -> usize {
        self.seen.heads.lock().expect("no test panics with the lock").len()
    }

    /// Sends bytes; a proxy that has gone is no concern of the upstream.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Whether the proxy has closed its side already.
    pub fn has_left(&self) -> bool {
        let mut byte = [0];
        matches!(self.stream.try_read(&mut byte), Ok(0))
    }

    /// Waits until the proxy closes its side.
    pub async fn until_closed(&mut self) {
        while self.fill().await.is_some() {}
    }

    /// Reads so many bytes of a body.
    pub async fn rest_of_body(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length && self.fill().await.is_some() {}
        std::mem::take(&mut self.ahead)
    }

    /// Bytes that came and were not asked for yet.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Closes with a reset.
    pub fn reset(self) {
        if let Ok(stream) = self.stream.into_std() {
            let _ = socket2::Socket::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    async fn fill(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.ahead).await;
        (read.ok()? > 0).then_some(())
    }
}
