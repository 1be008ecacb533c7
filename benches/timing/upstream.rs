//! An LLM server that notes when it writes what.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::error_of::Times;

/// Pieces of content in each stream.
const CONTENTS: u32 = 24;
/// The shortest time before the first one, and between two.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// So much more at most, evenly distributed.
const PAUSE_SPREAD_US: u64 = 40_000;

/// Notes by request id.
type Notes = Arc<Mutex<HashMap<String, Times>>>;

/// The server. Its thread ends with the process.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    notes: Notes,
}

impl Upstream {
    /// Starts it on a free loopback port.
    pub(crate) fn start() -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        socket.listen(4096)?;
        let listener: std::net::TcpListener = socket.into();
        let (address, notes) = (listener.local_addr()?, Notes::default());
        let theirs = Arc::clone(&notes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("upstream".into()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket of this runtime");
                while let Ok((stream, _)) = listener.accept().await {
                    let notes = Arc::clone(&theirs);
                    // A connection that breaks ends its task; its streams are missing in the notes.
                    tokio::spawn(async move { serve(stream, &notes).await });
                }
            });
        })?;
        Ok(Self { address, notes })
    }

    /// What was written so far.
    pub(crate) fn sent(&self) -> HashMap<String, Times> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, notes: &Notes) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut random = fastrand::Rng::new();
    let mut input = Vec::new();
    loop {
        let length = loop {
            if let Some(at) = memchr::memmem::find(&input, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let received = Instant::now();
        let head = String::from_utf8_lossy(&input[..length]).to_lowercase();
        input.drain(..length);
        let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: "));
        let times = answer(&mut stream, &mut random, received).await?;
        // Noted before the end is written, so that who has read the end finds the note.
        let id = id.unwrap_or_default().to_owned();
        notes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, times);
        stream.write_all(end().as_bytes()).await?;
    }
}

/// Head and role at once, content after pauses.
async fn answer(
    stream: &mut TcpStream,
    random: &mut fastrand::Rng,
    received: Instant,
) -> io::Result<Times> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let role = chunk(r#"{"role":"assistant","content":""}"#, "null");
    stream.write_all(format!("{head}{role}").as_bytes()).await?;
    let content = chunk(r#"{"content":" token"}"#, "null");
    let (mut first, mut last, mut gap_max) = (None, received, Duration::ZERO);
    for _ in 0..CONTENTS {
        let pause = PAUSE_MIN + Duration::from_micros(random.u64(..PAUSE_SPREAD_US));
        tokio::time::sleep(pause).await;
        let now = Instant::now();
        stream.write_all(content.as_bytes()).await?;
        if first.replace(first.unwrap_or(now)).is_some() {
            gap_max = gap_max.max(now - last);
        }
        last = now;
    }
    Ok(Times { ttft: first.unwrap_or(received) - received, gap_max })
}

fn end() -> String {
    format!("{}e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n", chunk("{}", r#""stop""#))
}

fn chunk(delta: &str, finish: &str) -> String {
    let event = format!(
        "data: {{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"model\":\
         \"emulated\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    );
    format!("{:x}\r\n{event}\r\n", event.len())
}
