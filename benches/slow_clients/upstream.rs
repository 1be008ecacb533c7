//! The upstream: short answers, a stream without an end, and one large answer.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Length of the large answer.
pub(crate) const LARGE_BYTES: usize = 500_000_000;
/// What is written at once.
const PIECE_BYTES: usize = 64 * 1024;
/// The large answer repeats 0 to this, which fits no power of two: a byte out of place shows.
pub(crate) const PATTERN: u8 = 251;

/// Bytes of streams without an end that were taken so far.
static STREAMED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Bytes of streams without an end that were taken so far, of all connections.
pub(crate) fn streamed_bytes() -> u64 {
    STREAMED_BYTES.load(Ordering::Relaxed)
}

/// Starts it on a free loopback port, on a thread that does `first` first and ends with the process.
pub(crate) fn start(first: impl FnOnce() + Send + 'static) -> io::Result<SocketAddr> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    let listener: std::net::TcpListener = socket.into();
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("upstream".into()).spawn(move || {
        first();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a socket of this runtime");
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    // A connection that breaks ends its task, as slow clients make it.
                    tokio::spawn(serve(stream));
                }
            }
        });
    })?;
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = memchr::memmem::find(&input, b"\r\n\r\n") {
                break input.drain(..at + 4).collect::<Vec<u8>>();
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&head).to_lowercase();
        if head.starts_with("get /stream") {
            return endless(stream).await;
        }
        if head.starts_with("get /large") {
            large(&mut stream).await?;
            continue;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        while input.len() < length {
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
        input.drain(..length);
        let body = "x".repeat(512);
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 512\r\n\r\n{body}").as_bytes())
            .await?;
    }
}

/// Events as fast as they are taken.
async fn endless(mut stream: TcpStream) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"}}]}\n\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len()).repeat(64);
    loop {
        stream.write_all(chunk.as_bytes()).await?;
        STREAMED_BYTES.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
}

async fn large(stream: &mut TcpStream) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE_BYTES}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let pattern: Vec<u8> = (0..PATTERN).cycle().take(PIECE_BYTES + usize::from(PATTERN)).collect();
    let mut sent = 0;
    while sent < LARGE_BYTES {
        let length = PIECE_BYTES.min(LARGE_BYTES - sent);
        let start = sent % usize::from(PATTERN);
        stream.write_all(&pattern[start..start + length]).await?;
        sent += length;
    }
    Ok(())
}
