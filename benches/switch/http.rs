//! As much of HTTP/1.1 as the ends of this bench need. Both are ours and the messages are known.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Answers are short; more would be none of ours.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Where the head in `buffer` ends, its empty line included.
pub(crate) fn head_end(buffer: &[u8]) -> Option<usize> {
    memchr::memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4)
}

/// A GET by a user.
pub(crate) fn get(path: &str, user: usize) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: llm.example\r\nx-user-id: user-{user:06}\r\n\r\n")
}

/// A keep-alive connection to the proxy.
pub(crate) struct Client {
    /// The socket.
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, without Nagle's algorithm.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends a request and reads until `is_whole` says that the answer has come, head included.
    pub(crate) async fn exchange(
        &mut self,
        request: &str,
        is_whole: impl Fn(&[u8]) -> bool,
    ) -> io::Result<&str> {
        self.buffer.clear();
        self.stream.write_all(request.as_bytes()).await?;
        while !is_whole(&self.buffer) {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            if read == 0 || self.buffer.len() > ANSWER_BYTES_MAX {
                let answer = String::from_utf8_lossy(&self.buffer);
                let end = answer.lines().last().unwrap_or("nothing");
                return Err(io::Error::other(format!("the answer ended after `{end}`")));
            }
        }
        let answer = std::str::from_utf8(&self.buffer).map_err(io::Error::other)?;
        let is_ok = answer.starts_with("HTTP/1.1 200 ");
        is_ok.then_some(answer).ok_or_else(|| io::Error::other(answer.to_owned()))
    }
}

/// Whether an answer with `Content-Length` has come whole.
pub(crate) fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = head_end(answer) else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text.split_once("content-length:").and_then(|(_, rest)| rest.lines().next());
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    // Without a length there is nothing to wait for; the status will tell.
    answer.len() >= head + length.unwrap_or(0)
}

/// Whether a chunked answer has come to its terminator. What is refused has a length instead.
pub(crate) fn is_ended(answer: &[u8]) -> bool {
    answer.ends_with(b"\r\n0\r\n\r\n") || (!is_begun(answer) && is_whole(answer))
}

/// Whether what has come may be the beginning of an answer with status 200.
fn is_begun(answer: &[u8]) -> bool {
    const OK: &[u8] = b"HTTP/1.1 200 ";
    OK.starts_with(&answer[..answer.len().min(OK.len())])
}

/// The body of a whole answer, its chunks joined.
pub(crate) fn body(answer: &str) -> String {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return String::new() };
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut joined, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        joined.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    joined
}
