//! Slow clients: heads and bodies that trickle, answers that are not read.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::give_way::give_way;
use crate::upstream::streamed_bytes;

/// Whom they ask: a service beside that of normal clients.
pub(crate) const HOST: &str = "slow.test";
/// Time over which the first connections are opened, each at a moment of its own.
const OPENED_WITHIN: Duration = Duration::from_secs(8);
/// Time between two bytes.
const TRICKLE: Duration = Duration::from_secs(4);
/// Most time before a connection that was cut is opened again; half of it on average.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// What the kernel may keep for a reader that does not read.
const RECEIVE_BYTES: u32 = 4096;
/// Until nearly all are held, and every stream stands still.
const PATIENCE: Duration = Duration::from_secs(40);
/// Buffers on the way of a stream take some MB; what still fills them would count as load.
const STILL: Duration = Duration::from_secs(1);
/// Streams of readers that came back may go on in that time.
const STILL_BYTES_MAX: u64 = 8 << 20;

/// What makes a client slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its request head.
    Head,
    /// Its request body, but for so many bytes that come with the head.
    Body(u16),
    /// It does not read.
    Reader,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Head => "slow heads",
            Self::Body(_) => "slow bodies",
            Self::Reader => "stalled readers",
        })
    }
}

/// How many connections of a kind there are.
struct Crowd {
    kind: Kind,
    wanted: usize,
    held: AtomicUsize,
    cut: AtomicUsize,
}

/// The attack. It goes on until this is dropped.
pub(crate) struct Attack {
    crowds: Vec<Arc<Crowd>>,
    _ends: oneshot::Sender<()>,
}

impl Attack {
    /// Begins to open so many connections of each kind.
    pub(crate) fn begin(address: SocketAddr, wanted: &[(Kind, usize)]) -> io::Result<Self> {
        let crowd = |(kind, wanted): &(Kind, usize)| {
            let (held, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
            Arc::new(Crowd { kind: *kind, wanted: *wanted, held, cut })
        };
        let crowds: Vec<_> = wanted.iter().map(crowd).collect();
        let theirs = crowds.clone();
        let (ends, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("slow clients".into()).spawn(move || {
            give_way();
            runtime.block_on(async {
                for crowd in theirs {
                    gather(address, &crowd);
                }
                let _ = ended.await; // when the sender goes
            });
        })?;
        Ok(Self { crowds, _ends: ends })
    }

    /// Waits until 19 of 20 connections are held (the others are just being opened again) and the streams
    /// that nobody reads stand still.
    pub(crate) fn wait_until_held(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let is_held =
            |crowd: &Arc<Crowd>| crowd.held.load(Ordering::Relaxed) >= crowd.wanted * 19 / 20;
        while !self.crowds.iter().all(is_held) {
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("not all are held: {:?}", self.held())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut before = 0;
        while streamed_bytes() - before > STILL_BYTES_MAX {
            if Instant::now() > deadline {
                return Err(io::Error::other("the streams that nobody reads go on"));
            }
            before = streamed_bytes();
            std::thread::sleep(STILL);
        }
        Ok(())
    }

    /// How many of each kind are held now, and how often one was cut.
    pub(crate) fn held(&self) -> Vec<(Kind, usize, usize)> {
        let counts = |crowd: &Arc<Crowd>| {
            let (held, cut) = (&crowd.held, &crowd.cut);
            (crowd.kind, held.load(Ordering::Relaxed), cut.load(Ordering::Relaxed))
        };
        self.crowds.iter().map(counts).collect()
    }
}

/// Each comes when it likes: slow clients know nothing of each other.
fn gather(address: SocketAddr, crowd: &Arc<Crowd>) {
    for _ in 0..crowd.wanted {
        let crowd = Arc::clone(crowd);
        tokio::spawn(async move {
            tokio::time::sleep(OPENED_WITHIN.mul_f32(fastrand::f32())).await;
            come_back(address, crowd).await;
        });
    }
}

async fn come_back(address: SocketAddr, crowd: Arc<Crowd>) {
    loop {
        if let Ok(stream) = open(address, crowd.kind).await {
            crowd.held.fetch_add(1, Ordering::Relaxed);
            let _ = stay(stream, crowd.kind).await; // an error is the end of it, too
            crowd.held.fetch_sub(1, Ordering::Relaxed);
            crowd.cut.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE_MAX.mul_f32(fastrand::f32())).await;
    }
}

/// Each kind comes from an address of its own, which has ports of its own.
async fn open(address: SocketAddr, kind: Kind) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = match kind {
        Kind::Head => 2,
        Kind::Body(_) => 3,
        Kind::Reader => 4,
    };
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    if kind == Kind::Reader {
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    }
    socket.connect(address).await
}

/// Stays until it is cut.
async fn stay(mut stream: TcpStream, kind: Kind) -> io::Result<()> {
    let beginning = match kind {
        Kind::Head => format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nx-slow: "),
        Kind::Body(begins) => format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nx-user-id: slow\r\ncontent-length: 100000\r\n\r\n{}",
            "x".repeat(usize::from(begins))
        ),
        Kind::Reader => format!("GET /stream HTTP/1.1\r\nhost: {HOST}\r\nx-user-id: slow\r\n\r\n"),
    };
    stream.write_all(beginning.as_bytes()).await?;
    if kind == Kind::Reader {
        stream.read_exact(&mut [0; 1024]).await?; // the stream is in progress
        loop {
            tokio::time::sleep(TRICKLE).await;
            // An empty write finds no reset; the socket itself knows.
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
        }
    }
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            read = stream.read(&mut answer) => if read? == 0 { return Ok(()) },
            () = tokio::time::sleep(TRICKLE) => stream.write_all(b"a").await?,
        }
    }
}
