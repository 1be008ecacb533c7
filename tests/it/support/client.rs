//! A client without a library: it sends the bytes it is given and shows the bytes it gets.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::in_time;

/// A connection to the proxy.
pub struct Client<S = TcpStream> {
    stream: S,
    ahead: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head without its first line.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// It ended as its framing said.
    pub is_whole: bool,
}

impl Answer {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = in_time(TcpStream::connect(address)).await.expect("the proxy accepts");
        stream.set_nodelay(true).expect("a fresh socket takes options");
        Self::over(stream)
    }

    /// Half-closes: a FIN after everything sent.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("an open socket can be half-closed");
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        let stream = self.stream.into_std().expect("a socket can leave the event loop");
        let socket = socket2::Socket::from(stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).expect("a socket takes options");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client over a stream that exists already.
    pub fn over(stream: S) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        in_time(self.stream.write_all(bytes.as_ref())).await.expect("the proxy takes bytes");
        in_time(self.stream.flush()).await.expect("the proxy takes bytes");
    }

    /// Sends bytes; the other side may have closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        in_time(self.stream.write_all(bytes.as_ref())).await
    }

    /// A GET with these header lines, and its answer.
    pub async fn get(&mut self, path: &str, headers: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n")).await;
        self.answer().await
    }

    /// A POST of a JSON body, and its answer.
    pub async fn post(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        ))
        .await;
        self.answer().await
    }

    /// Reads until these bytes have come; returns everything before and with them.
    pub async fn read_until(&mut self, wanted: &[u8]) -> Vec<u8> {
        loop {
            let found = self.ahead.windows(wanted.len()).position(|window| window == wanted);
            if let Some(at) = found {
                return self.ahead.drain(..at + wanted.len()).collect();
            }
            assert!(self.fill().await, "closed before {:?} came", String::from_utf8_lossy(wanted));
        }
    }

    /// Whatever comes until the connection closes; `Err` when it was reset.
    pub async fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.ahead);
        in_time(self.stream.read_to_end(&mut rest)).await.map(|_| rest)
    }

    /// The next answer. A body that breaks off is returned as far as it came.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.expect("closed before a head came")
    }

    /// The next answer; `None` when the connection ends before its head.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let head = self.try_until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
        let status = status.expect("a status line");
        let mut answer = Answer { status, headers, body: Vec::new(), is_whole: false };
        let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding == "chunked");
        if chunked {
            self.chunks(&mut answer).await;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a length is a number");
            while self.ahead.len() < length && self.fill().await {}
            let length = length.min(self.ahead.len());
            answer.body = self.ahead.drain(..length).collect();
            answer.is_whole =
                answer.header("content-length") == Some(&answer.body.len().to_string());
        } else if status >= 200 && status != 204 && status != 304 {
            let rest = self.rest().await;
            answer.is_whole = rest.is_ok();
            answer.body = rest.unwrap_or_default();
        } else {
            answer.is_whole = true;
        }
        Some(answer)
    }

    async fn chunks(&mut self, answer: &mut Answer) {
        loop {
            let Some(line) = self.try_until(b"\r\n").await else { return };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
            while self.ahead.len() < size + 2 {
                if !self.fill().await {
                    answer.body.append(&mut self.ahead);
                    return;
                }
            }
            if size == 0 {
                self.ahead.drain(..2);
                answer.is_whole = true;
                return;
            }
            answer.body.extend(self.ahead.drain(..size));
            self.ahead.drain(..2);
        }
    }

    async fn try_until(&mut self, wanted: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.ahead.windows(wanted.len()).position(|window| window == wanted);
            if let Some(at) = found {
                return Some(self.ahead.drain(..at + wanted.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads more; false when the other side has closed or reset.
    async fn fill(&mut self) -> bool {
        let read = in_time(self.stream.read_buf(&mut self.ahead)).await;
        read.is_ok_and(|length| length > 0)
    }
}
