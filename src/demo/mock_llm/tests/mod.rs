//! Whole exchanges with an emulated server over real sockets.

mod apis;
mod connections;
mod faults;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::MockLlm;

/// No exchange of these tests takes longer, unless something is broken.
const DEADLINE: Duration = Duration::from_secs(10);

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"model":"m","messages":[],"stream":true}"#;
const WHOLE: &str = r#"{"model":"m","messages":[]}"#;

/// All that came back on one connection, and how it ended.
struct Reply {
    status: u16,
    head: String,
    /// As it stood on the wire, chunk sizes included.
    body: String,
    is_reset: bool,
}

impl Reply {
    /// Whether a chunked body ended as it should.
    fn has_last_chunk(&self) -> bool {
        self.body.ends_with("0\r\n\r\n")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of all events.
    fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }
}

async fn get(server: &MockLlm, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n");
    exchange(server.address(), &request).await
}

async fn post(server: &MockLlm, path: &str, body: &str) -> Reply {
    exchange(server.address(), &post_text(path, body, "connection: close\r\n")).await
}

fn post_text(path: &str, body: &str, headers: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: mock\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Sends `request` and reads until the connection ends.
async fn exchange(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let ended = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end in time");
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_owned(), body: body.to_owned(), is_reset: ended.is_err() }
}

/// Waits until `is_so` holds of the server's statistics.
async fn wait_until(server: &MockLlm, is_so: impl Fn(&super::Stats) -> bool) {
    let looks = async {
        while !is_so(&server.stats()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, looks).await.expect("the state that was waited for");
}
