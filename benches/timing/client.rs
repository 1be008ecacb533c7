//! Clients that ask for streams and note when their content came.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::error_of::Times;

/// Clients begin this far from each other, so that they do not march in step.
const APART: Duration = Duration::from_millis(3);

/// `streams` clients at once ask `turns` times each. Returns what they saw, by request id.
pub(crate) async fn ask_all(
    address: SocketAddr,
    name: &'static str,
    streams: u16,
    turns: u16,
) -> io::Result<HashMap<String, Times>> {
    let mut clients = JoinSet::new();
    for number in 0..streams {
        clients.spawn(async move {
            tokio::time::sleep(APART * number.into()).await;
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut seen = Vec::with_capacity(turns.into());
            for turn in 0..turns {
                let id = format!("{name}-{number}-{turn}");
                let times = ask(&mut stream, &id).await?;
                seen.push((id, times));
            }
            io::Result::Ok(seen)
        });
    }
    let mut seen = HashMap::new();
    while let Some(done) = clients.join_next().await {
        seen.extend(done.map_err(io::Error::other)??);
    }
    Ok(seen)
}

/// One stream, read to its end.
async fn ask(stream: &mut TcpStream, id: &str) -> io::Result<Times> {
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nX-User-Id: {id}\r\nX-Request-Id: {id}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let asked = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let (mut input, mut read_to) = (Vec::with_capacity(16 << 10), 0);
    let (mut first, mut last, mut gap_max) = (None, asked, Duration::ZERO);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = Instant::now();
        while let Some(at) = memchr::memmem::find(&input[read_to..], b"\" token\"") {
            read_to += at + 8;
            if first.replace(first.unwrap_or(now)).is_some() {
                gap_max = gap_max.max(now - last);
            }
            last = now;
        }
        if input.ends_with(b"0\r\n\r\n") {
            return Ok(Times { ttft: first.unwrap_or(asked) - asked, gap_max });
        }
    }
}
